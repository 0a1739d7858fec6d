"""The config of HiNeRV: temporal grids, layers, and the grids that a budget pays for, as plain arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.models.layers.layout import Convolution, Grid

MAXIMUM_WIDTH = 1024
MAXIMUM_CHANNELS = 64
MOST_GRIDS = 32
CELLS = 128
"""Approximate cells of the coarsest level."""
KERNELS = (1, 3, 5, 7)
REDUCTIONS = (1.2, 1.5, 1.8)
"""Factors by which the width falls at each stage; the last one holds for all that follow."""
LEAST_WIDTH = 12
"""The width falls no further, unless it begins below."""
LAST_REDUCTION = 2
"""The width of the finest level, at which a channel takes the most time, is divided by this once more."""
BASE_SHARE, DETAIL_SHARE = 0.22, 0.3
"""Shares of the budget for the grids of level 0 and of level 1; channels are rounded to whole numbers."""
SPACINGS = (3, 6, 12)
"""Frames from one moment to the next of the two grids of level 0 and of the first one of level 1, about."""


@dataclass(frozen=True)
class TemporalGrid:
    """Features (moments, channels, rows, columns) at the resolution of a level."""

    level: int
    """0 is the stem's input; l is added to the output of stage l."""
    moments: int
    """The first is at the first frame, the last at the last one."""
    channels: int


@dataclass(frozen=True)
class HiNeRVConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    """The coarsest level, and the strides from level to level."""
    widths: tuple[int, ...]
    """Channels of the features of each level, from the stem's output on."""
    kernels: tuple[int, ...]
    """Rows and columns of the weights of each stage."""
    grids: tuple[TemporalGrid, ...]
    """In order of their levels, of which the first is 0."""

    def cells(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        scale = math.prod(self.grid.strides[:level])
        return self.grid.rows * scale, self.grid.columns * scale

    def channels(self, level: int) -> int:
        """Channels of all grids of a level together."""
        return sum(one.channels for one in self.grids if one.level == level)

    @property
    def named_grids(self) -> dict[str, TemporalGrid]:
        """The grids by their names: `grid0.1`, `grid0.2`, `grid1.1` and so on."""
        named: dict[str, TemporalGrid] = {}
        for one in self.grids:
            number = 1 + sum(other.level == one.level for other in named.values())
            named[f"grid{one.level}.{number}"] = one
        return named

    @property
    def layers(self) -> tuple[tuple[Convolution, int], ...]:
        """Convolutions in order, each with the level at whose resolution it is computed."""
        widths, found = self.widths, [(Convolution("stem", self.channels(0), self.widths[0], 3), 0)]
        for level, (stride, kernel) in enumerate(zip(self.grid.strides, self.kernels, strict=True), 1):
            before, after = widths[level - 1 : level + 1]
            found.append((Convolution(f"stage{level}", before, after, kernel, stride), level - 1))
            if channels := self.channels(level):
                found.append((Convolution(f"mix{level}", channels, after, 1), level))
        return (*found, (Convolution("head", widths[-1], 3, 3), len(self.grid.strides)))


def planned_config(grid: Grid, width: int, frame_count: int, symbols: float) -> HiNeRVConfig:
    """A network whose stem has `width` channels, with the grids for about `symbols` values in all.

    The first stage, which up-samples most, has a 1x1 kernel, as in HNeRV: larger ones take half of the bits.
    """
    widths = [width]
    for stage in range(len(grid.strides)):
        reduction = REDUCTIONS[min(stage, len(REDUCTIONS) - 1)]
        widths.append(max(round(widths[-1] / reduction), min(LEAST_WIDTH, width)))
    widths[-1] = max(1, widths[-1] // LAST_REDUCTION)
    kernels = (1, *[3] * (len(grid.strides) - 1))
    return HiNeRVConfig(grid, tuple(widths), kernels, planned_grids(grid, frame_count, symbols))


def planned_grids(grid: Grid, frame_count: int, symbols: float) -> tuple[TemporalGrid, ...]:
    """The grids of a network of about `symbols` values: one or two of level 0, up to two of level 1.

    The second grid of level 1 has one moment, for what all frames share.
    """
    cells = grid.rows * grid.columns
    fine, coarse, still = (1 + math.ceil((frame_count - 1) / one) for one in SPACINGS)
    channels = min(MAXIMUM_CHANNELS, round(BASE_SHARE * symbols / cells / (fine + coarse / 2)))
    if channels >= 2:
        grids = [TemporalGrid(0, fine, channels), TemporalGrid(0, coarse, channels // 2)]
    else:
        # With fewer than two moments all frames would be the same.
        affordable = max(2, int(BASE_SHARE * symbols / cells))
        grids = [TemporalGrid(0, min(fine, affordable), 1)]
    # The budget pays for so many planes: a channel in a moment each.
    planes = int(DETAIL_SHARE * symbols / (cells * grid.strides[0] ** 2))
    channels = min(MAXIMUM_CHANNELS, max(1, round(planes / (still + 1))))
    moments = min(frame_count, planes // channels - 1)
    if moments > 1:
        grids += [TemporalGrid(1, moments, channels), TemporalGrid(1, 1, channels)]
    elif planes:
        grids.append(TemporalGrid(1, 1, min(MAXIMUM_CHANNELS, planes)))
    return tuple(grids)
