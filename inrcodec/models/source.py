"""Source frames for the encoders of model families: a batch and its neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from inrcodec.models.layers.codes import fractions


@dataclass(frozen=True)
class SourceFrames:
    """Frames `indices` (B,) of a clip (T, height, width, 3), of 8 or 10 bits, on the clip's device."""

    clip: Tensor
    indices: Tensor

    @cached_property
    def current(self) -> Tensor:
        """The batch's frames, (B, 3, height, width) in [0, 1], float32, channels-last."""
        return self._take(self.indices)

    def shifted(self, offset: int) -> Tensor:
        """The frames `offset` later, as in `current`; past its ends the clip is mirrored (-1 is frame 1)."""
        last = len(self.clip) - 1
        mirrored = last - (last - (self.indices + offset).abs()).abs()
        return self._take(mirrored.clamp(0, last))

    def _take(self, indices: Tensor) -> Tensor:
        return fractions(self.clip[indices].permute(0, 3, 1, 2))
