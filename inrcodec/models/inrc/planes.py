"""Frames as planes: luma, and two chroma planes of half the height and width.

Luma and chroma are the orthonormal three-point DCT of (R, G, B). A chroma value stands for 2 x 2 pixels and
is twice their value, so that the summed squared error of the planes is about that of the colours. Chroma is
upsampled either by repeating each value, which suits most videos that are 4:2:0 already, or linearly
(*smooth* chroma), which is closer to others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.layers.codes import fractions

CHROMA_SCALE = 2
"""A chroma value of the planes divided by that of its pixels."""
_REACH = 5
"""Chroma values on either side that the truncated inverse in `_halved` takes into account."""


@dataclass(frozen=True)
class Planes:
    """The planes of frames (B, ...), or of one frame without the first axis."""

    luma: Tensor
    """(B, 1, height, width)."""
    chroma: Tensor
    """(B, 2, height / 2, width / 2)."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Planes:
        """Apply `change` to luma and to chroma."""
        return Planes(change(self.luma), change(self.chroma))

    def __sub__(self, other: Planes) -> Planes:
        return Planes(self.luma - other.luma, self.chroma - other.chroma)

    def frames(self) -> list[Planes]:
        """One `Planes` per frame, without the first axis; views."""
        return [Planes(*both) for both in zip(self.luma, self.chroma, strict=True)]


def no_planes(
    count: int, height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Planes:
    """All-zero planes of `count` frames; `height` and `width` are those of luma."""
    return Planes(
        torch.zeros(count, 1, height, width, device=device, dtype=dtype),
        torch.zeros(count, 2, height // 2, width // 2, device=device, dtype=dtype),
    )


def stacked(frames: Iterable[Planes]) -> Planes:
    """Single frames as one batch; a view if there is only one frame."""
    each = [*frames]
    if len(each) == 1:
        return each[0].map(lambda plane: plane[None])
    return Planes(torch.stack([one.luma for one in each]), torch.stack([one.chroma for one in each]))


def components(frames: Tensor, height: int, width: int) -> Tensor:
    """Frames (B, h, w, 3) of samples -> luma and chroma (B, 3, height, width) around 0; edges replicate."""
    images = fractions(frames.permute(0, 3, 1, 2)) - 0.5
    padding = (0, width - images.shape[3], 0, height - images.shape[2])
    padded = F.pad(images, padding, mode="replicate") if any(padding) else images
    red, green, blue = padded.unbind(1)
    luma = (red + green + blue) / math.sqrt(3)
    return torch.stack([luma, (red - blue) / math.sqrt(2), (red - 2 * green + blue) / math.sqrt(6)], 1)


def halved(full: Tensor, is_smooth: bool) -> Planes:
    """Planes of components (B, 3, h, w), the chroma having the least squared error after `upsampled`.

    Smooth chroma is only approximately optimal at image edges, which are padded by replication.
    """
    if not is_smooth:
        return Planes(full[:, :1], CHROMA_SCALE * F.avg_pool2d(full[:, 1:], 2))
    across = _halved(full[:, 1:])
    return Planes(full[:, :1], CHROMA_SCALE * _halved(across.transpose(2, 3)).transpose(2, 3).contiguous())


def _halved(values: Tensor) -> Tensor:
    """Half the values along the last axis: those with the least squared error after linear upsampling.

    If U is the upsampling matrix, they are (U' U)^-1 U' times the values. The elements of the inverse are
    proportional to (-1/3)^|i - j|.
    """
    inverse = [(-1 / 3) ** abs(away) for away in range(-_REACH, _REACH + 1)]
    taps = [0.0] * (2 * len(inverse) + 2)
    for place, factor in enumerate(inverse):
        for offset, weight in enumerate((0.25, 0.75, 0.75, 0.25)):
            taps[2 * place + offset] += factor * weight
    count, border = values.shape[-1] // 2, len(taps) // 2 - 1
    padded = F.pad(values, (border, border, 0, 0), mode="replicate")
    total = torch.zeros_like(values[..., :count])
    for first, tap in enumerate(taps):
        total.add_(padded[..., first : first + 2 * count : 2], alpha=tap / sum(taps))
    return total


def upsampled(values: Tensor, is_smooth: bool) -> Tensor:
    """(B, C, h, w) -> (B, C, 2 h, 2 w): each value repeated for 2 x 2 pixels or, if smooth, bilinear."""
    if is_smooth:
        return F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return F.interpolate(values, scale_factor=2, mode="nearest")


def chroma_lost(full: Tensor, is_smooth: bool) -> Tensor:
    """Summed squared error of components (B, 3, h, w) when their chroma is halved and upsampled again."""
    values = halved(full, is_smooth).chroma / CHROMA_SCALE
    return (upsampled(values, is_smooth) - full[:, 1:]).square().sum()
