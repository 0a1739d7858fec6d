"""Rendering a window of a frame gives exactly the pixels that rendering all of it gives."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.models.blocks import initial_parameters, upsample
from inrcodec.models.family import VideoInfo
from inrcodec.models.layout import Window, choose_grid, hnerv_convolutions

VIDEO = VideoInfo(width=150, height=70, frame_count=2)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_window_is_a_part_of_the_frame(data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, VIDEO.height - 1)), data.draw(st.integers(0, VIDEO.width - 1))
    bottom = data.draw(st.integers(top + 1, VIDEO.height))
    right = data.draw(st.integers(left + 1, VIDEO.width))
    generator = torch.Generator().manual_seed(0)
    grid = choose_grid(VIDEO)
    layers = hnerv_convolutions(4, 8, grid.strides)
    tensors = {name: 2 * value for name, value in initial_parameters(layers, generator).items()}
    embedding = torch.randn(2, 4, grid.rows, grid.columns, generator=generator)
    whole = upsample(layers, tensors, embedding, grid, VIDEO)
    assert whole.shape == (2, 3, VIDEO.height, VIDEO.width)
    part = upsample(layers, tensors, embedding, grid, VIDEO, Window(top, bottom, left, right))
    torch.testing.assert_close(part, whole[:, :, top:bottom, left:right], rtol=0, atol=2e-6)
