"""Checks and speed of fits and decodes on a GPU."""
