"""Shapes of up-sampling decoders: embedding grid, strides, widths and convolutions, as plain arithmetic.

    embedding (d, rows, columns)
      -> 1x1 convolution, GELU                        "stem"
      -> [convolution -> pixel shuffle -> GELU] x S   "stage1" .. "stageS"
      -> 3x3 convolution, tanh                        "head"
      -> frame (3, rows x P, columns x P), P = product of the strides, cropped to the display size

Both the HNeRV decoder (HNeRV, section 3.1, Tables 1 and 15) and the NeRV decoder (NeRV, section 3) have
this form; they differ in kernels, in how the width falls, and in where the embedding comes from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.models.family import BudgetTooSmall, Role, TensorSpec, VideoInfo
from inrcodec.search import first_that

STRIDE_PLANS: tuple[tuple[int, ...], ...] = (
    (5, 4, 4, 3, 2),
    (5, 4, 4, 2, 2),
    (5, 4, 3, 2, 2),
    (5, 3, 3, 2, 2),
    (5, 4, 4, 2),
    (5, 3, 2, 2, 2),
    (4, 4, 3, 2),
    (5, 4, 2, 2),
    (4, 4, 2, 2),
    (5, 3, 2, 2),
    (4, 3, 2, 2),
    (5, 4, 2),
    (4, 4, 2),
    (4, 3, 2),
    (5, 2, 2),
    (4, 2, 2),
    (3, 2, 2),
    (4, 2),
    (3, 2),
    (2, 2),
    (2,),
)
"""Strides to choose from, one list per total up-sampling factor; the first three are the paper's."""

MAXIMUM_STAGES = 8
MAXIMUM_STRIDE = 8
GRID_CELLS = 8
"""Cells of the embedding grid in the paper (2 x 4); much smaller or larger grids cost bits or quality."""
NERV_FREQUENCIES, NERV_BASE = 80, 1.25
"""Number of frequencies of NeRV's positional encoding, and the ratio of each to the one before."""
EMBEDDING_VALUES = 128
"""Embedding values per frame in the paper: 16 channels on a 2x4 grid."""
EMBEDDING_SHARE = 0.15
"""Share of the budget that embeddings may take before their channels are reduced."""
MAXIMUM_EMBEDDING_CHANNELS = 64


@dataclass(frozen=True)
class Grid:
    """An embedding grid and the strides that up-sample it to the size of a frame."""

    rows: int
    columns: int
    strides: tuple[int, ...]

    @property
    def scale(self) -> int:
        """Total up-sampling factor P."""
        return math.prod(self.strides)

    @property
    def coded_width(self) -> int:
        return self.columns * self.scale

    @property
    def coded_height(self) -> int:
        return self.rows * self.scale


def covering_grid(width: int, height: int, strides: tuple[int, ...]) -> Grid:
    """The smallest grid whose up-sampled frame covers `width` x `height` pixels."""
    scale = math.prod(strides)
    return Grid(math.ceil(height / scale), math.ceil(width / scale), strides)


def choose_grid(
    video: VideoInfo, cells: int = GRID_CELLS, plans: Sequence[tuple[int, ...]] = STRIDE_PLANS
) -> Grid:
    """Strides and grid with little padding and about `cells` cells, for any frame size.

    The cost of a candidate is the logarithm of its padded area plus 0.14 times the absolute logarithm of its
    cell count over `cells`: 10 % of padding weigh as much as twice or half the cells. At the published sizes
    this gives the published strides (HNeRV, Table 15).
    """

    def cost(grid: Grid) -> float:
        padded = grid.coded_width * grid.coded_height / (video.width * video.height)
        return math.log(padded) + 0.14 * abs(math.log(grid.rows * grid.columns / cells))

    return min((covering_grid(video.width, video.height, plan) for plan in plans), key=cost)


