"""What a fit of `inrc` works on: the frames of a segment as planes, made when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.family import VideoInfo
from inrcodec.models.hierarchy import Hierarchy
from inrcodec.models.inrc import CELL, InrcConfig
from inrcodec.models.lapped import to_planes

CHUNK_PIXELS = 1 << 21
"""About as many pixels are worked on at a time."""


@dataclass(frozen=True)
class Material:
    """One segment: its frames (T, height, width, 3), uint8, on the device, and how they hang together."""

    clip: Tensor
    config: InrcConfig
    video: VideoInfo

    @cached_property
    def tree(self) -> Hierarchy:
        return self.config.tree(self.video)

    @property
    def frame_count(self) -> int:
        return len(self.clip)

    @property
    def height(self) -> int:
        """Of the planes."""
        return self.config.rows * CELL

    @property
    def width(self) -> int:
        return self.config.columns * CELL

    @property
    def device(self) -> torch.device:
        return self.clip.device

    @cached_property
    def levels(self) -> Tensor:
        """(T,), on the device."""
        return torch.from_numpy(self.tree.levels).to(self.device)

    @cached_property
    def references(self) -> Tensor:
        """(T, 2), on the device."""
        return torch.from_numpy(self.tree.references).to(self.device)

    def planes(self, frames: Sequence[int]) -> Tensor:
        """Planes (B, 3, height, width) of the source."""
        return to_planes(self.clip[list(frames)], self.height, self.width)

    def small_planes(self, scale: int) -> Tensor:
        """Planes of all frames, averaged over squares of `scale` pixels: (T, 3, height / scale, ...)."""
        found = self._small.get(scale)
        if found is None:
            size = (self.frame_count, 3, self.height // scale, self.width // scale)
            found = self._small[scale] = torch.empty(size, device=self.device)
            for frame in range(self.frame_count):
                found[frame] = F.avg_pool2d(self.planes([frame]), scale)[0]
        return found

    def forget_small_planes(self) -> None:
        """Until they are asked for again."""
        self._small.clear()

    @cached_property
    def _small(self) -> dict[int, Tensor]:
        """Motion is fitted at two scales, again and again."""
        return {}

    def chunks(self, frames: Sequence[int], pixels: int | None = None) -> Iterator[list[int]]:
        """The frames in runs of about `CHUNK_PIXELS`; `pixels` are those of a frame, if not its own."""
        size = max(1, CHUNK_PIXELS // (pixels or self.height * self.width))
        for first in range(0, len(frames), size):
            yield list(frames[first : first + size])
