"""Measures the quality of files: evaluation, report and comparison."""
