"""Fits and codes segments of the `inrc` family: motion, latents decoder in the loop, and the rest."""
