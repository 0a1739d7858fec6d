"""The papers' tables, measured with our files: `python -m benchmarks.paper`."""
