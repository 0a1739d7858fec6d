"""Generates the page of all stored results: `python -m benchmarks.results_page`."""
