"""The source frames of a segment as planes at several resolutions, for the `inrc` fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.planes import Planes, chroma_lost, components, halved, no_planes
from inrcodec.models.inrc.shapes import CELL, InrcConfig
from inrcodec.models.layers.codes import as_tensor
from inrcodec.samples import Samples

CHUNK_PIXELS, GPU_CHUNK_PIXELS = 1 << 21, 1 << 23
"""Approximate pixels processed at a time on a CPU, which has small caches, and on a GPU, which computes an
operation on that many for longer than the host takes to launch it."""

SAMPLED_FRAMES = 8
"""Frames that decide how chroma is upsampled."""


def with_chroma_of(clip: Samples, config: InrcConfig) -> InrcConfig:
    """`config` with the chroma upsampling that is closer to the frames (T, height, width, 3)."""
    repeated, smooth = (chroma_error(as_tensor(clip), config, is_smooth) for is_smooth in (False, True))
    return replace(config, is_smooth=smooth < repeated)


def chroma_error(clip: Tensor, config: InrcConfig, is_smooth: bool) -> float:
    """Mean squared error that halving the chroma alone causes in frames (T, height, width, 3)."""
    picked = np.unique(np.linspace(0, len(clip) - 1, SAMPLED_FRAMES).round().astype(np.int64))
    size = config.rows * CELL, config.columns * CELL
    lost = sum(float(chroma_lost(components(clip[frame : frame + 1], *size), is_smooth)) for frame in picked)
    return lost / (len(picked) * 3 * size[0] * size[1])


@dataclass(frozen=True)
class SegmentPlanes:
    """One segment: its source frames and their prediction structure."""

    clip: Tensor
    """(T, height, width, 3), uint8 or int16, on the device."""
    config: InrcConfig
    video: VideoInfo

    def with_config(self, config: InrcConfig) -> SegmentPlanes:
        """The same frames with another hierarchy; both share the planes that were made before."""
        other = SegmentPlanes(self.clip, config, self.video)
        other.__dict__.update(_planes=self._planes, _small=self._small)
        return other

    @cached_property
    def tree(self) -> Hierarchy:
        return self.config.tree(self.video)

    @property
    def frame_count(self) -> int:
        return len(self.clip)

    @property
    def height(self) -> int:
        """Height of the luma planes, pixels: the coded height."""
        return self.config.rows * CELL

    @property
    def width(self) -> int:
        return self.config.columns * CELL

    @property
    def device(self) -> torch.device:
        return self.clip.device

    @cached_property
    def levels(self) -> Tensor:
        """Hierarchy levels (T,), on the device."""
        return torch.from_numpy(self.tree.levels).to(self.device)

    @cached_property
    def references(self) -> Tensor:
        """Reference frames (T, 2), on the device."""
        return torch.from_numpy(self.tree.references).to(self.device)

    def rows(self, frames: Sequence[int]) -> Tensor:
        """These frames as an index on the device, int64; each is copied there once."""
        key = tuple(frames)
        if key not in self._rows:
            self._rows[key] = torch.tensor(key, dtype=torch.int64, device=self.device)
        return self._rows[key]

    @cached_property
    def _rows(self) -> dict[tuple[int, ...], Tensor]:
        return {}

    def planes(self, frames: Sequence[int]) -> Planes:
        """Planes of these source frames, float32."""
        rows = self.rows(frames)
        return self._planes.map(lambda plane: plane[rows].float())

    @cached_property
    def _planes(self) -> Planes:
        """Planes of all source frames in half precision; they take as much memory as the clip."""
        whole = no_planes(self.frame_count, self.height, self.width, self.device, torch.float16)
        for chunk in self.chunks(range(self.frame_count)):
            found = halved(self.components(chunk), self.config.is_smooth)
            some = slice(chunk[0], chunk[-1] + 1)
            whole.luma[some], whole.chroma[some] = found.luma, found.chroma
        return whole

    @cached_property
    def chroma_error(self) -> float:
        """The module's `chroma_error` for this segment."""
        return chroma_error(self.clip, self.config, self.config.is_smooth)

    def components(self, frames: Sequence[int]) -> Tensor:
        """Luma and chroma (B, 3, height, width) of these source frames, at full resolution."""
        return components(self.clip[self.rows(frames)], self.height, self.width)

    def luma(self) -> Tensor:
        """Luma of all source frames, (T, 1, height, width), float32; made at each call."""
        return self._planes.luma.float()

    def small_components(self, scale: int) -> Tensor:
        """`components` of all frames, downscaled by `scale`: (T, 3, height / scale, width / scale)."""
        found = self._small.get(scale)
        if found is None:
            size = (self.frame_count, 3, self.height // scale, self.width // scale)
            found = self._small[scale] = torch.empty(size, device=self.device)
            for frame in range(self.frame_count):
                found[frame] = F.avg_pool2d(self.components([frame]), scale)[0]
        return found

    def forget_small_components(self) -> None:
        """Free the cache of `small_components`."""
        self._small.clear()

    @cached_property
    def _small(self) -> dict[int, Tensor]:
        """Cache by scale: motion is fitted at two scales repeatedly."""
        return {}

    def chunks(self, frames: Sequence[int], pixels: int | None = None) -> Iterator[list[int]]:
        """The frames in chunks of about `CHUNK_PIXELS`; `pixels` per frame default to those of luma."""
        most = CHUNK_PIXELS if self.device.type == "cpu" else GPU_CHUNK_PIXELS
        size = max(1, most // (pixels or self.height * self.width))
        for first in range(0, len(frames), size):
            yield list(frames[first : first + size])
