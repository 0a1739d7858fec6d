"""Commands that measure every figure the project publishes; results are committed as JSON."""
