"""The orthonormal 2D Haar transform from a frame to a low-pass and three high-pass bands, and back.

    cell [a b]      LL = (a + b + c + d) / 2     LH = (a + b - c - d) / 2   differences between rows
         [c d]      HL = (a - b + c - d) / 2     HH = (a - b - c + d) / 2   HL: between columns

Signs and order are those of `pywt.dwt2(frame, "haar")`, which returns (LL, (LH, HL, HH)), with
dec_lo = [1, 1] / sqrt(2) and dec_hi = [-1, 1] / sqrt(2). Frames in [0, 1] give LL in [0, 2] and the other
bands in [-1, 1]. Mallat, "A Wavelet Tour of Signal Processing", section 7.7; used by SNeRV, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor


def haar(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Transform frames (B, C, H, W) to low (B, C, H', W') and high (B, C, 3, H', W'), ordered LH, HL, HH.

    H' and W' are H / 2 and W / 2 rounded up; an odd height or width repeats the last row or column.
    """
    even = _evened(_evened(frames, -1), -2)
    upper, lower = even[..., 0::2, :], even[..., 1::2, :]
    sums, differences = upper + lower, upper - lower
    low, between_columns = _pairs(sums)
    between_rows, diagonal = _pairs(differences)
    return low, torch.stack([between_rows, between_columns, diagonal], dim=2)


def inverse_haar(low: Tensor, high: Tensor) -> Tensor:
    """Frames (B, C, 2 H', 2 W') from low (B, C, H', W') and high (B, C, 3, H', W'), ordered LH, HL, HH."""
    between_rows, between_columns, diagonal = high.unbind(dim=2)
    sums = _interleaved(low, between_columns)
    differences = _interleaved(between_rows, diagonal)
    rows = torch.stack([sums + differences, sums - differences], dim=-2) / 2
    return rows.flatten(-3, -2)


def _evened(frames: Tensor, axis: int) -> Tensor:
    """Frames with an odd size along `axis` made even by repeating the last row or column.

    `F.pad` would not do: on CUDA the backward pass of its "replicate" mode differs from run to run.
    """
    size = frames.shape[axis]
    return frames if size % 2 == 0 else torch.cat([frames, frames.narrow(axis, size - 1, 1)], dim=axis)


def _pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """Half the sums and half the differences of neighbouring columns: (..., W) to two of (..., W / 2)."""
    left, right = values[..., 0::2], values[..., 1::2]
    return (left + right) / 2, (left - right) / 2


def _interleaved(sums: Tensor, differences: Tensor) -> Tensor:
    """Inverse of `_pairs` up to its factor: columns (..., 2 W) from sums and differences (..., W)."""
    return torch.stack([sums + differences, sums - differences], dim=-1).flatten(-2)
