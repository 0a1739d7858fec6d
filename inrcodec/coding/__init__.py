"""Quantisers, the differentiable rate, and the way between tensors and the sections of a file."""
