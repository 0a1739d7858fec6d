"""Prediction of the DC of each block of a frame without references, from the blocks to the left and above.

Without it, a quarter of the bits of such a frame are for the DC, the latents of frequency (0, 0). In luma the
prediction is the median edge detector (M. Weinberger et al., "The LOCO-I lossless image compression
algorithm", 2000, section III-A). In chroma it is the mean of both neighbours, in which the one with the more
similar luma DC has the greater weight.

Blocks depend on those of the two antidiagonals before, so that a whole antidiagonal is predicted at once, on
the CPU: hundreds of steps on so few values take a GPU longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.frequencies import FIRST_CHANNELS

DC = (
    slice(FIRST_CHANNELS[0], FIRST_CHANNELS[0] + 1),
    slice(FIRST_CHANNELS[1], FIRST_CHANNELS[2] + 1, FIRST_CHANNELS[2] - FIRST_CHANNELS[1]),
)
"""The DC channels of luma and of both chroma components."""
NEARNESS = 2.0
"""Steps that are added to the difference from a neighbour's luma DC, whose inverse square is its weight."""


def skewed(blocks: Tensor) -> Tensor:
    """Blocks (..., h, w) by antidiagonal and row: (..., h + w - 1, h). Other places are zero."""
    height, width = blocks.shape[-2:]
    flat = F.pad(blocks, (0, height)).flatten(-2)[..., : height * (height + width - 1)]
    return flat.reshape(*blocks.shape[:-1], height + width - 1).transpose(-1, -2).contiguous()


def unskewed(diagonals: Tensor) -> Tensor:
    """The inverse of `skewed`."""
    count, height = diagonals.shape[-2:]
    flat = F.pad(diagonals.transpose(-1, -2).flatten(-2), (0, height))
    return flat.reshape(*diagonals.shape[:-2], height, count + 1)[..., : count + 1 - height]


def scanned(
    shape: Sequence[int],
    shares: Tensor | None,
    values: Callable[[int, slice, Tensor], Tensor],
) -> Tensor:
    """The DC (B, C, h, w) of blocks, one antidiagonal after the other; all tensors are on the CPU.

    `shape` is (B, C, h, w). `values(diagonal, rows, prediction)` returns the DC of the blocks at
    `[..., diagonal, rows]` of skewed tensors from their `prediction`, both (B, C, n). `shares` are the
    weights of the left neighbours, skewed, (B, 1, h + w - 1, h), or None for the median edge detector.
    """
    *leading, height, width = shape
    # Two antidiagonals of zeros come first. Row y is at y + 1. The blocks at both ends are repeated beyond
    # them, so that a block with one neighbour has it twice.
    found = torch.zeros(*leading, height + width + 1, height + 2)
    for diagonal in range(height + width - 1):
        first, end = max(0, diagonal - width + 1), min(diagonal + 1, height)
        rows, before = slice(first, end), found[..., diagonal + 1, :]
        left, above = before[..., first + 1 : end + 1], before[..., first:end]
        if shares is None:
            corner = found[..., diagonal, first:end]
            low, high = torch.minimum(left, above), torch.maximum(left, above)
            prediction = torch.minimum(torch.maximum(left + above - corner, low), high)
        else:
            prediction = torch.lerp(above, left, shares[..., diagonal, rows])
        made = found[..., diagonal + 2, :]
        made[..., first + 1 : end + 1] = values(diagonal, rows, prediction)
        made[..., 0], made[..., end + 1] = made[..., 1], made[..., end]
    return unskewed(found[..., 2:, 1:-1])


def left_shares(luma: Tensor, steps: Tensor) -> Tensor:
    """The weight of the left neighbour in the prediction of chroma, from the luma DC; all (B, 1, h, w).

    Blocks in the first row or column have two equal neighbours, so that their weights have no effect.
    """
    far = NEARNESS * steps
    left = (luma - luma.roll(1, 3)).abs() + far
    above = (luma - luma.roll(1, 2)).abs() + far
    return above.square() / (left.square() + above.square())


def restored(latents: Tensor, steps: Tensor) -> Tensor:
    """Latents (B, 96, h, w) whose DC channels are residuals, as latents with the DC itself, float32.

    `latents` have any type, `steps` are (B, 1, h, w).
    """
    full, luma = torch.empty_like(latents, dtype=torch.float32).copy_(latents), None
    on_host = steps.cpu()
    for channels in DC:
        residuals = full[:, channels].cpu()
        offsets = skewed(residuals * on_host)

        def decoded(diagonal: int, rows: slice, prediction: Tensor, offsets: Tensor = offsets) -> Tensor:
            return prediction + offsets[..., diagonal, rows]

        shares = None if luma is None else skewed(left_shares(luma, on_host))
        luma = scanned(residuals.shape, shares, decoded)
        full[:, channels] = (luma / on_host).to(full.device, non_blocking=True)
    return full
