"""`supermask`: a random network that is masked, and never trained."""
