"""Encodes video files to `.inrv` files: sources, segments, searches, resuming, workers."""
