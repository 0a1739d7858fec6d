"""Fitting a representation to frames: loop, schedule, device and rate control."""
