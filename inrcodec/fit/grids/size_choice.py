"""The options of choosing the sizes of groups of blocks (`models.inrc.block_sizes`) by rate and distortion.

All groups are tried with each size. The transforms of all sizes are orthogonal, so that the best latents of a
size save the squared error that they avoid, less the price of their bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fit.grids.entropy import rounded
from inrcodec.models.inrc.block_sizes import resized
from inrcodec.models.inrc.dc_prediction import DC

ROUNDING = 0.2
"""Offset of the deadzone rounding that gives the contexts of a size that a group did not have before."""


class SizeChoice:
    """The coefficients of a batch for each size, and the latents that give their contexts."""

    def __init__(
        self, wanted: Tensor, before: Tensor, sizes: Tensor, keeps_dc: bool, tried: Sequence[int]
    ) -> None:
        """See `LatentFit` for the coefficients `wanted`, and the latents `before` with their `sizes`."""
        self._keeps_dc = keeps_dc
        self._wanted = [resized(wanted, size, keeps_dc) for size in tried]
        self._before = [self._likely(size, before.float(), sizes) for size in tried]

    def _likely(self, size: int, before: Tensor, sizes: Tensor) -> Tensor:
        """Latents for contexts of groups of one size: those before if the size is the same."""
        likely = rounded(self._wanted[size], ROUNDING)
        if self._keeps_dc:
            for channels in DC:
                likely[:, channels] = before[:, channels]
        return torch.where(doubled(sizes == size)[:, None], before, likely)

    def option(self, size: int) -> tuple[Tensor, Tensor]:
        """Coefficients and latents before, both (B, 96, h, w), for groups of one size.

        A predicted DC is left out: it does not depend on the size.
        """
        wanted = self._wanted[size]
        if self._keeps_dc:
            wanted = wanted.clone()
            for channels in DC:
                wanted[:, channels] = 0
        return wanted, self._before[size]

    def chosen(self, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients and latents before for groups of these `sizes` (B, h / 2, w / 2)."""
        return selected(self._wanted, sizes), selected(self._before, sizes)


def selected(options: Sequence[Tensor], sizes: Tensor) -> Tensor:
    """The values (B, 96, h, w) of the option that each group has in `sizes` (B, h / 2, w / 2)."""
    found, places = options[0], doubled(sizes)[:, None]
    for size in range(1, len(options)):
        found = torch.where(places == size, options[size], found)
    return found


def doubled(groups: Tensor) -> Tensor:
    """Values of groups (B, h / 2, w / 2) for each of their blocks, (B, h, w)."""
    return groups.repeat_interleave(2, 1).repeat_interleave(2, 2)


def summed(blocks: Tensor) -> Tensor:
    """The sums of blocks (B, h, w) over groups, (B, h / 2, w / 2)."""
    return 4 * F.avg_pool2d(blocks.float()[:, None], 2)[:, 0]
