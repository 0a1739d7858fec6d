"""Reproduces the papers' tables with our files: `python -m benchmarks.paper`."""
