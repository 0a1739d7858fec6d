"""`.inrv` files to frames: random access, whole decodes, and what a file holds."""
