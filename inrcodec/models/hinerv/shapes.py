"""The config of HiNeRV: temporal grids, layers, and the grids that a budget pays for, as plain arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.models.layers.layout import Convolution, Grid, falling_widths

MAXIMUM_WIDTH = 1024
MAXIMUM_CHANNELS = 64
MOST_GRIDS = 32
CELLS = 128
"""Approximate cells of the coarsest level."""
REDUCTION = 1.2
"""Factor by which the width falls per stage, as in HNeRV."""
BASE_SHARE, DETAIL_SHARE = 0.25, 0.3
"""Shares of the budget that grids of level 0 and of level 1 may take."""
SPACINGS = (3, 6, 12)
"""Frames from one moment to the next of the two grids of level 0 and of that of level 1, about."""


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
    width: int
    """Channels of the stem's output."""
    grids: tuple[TemporalGrid, ...]
    """In order of their levels, of which the first is 0."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the features of each level."""
        return (self.width, *falling_widths(self.width, len(self.grid.strides), REDUCTION))

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
        widths, found = self.widths, [(Convolution("stem", self.channels(0), self.width, 3), 0)]
        for level, stride in enumerate(self.grid.strides, 1):
            before, after = widths[level - 1 : level + 1]
            found.append((Convolution(f"stage{level}", before, after, 3, stride), level - 1))
            if channels := self.channels(level):
                found.append((Convolution(f"mix{level}", channels, after, 1), level))
        return (*found, (Convolution("head", widths[-1], 3, 3), len(self.grid.strides)))


def planned_grids(grid: Grid, frame_count: int, symbols: float) -> tuple[TemporalGrid, ...]:
    """The grids of a network of about `symbols` values: one or two of level 0, one of level 1."""
    cells = grid.rows * grid.columns
    fine, coarse, still = (1 + math.ceil((frame_count - 1) / one) for one in SPACINGS)
    channels = min(MAXIMUM_CHANNELS, int(BASE_SHARE * symbols / cells / (fine + coarse / 2)))
    if channels >= 2:
        grids = [TemporalGrid(0, fine, channels), TemporalGrid(0, coarse, channels // 2)]
    else:
        # With fewer than two moments all frames would be the same.
        affordable = max(2, int(BASE_SHARE * symbols / cells))
        grids = [TemporalGrid(0, min(fine, affordable), 1)]
    # The budget pays for so many planes: a channel in a moment each.
    planes = int(DETAIL_SHARE * symbols / (cells * grid.strides[0] ** 2))
    if planes:
        moments = min(still, planes)
        grids.append(TemporalGrid(1, moments, min(MAXIMUM_CHANNELS, planes // moments)))
    return tuple(grids)
