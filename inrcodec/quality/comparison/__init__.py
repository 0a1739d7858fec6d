"""Compares our models with ordinary codecs on one video; the entry point is `compare.compare`."""
