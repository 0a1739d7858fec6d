"""HiNeRV: grids of features that neighbouring frames share, and a convolutional decoder."""
