"""Model families: what is transmitted for a video and how frames are rendered from it."""
