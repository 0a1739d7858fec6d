"""Measures the speed of fitting, rendering, coding and start-up: `python -m benchmarks.speed`."""
