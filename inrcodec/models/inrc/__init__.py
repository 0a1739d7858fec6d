"""`inrc`, the default model: motion grids and latents in a hierarchy of frames."""
