"""Frames to tensors: fits of networks and of grids, quantisers and rate terms."""