def embedding_channels_for(grid: Grid, video: VideoInfo, budget_bits: float, bits_per_value: float) -> int:
    """Channels (1 to 64) for the paper's 128 values per frame, or fewer to stay within `EMBEDDING_SHARE`."""
    affordable = EMBEDDING_SHARE * budget_bits / bits_per_value / video.frame_count
    values = min(EMBEDDING_VALUES, affordable)
    return max(1, min(MAXIMUM_EMBEDDING_CHANNELS, round(values / (grid.rows * grid.columns))))


def write_grid(writer: Writer, grid: Grid) -> None:
    """Write rows, columns, the number of strides and each stride, all as varints."""
    for value in (grid.rows, grid.columns, len(grid.strides), *grid.strides):
        writer.varint(value)


def read_grid(reader: Reader, video: VideoInfo, least_stages: int = 1) -> Grid:
    """Inverse of `write_grid`; raises `Corrupt` unless the grid is the smallest that covers `video`."""
    rows, columns, stride_count = reader.varint(), reader.varint(), reader.varint()
    if not least_stages <= stride_count <= MAXIMUM_STAGES:
        expected = f"{least_stages} to {MAXIMUM_STAGES}"
        raise reader.fault(Corrupt, f"expected {expected} strides, found {stride_count}")
    strides = tuple(reader.varint() for _ in range(stride_count))
    if any(not 1 <= stride <= MAXIMUM_STRIDE for stride in strides):
        raise reader.fault(Corrupt, f"expected strides from 1 to {MAXIMUM_STRIDE}, found {strides}")
    grid = Grid(rows, columns, strides)
    if grid != covering_grid(video.width, video.height, strides):
        raise reader.fault(
            Corrupt,
            f"a grid of {columns}x{rows} times {grid.scale} does not fit {video.width}x{video.height} frames",
        )
    return grid


