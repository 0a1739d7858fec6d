"""Puts this folder on the import path, so that tests of every package share `codec_samples`."""
