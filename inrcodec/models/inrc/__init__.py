"""`inrc`, the default model: grids of motion and latents in a hierarchy of frames."""
