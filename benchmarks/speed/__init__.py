"""Fitting, rendering, coding and start-up, timed in turns: `python -m benchmarks.speed`."""
