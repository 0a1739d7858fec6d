"""Layers and shapes that several families share."""
