"""Frames as planes: luma, and two chroma planes of half the height and width.

Luma and chroma are the three orthonormal cosines of (R, G, B). A value of chroma stands for four pixels, and
is twice theirs: errors of planes, squared and summed up, are about those of the colours. Videos whose chroma
has half the resolution already mostly repeat each value, others are closer to a *smooth* chroma, which is
linear between its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHROMA_SCALE = 2
"""A value of chroma is so many times that of its pixels."""
_REACH = 5
"""Values of chroma on either side that one is chosen with."""


@dataclass(frozen=True)
class Planes:
    """Planes of frames (B, ...), or of one frame without the first axis."""

    luma: Tensor
    """(B, 1, height, width)."""
    chroma: Tensor
    """(B, 2, height / 2, width / 2)."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Planes:
        """The same of both."""
        return Planes(change(self.luma), change(self.chroma))

    def __sub__(self, other: Planes) -> Planes:
        return Planes(self.luma - other.luma, self.chroma - other.chroma)

    def frames(self) -> list[Planes]:
        """Views of the frames, one by one."""
        return [Planes(*both) for both in zip(self.luma, self.chroma, strict=True)]


def no_planes(
    count: int, height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Planes:
    """Planes of zeros of `count` frames, `height` and `width` being luma's."""
    return Planes(
        torch.zeros(count, 1, height, width, device=device, dtype=dtype),
        torch.zeros(count, 2, height // 2, width // 2, device=device, dtype=dtype),
    )


def stacked(frames: Iterable[Planes]) -> Planes:
    """One batch of single frames; a view where there is one."""
    each = [*frames]
    if len(each) == 1:
        return each[0].map(lambda plane: plane[None])
    return Planes(torch.stack([one.luma for one in each]), torch.stack([one.chroma for one in each]))


def components(frames: Tensor, height: int, width: int) -> Tensor:
    """Frames (B, h, w, 3) uint8 -> luma and chroma (B, 3, height, width) around 0, edges repeated."""
    images = frames.permute(0, 3, 1, 2).float() / 255 - 0.5
    padding = (0, width - images.shape[3], 0, height - images.shape[2])
    padded = F.pad(images, padding, mode="replicate") if any(padding) else images
    red, green, blue = padded.unbind(1)
    luma = (red + green + blue) / math.sqrt(3)
    return torch.stack([luma, (red - blue) / math.sqrt(2), (red - 2 * green + blue) / math.sqrt(6)], 1)


def halved(full: Tensor, is_smooth: bool) -> Planes:
    """Planes of components (B, 3, h, w): chroma with the least squared error once it is `upsampled`.

    With smooth chroma that holds but for the edges, which count as if the image went on as it ends.
    """
    if not is_smooth:
        return Planes(full[:, :1], CHROMA_SCALE * F.avg_pool2d(full[:, 1:], 2))
    across = _halved(full[:, 1:])
    return Planes(full[:, :1], CHROMA_SCALE * _halved(across.transpose(2, 3)).transpose(2, 3).contiguous())


def _halved(values: Tensor) -> Tensor:
    """Half the values along the last axis: those with the least squared error once they are `upsampled`.

    With U for doubling, that is the inverse of (U' U), which has the elements (-1/3)^|i - j|, times U'.
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
    """(B, C, h, w) -> (B, C, 2 h, 2 w): each value for four pixels or, if smooth, linear between them."""
    if is_smooth:
        return F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return F.interpolate(values, scale_factor=2, mode="nearest")


def chroma_lost(full: Tensor, is_smooth: bool) -> Tensor:
    """Squared error, summed up, that components (B, 3, h, w) have when they are halved and upsampled."""
    values = halved(full, is_smooth).chroma / CHROMA_SCALE
    return (upsampled(values, is_smooth) - full[:, 1:]).square().sum()
