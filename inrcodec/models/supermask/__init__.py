"""`supermask`: a random network that is masked but never trained."""
