"""Fitting a representation to frames: loop, optimisers, schedule, losses and rate control."""
