"""Conversion between transmitted tensors and the sections of a file, and trimming to a size."""
