"""Cropping to the display size gives the pixels of the whole coded frame, but computes fewer."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.models.family import VideoInfo
from inrcodec.models.layers.blocks import initial_parameters, upsample
from inrcodec.models.layers.layout import Grid, hnerv_convolutions

GRID = Grid(rows=2, columns=4, strides=(5, 4, 2))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, GRID.coded_width), st.integers(1, GRID.coded_height))
def test_a_display_is_the_top_left_part_of_the_coded_frame(width: int, height: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = hnerv_convolutions(4, 8, GRID.strides)
    tensors = {name: 2 * value for name, value in initial_parameters(layers, generator).items()}
    embedding = torch.randn(2, 4, GRID.rows, GRID.columns, generator=generator)
    coded = upsample(layers, tensors, embedding, GRID, VideoInfo(GRID.coded_width, GRID.coded_height, 2))
    assert coded.shape == (2, 3, GRID.coded_height, GRID.coded_width)
    displayed = upsample(layers, tensors, embedding, GRID, VideoInfo(width, height, 2))
    torch.testing.assert_close(displayed, coded[:, :, :height, :width], rtol=0, atol=2e-6)
