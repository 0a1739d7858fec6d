"""How good a file is: evaluation, report and comparison."""