@dataclass(frozen=True)
class Convolution:
    """One convolution followed by a pixel shuffle by `stride` (1: none)."""

    name: str
    input_channels: int
    output_channels: int
    """Channels after the pixel shuffle."""
    kernel: int
    stride: int = 1
    shares_bias: bool = False
    """One bias per channel after the pixel shuffle, not before. A 1x1 convolution then equals a transposed
    convolution whose kernel is its stride."""

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(output_channels x stride^2, input_channels, kernel, kernel).

        The output channels are ordered (row, column, channel) within the stride, not (channel, row, column)
        as for `torch.nn.PixelShuffle`: in channels-last memory the shuffle then copies contiguous runs.
        """
        return (self.output_channels * self.stride**2, self.input_channels, self.kernel, self.kernel)

    @property
    def weight_count(self) -> int:
        return math.prod(self.weight_shape)

    @property
    def bias_count(self) -> int:
        return self.output_channels if self.shares_bias else self.weight_shape[0]


def convolution_tensors(layers: Sequence[Convolution]) -> list[TensorSpec]:
    """`NAME.weight` and `NAME.bias` of each layer, in order."""
    specs = []
    for layer in layers:
        specs.append(TensorSpec(f"{layer.name}.weight", Role.WEIGHT, layer.weight_shape))
        specs.append(TensorSpec(f"{layer.name}.bias", Role.BIAS, (layer.bias_count,)))
    return specs


def falling_widths(width: int, stage_count: int, reduction: float) -> tuple[int, ...]:
    """Channels after each stage: divided by `reduction` at each, at least 12 (or `width` if smaller)."""
    widths = [width]
    for _ in range(stage_count):
        widths.append(max(round(widths[-1] / reduction), min(12, width)))
    return tuple(widths[1:])


def hnerv_convolutions(
    embedding_channels: int,
    width: int,
    strides: tuple[int, ...],
    kernels: tuple[int, int] = (1, 5),
    reduction: float = 1.2,
) -> tuple[Convolution, ...]:
    """The HNeRV decoder; by default kernels 1, 3, 5, 5, ... and widths divided by 1.2 at each stage.

    Kernels grow by two per stage from the first to at most the second of `kernels`. Widths are divided by
    `reduction`, down to 12. A decoder narrower than 12 channels at its input keeps that width throughout.
    """
    layers = [Convolution("stem", embedding_channels, width, 1)]
    channels = width
    for index, narrowed in enumerate(falling_widths(width, len(strides), reduction)):
        stride, kernel = strides[index], min(kernels[0] + 2 * index, kernels[1])
        layers.append(Convolution(f"stage{index + 1}", channels, narrowed, kernel, stride))
        channels = narrowed
    layers.append(Convolution("head", channels, 3, 3))
    return tuple(layers)


def nerv_convolutions(embedding_channels: int, width: int, grid: Grid) -> tuple[Convolution, ...]:
    """The NeRV decoder: one vector per frame, kernels of 3, widths halving at each stage, down to 12.

    The stem's `width x rows x columns` outputs are reshaped to a grid of `width` channels.
    """
    layers = [Convolution("stem", embedding_channels, width * grid.rows * grid.columns, 1)]
    channels = width
    for index, narrowed in enumerate(falling_widths(width, len(grid.strides), 2)):
        layers.append(Convolution(f"stage{index + 1}", channels, narrowed, 3, grid.strides[index]))
        channels = narrowed
    layers.append(Convolution("head", channels, 3, 3))
    return tuple(layers)


def activation_count(layers: Sequence[Convolution], grid: Grid) -> int:
    """Most values in memory while one frame is rendered: the input of a layer, and its output twice."""
    stem, *later = layers
    pixels = grid.rows * grid.columns
    # NeRV's stem makes all cells from one vector.
    most = (1 if stem.output_channels > later[0].input_channels else pixels) * (
        stem.input_channels + 2 * stem.output_channels
    )
    for layer in later:
        output = pixels * layer.output_channels * layer.stride**2
        most = max(most, pixels * layer.input_channels + 2 * output)
        pixels *= layer.stride**2
    return most


def multiplication_count(layers: Sequence[Convolution], grid: Grid) -> int:
    """Multiplications of one frame: the weights of each layer, times the pixels at which it is computed."""
    stem, *later = layers
    pixels = grid.rows * grid.columns
    total = stem.weight_count * (1 if stem.output_channels > later[0].input_channels else pixels)
    for layer in later:
        total += pixels * layer.weight_count
        pixels *= layer.stride**2
    return total


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of a frame or of features: rows top..bottom, columns left..right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def before_shuffle(self, stride: int) -> Rectangle:
        """The smallest rectangle whose pixel shuffle by `stride` covers this one."""
        return Rectangle(
            self.top // stride, -(-self.bottom // stride), self.left // stride, -(-self.right // stride)
        )

    def after_shuffle(self, stride: int) -> Rectangle:
        return Rectangle(self.top * stride, self.bottom * stride, self.left * stride, self.right * stride)

    def grown(self, margin: int, rows: int, columns: int) -> Rectangle:
        """Enlarged by `margin` on every side, clipped to features of `rows` x `columns`."""
        return Rectangle(
            max(0, self.top - margin),
            min(rows, self.bottom + margin),
            max(0, self.left - margin),
            min(columns, self.right + margin),
        )


def widest_affordable(cost_bits: Callable[[int], float], budget_bits: float, maximum: int) -> int:
    """The largest width in 1..maximum that costs at most `budget_bits`; raises `BudgetTooSmall`."""
    width = widest(lambda candidate: cost_bits(candidate) <= budget_bits, maximum)
    if width == 0:
        raise BudgetTooSmall(cost_bits(1))
    return width


def widest(fits: Callable[[int], bool], maximum: int) -> int:
    """The largest width in 1..maximum for which the monotone `fits` is true; 0 if not even 1 fits."""
    return first_that(lambda width: not fits(width), 0, maximum + 1) - 1
