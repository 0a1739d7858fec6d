"""The latents of all frames of a segment after one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inrcodec.fit.grids.latent_entropy import flags_of
from inrcodec.models.inrc.latent_contexts import PARTS


@dataclass(frozen=True)
class Coded:
    """The result of one pass over all frames."""

    latents: Tensor
    """(T, 96, h, w), int16."""
    sizes: Tensor
    """Sizes of the groups of 2 x 2 blocks, (T, h / 2, w / 2), uint8; see `models.inrc.block_sizes`."""
    squared_error: Tensor
    """(T,): mean squared error over displayed pixels and colours in [0, 1], before the refining network."""

    def arrays(self) -> dict[str, Any]:
        """The fields `latent` and `sizes` of `GridSymbols`."""
        return {"latent": self.latents.cpu().numpy(), "sizes": self.sizes.cpu().numpy()}

    def flag_counts(self, frames: Sequence[int]) -> list[int] | None:
        """Blocks with latents of each part in these frames; None on a CPU, which has no need to know them."""
        if self.latents.is_cpu:
            return None
        return [sum(part[frame] for frame in frames) for part in self._flag_counts]

    @cached_property
    def _flag_counts(self) -> list[list[int]]:
        """Blocks with latents of each part in each frame; a host waits for them, once."""
        counts = [flags_of(self.latents, part).sum((1, 2)) for part in range(len(PARTS))]
        found: list[list[int]] = torch.stack(counts).tolist()
        return found

    @property
    def psnr_db(self) -> float:
        """Mean PSNR of the displayed frames before the refining network."""
        return float((-10 * self.squared_error.clamp(min=1e-12).log10()).mean())
