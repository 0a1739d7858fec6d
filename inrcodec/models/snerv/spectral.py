"""Shapes that SNeRV and SNeRV-T share: decoders that end in the bands of a Haar transform, as arithmetic.

    features of the last three up-sampling stages
      -> MFU: two fusions of coarser with finer features              "fuse1.*", "fuse2.*"
      -> 3x3 convolution, tanh, stretched to the frame's range of LL  "low"
      -> HFR: LH, HL, HH by two convolutions each                     "lh.*", "hl.*", "hh.*"
      -> inverse Haar transform -> frame

SNeRV, section 3.2 and Tables 6 and 9. MFU: multi-resolution fusion unit; HFR: high-frequency restorer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from itertools import accumulate

from bitstream.errors import Corrupt
from bitstream.fields import Reader
from inrcodec.models.family import BudgetTooSmall, Role, TensorSpec, VideoInfo, whole_number
from inrcodec.models.layers.layout import Convolution, Grid, choose_grid, falling_widths, widest_affordable

STRIDE_PLANS: tuple[tuple[int, ...], ...] = (
    (5, 4, 4, 2, 2),
    (5, 4, 3, 2, 2),
    (5, 4, 2, 2, 2),
    (5, 3, 2, 2, 2),
    (5, 4, 2, 2),
    (4, 4, 2, 2),
    (5, 3, 2, 2),
    (4, 3, 2, 2),
    (5, 2, 2, 2),
    (4, 2, 2, 2),
    (3, 2, 2, 2),
    (2, 2, 2, 2),
    (3, 2, 2),
    (2, 2, 2),
)
"""Strides from an embedding to the low-pass band; three of them are the paper's (Table 6)."""
LEAST_STAGES = 3
"""The fusion takes the features of the last three stages."""
BANDS = ("lh", "hl", "hh")
BLOCKS = {6: 96, 4: 70, 3: 50, 2: 1}
"""Residual blocks per fusion, and the least width for that many (after Table 9)."""
MAXIMUM_BLOCKS = 16
MAXIMUM_WIDTH = 512
NEGATIVE_SLOPE = 0.1
"""Slope of the leaky rectifiers below zero."""


