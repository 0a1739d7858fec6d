"""Encodes and decodes input files of every kind on the command line: `python -m benchmarks.inputs`."""
