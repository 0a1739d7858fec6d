"""The papers' networks: the authors' own programs, their layouts, and a plain HNeRV that stands for them."""