def low_band(video: VideoInfo) -> VideoInfo:
    """The low-pass band as a video: half the width and height, rounded up."""
    return VideoInfo(-(-video.width // 2), -(-video.height // 2), video.frame_count)


def spectral_grid(video: VideoInfo) -> Grid:
    """The embedding grid whose up-sampling covers the low-pass band."""
    return choose_grid(low_band(video), plans=STRIDE_PLANS)


def coded_size(grid: Grid) -> tuple[int, int]:
    """Width and height, pixels, of the frames that a network on `grid` renders."""
    return 2 * grid.coded_width, 2 * grid.coded_height


def stage_widths(width: int, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Channels after each stage: divided by 1.2 at each, at least 12 (or `width` if smaller)."""
    return falling_widths(width, len(strides), 1.2)


def transposed(name: str, input_channels: int, output_channels: int, stride: int) -> Convolution:
    """A transposed convolution whose kernel is its stride."""
    return Convolution(name, input_channels, output_channels, 1, stride, shares_bias=True)


def band_convolutions(
    widths: tuple[int, ...], strides: tuple[int, ...], blocks: int
) -> tuple[Convolution, ...]:
    """MFU and HFR after stages of `widths` and `strides`, with `blocks` residual blocks per fusion."""
    coarse, middle, fine = widths[-3:]
    layers = []
    for name, lower, upper, stride in (
        ("fuse1", coarse, middle, strides[-2]),
        ("fuse2", middle, fine, strides[-1]),
    ):
        layers.append(transposed(f"{name}.up", lower, lower, stride))
        layers.append(Convolution(f"{name}.merge", lower + upper, upper, 3))
        for block in range(1, blocks + 1):
            layers += [Convolution(f"{name}.block{block}.{half}", upper, upper, 3) for half in ("a", "b")]
    layers.append(Convolution("low", fine, 3, 3))
    for band in BANDS:
        layers += [Convolution(f"{band}.mix", fine, fine, 1), Convolution(f"{band}.out", fine, 3, 3)]
    return tuple(layers)


def range_tensor(video: VideoInfo) -> TensorSpec:
    """Range of each frame's low-pass band, (T, 2), as (least, 2 - greatest), both near 0."""
    return TensorSpec("range", Role.EMBEDDING, (video.frame_count, 2), per_frame=True)


def stage_sizes(width: int, grid: Grid) -> tuple[int, ...]:
    """Number of feature values of a frame after the stem and after each stage."""
    widths = (width, *stage_widths(width, grid.strides))
    return tuple(channels * pixels for channels, pixels in zip(widths, stage_pixels(grid), strict=True))


def stage_pixels(grid: Grid) -> tuple[int, ...]:
    """Number of pixels of the features of the stem and of each stage."""
    cells = grid.rows * grid.columns
    return tuple(cells * scale**2 for scale in accumulate(grid.strides, operator.mul, initial=1))


def band_activations(width: int, grid: Grid, moments: int = 1) -> int:
    """Most values in memory while `spectral_blocks.render_bands` renders one frame.

    The features of the last three stages stay to the end. All `moments` of the first two stay with them,
    because they share one tensor.
    """
    coarse, middle, fine = stage_sizes(width, grid)[-3:]
    pixels = grid.coded_width * grid.coded_height
    # A fusion peaks while it concatenates, or in a residual block, which has four features at a time.
    first = max(2 * coarse * grid.strides[-2] ** 2 + middle, 4 * middle)
    second = middle + max(2 * middle * grid.strides[-1] ** 2 + fine, 4 * fine)
    # Bands have three channels: those done, beside the features of the next; then the inverse transform.
    bands = fine + max(2 * fine + 15 * pixels, 57 * pixels)
    return moments * (coarse + middle) + fine + max(first, second, bands)


def band_multiplications(width: int, grid: Grid, blocks: int) -> int:
    """Multiplications of one frame in the layers of `band_convolutions`."""
    coarse, middle, fine = stage_pixels(grid)[-3:]
    total = 0
    for layer in band_convolutions(stage_widths(width, grid.strides), grid.strides, blocks):
        first_fusion = layer.name.startswith("fuse1")
        at = coarse if layer.name == "fuse1.up" else middle if first_fusion or layer.stride > 1 else fine
        total += at * layer.weight_count
    return total


def blocks_for(width: int) -> int:
    """Residual blocks per fusion of a network of that width."""
    return next(blocks for blocks, least_width in BLOCKS.items() if width >= least_width)


def check_size(reader: Reader, width: int, blocks: int) -> None:
    """Raise `Corrupt` for a width or a number of residual blocks that is out of range."""
    if not 1 <= width <= MAXIMUM_WIDTH or not 0 <= blocks <= MAXIMUM_BLOCKS:
        raise reader.fault(Corrupt, f"width {width} and {blocks} residual blocks are out of range")


def planned_size(
    options: Mapping[str, str], cost_bits: Callable[[int, int], float], budget_bits: float
) -> tuple[int, int]:
    """Width and residual blocks per fusion, from the options `width` and `blocks` or else from the budget.

    Unless `width` is given, `cost_bits(width, blocks)` of the result is at most the budget. Raises
    `BudgetTooSmall`, and `UsageError` for an option out of range.
    """
    given = whole_number(options["blocks"], 0, MAXIMUM_BLOCKS) if "blocks" in options else None
    if "width" in options:
        width = whole_number(options["width"], 1, MAXIMUM_WIDTH)
        return width, blocks_for(width) if given is None else given
    if given is None:
        return width_and_blocks(cost_bits, budget_bits)
    return widest_affordable(lambda width: cost_bits(width, given), budget_bits, MAXIMUM_WIDTH), given


def width_and_blocks(cost_bits: Callable[[int, int], float], budget_bits: float) -> tuple[int, int]:
    """Width and residual blocks of the network to plan; `cost_bits(width, blocks)` is within the budget.

    Chooses the most blocks with which the widest affordable network reaches the least width in `BLOCKS`. It
    may be wider than the paper's with that many blocks, if more blocks would make it too narrow for them.
    Raises `BudgetTooSmall`.
    """
    for blocks, least_width in BLOCKS.items():
        try:
            width = widest_affordable(lambda width: cost_bits(width, blocks), budget_bits, MAXIMUM_WIDTH)  # noqa: B023
        except BudgetTooSmall:
            continue
        if width >= least_width:
            return width, blocks
    raise BudgetTooSmall(cost_bits(1, min(BLOCKS)))
