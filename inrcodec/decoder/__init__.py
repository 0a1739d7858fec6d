"""Decodes `.inrv` files: random access to frames, whole decodes, and reports on what a file contains."""
