"""Grids, strides and convolutions: published values, and properties for every frame size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BitstreamError, Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.models.family import VideoInfo
from inrcodec.models.layers.layout import (
    Grid,
    choose_grid,
    covering_grid,
    hnerv_convolutions,
    nerv_convolutions,
    read_grid,
    widest,
    write_grid,
)

WIDTHS, HEIGHTS = st.integers(1, 4096), st.integers(1, 2160)


@pytest.mark.parametrize(
    ("width", "height", "strides"),
    [
        (1280, 640, (5, 4, 4, 2, 2)),
        (960, 480, (5, 4, 3, 2, 2)),
        (1920, 960, (5, 4, 4, 3, 2)),
    ],
)
def test_published_strides_and_grids(width: int, height: int, strides: tuple[int, ...]) -> None:
    """HNeRV, Table 15."""
    assert choose_grid(VideoInfo(width, height, 132)) == Grid(2, 4, strides)


def test_grid_of_the_nerv_decoder() -> None:
    """NeRV, section 3: 8 x 16 cells (9 x 16 in the paper's 1080p) and strides 5, 4, 2, 2."""
    assert choose_grid(VideoInfo(1280, 640, 132), 128) == Grid(8, 16, (5, 4, 2, 2))


@given(WIDTHS, HEIGHTS, st.sampled_from([8, 128]))
def test_a_grid_covers_the_frame_with_less_than_one_cell_to_spare(
    width: int, height: int, cells: int
) -> None:
    grid = choose_grid(VideoInfo(width, height, 1), cells)
    assert 0 <= grid.coded_width - width < grid.scale
    assert 0 <= grid.coded_height - height < grid.scale


@given(st.integers(16, 4096), st.integers(16, 2160))
def test_a_grid_pads_little_and_stays_small(width: int, height: int) -> None:
    """The maxima over all these sizes are 1.597 times the area and 256 cells."""
    grid = choose_grid(VideoInfo(width, height, 1))
    assert grid.coded_width * grid.coded_height <= 1.6 * width * height
    assert 2 <= grid.rows * grid.columns <= 256


@given(WIDTHS, HEIGHTS)
def test_a_grid_comes_back_from_its_bytes(width: int, height: int) -> None:
    video = VideoInfo(width, height, 1)
    writer = Writer()
    write_grid(writer, choose_grid(video))
    reader = Reader(writer.getvalue())
    assert read_grid(reader, video) == choose_grid(video)
    reader.expect_end()


@given(st.binary(max_size=12))
def test_arbitrary_bytes_are_a_covering_grid_or_an_error(raw: bytes) -> None:
    video = VideoInfo(20, 12, 1)
    try:
        grid = read_grid(Reader(raw), video)
    except BitstreamError:
        return
    assert grid == covering_grid(20, 12, grid.strides)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(3, 3, (4, 2)),  # a row too many
        Grid(2, 2, (4, 2)),  # a column too few
        Grid(12, 20, ()),
        Grid(2, 3, (4, 2, *[1] * 7)),
        Grid(2, 3, (0, 8)),
        Grid(2, 3, (9,)),
    ],
)
def test_grids_that_do_not_fit_are_corrupt(grid: Grid) -> None:
    writer = Writer()
    write_grid(writer, grid)
    with pytest.raises(Corrupt):
        read_grid(Reader(writer.getvalue()), VideoInfo(20, 12, 1))


def test_hnerv_convolutions() -> None:
    layers = hnerv_convolutions(16, 68, (5, 4, 4, 2, 2))
    assert [layer.name for layer in layers] == ["stem", *(f"stage{i}" for i in range(1, 6)), "head"]
    assert [layer.kernel for layer in layers] == [1, 1, 3, 5, 5, 5, 3]
    assert [layer.output_channels for layer in layers] == [68, 57, 48, 40, 33, 28, 3]
    assert [layer.stride for layer in layers] == [1, 5, 4, 4, 2, 2, 1]
    assert layers[1].weight_shape == (57 * 25, 68, 1, 1)
    assert layers[1].bias_count == 57 * 25


def test_nerv_convolutions() -> None:
    layers = nerv_convolutions(160, 40, Grid(8, 16, (5, 4, 2, 2)))
    assert layers[0].weight_shape == (40 * 8 * 16, 160, 1, 1)
    assert [layer.kernel for layer in layers] == [1, 3, 3, 3, 3, 3]
    assert [layer.output_channels for layer in layers[1:]] == [20, 12, 12, 12, 3]


@given(st.integers(1, 64), st.sampled_from(["hnerv", "nerv"]))
def test_channels_chain_and_never_fall_below_the_minimum(width: int, decoder: str) -> None:
    grid = Grid(2, 4, (5, 4, 4, 2, 2))
    if decoder == "hnerv":
        layers = hnerv_convolutions(16, width, grid.strides)
    else:
        layers = nerv_convolutions(160, width, grid)
    assert layers[1].input_channels == width
    for before, after in zip(layers[1:], layers[2:], strict=False):
        assert after.input_channels == before.output_channels
        assert after.input_channels >= min(12, width)


@given(st.integers(0, 1100), st.integers(1, 1024))
def test_widest_is_the_largest_that_fits(largest: int, maximum: int) -> None:
    assert widest(lambda width: width <= largest, maximum) == min(largest, maximum)
