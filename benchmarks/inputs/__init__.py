"""Input files of every kind through the command line: `python -m benchmarks.inputs`."""
