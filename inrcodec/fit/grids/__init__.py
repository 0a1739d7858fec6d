"""The encoder of the `inrc` family: fits motion, latents, entropy models and the refining network."""
