"""`supermask`: a random network that is masked, and trained only in its small layers."""
