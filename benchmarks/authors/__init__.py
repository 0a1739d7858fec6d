"""The papers' networks: the authors' programs, their tensor layouts, and a plain HNeRV as a reference."""
