"""Frames as samples of 8 or 10 bits, in tensors of uint8 or int16: torch hardly computes with uint16."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inrcodec.samples import Samples

CODES, DEEP_CODES = 255, 1023
"""The largest samples of 8 and of 10 bits."""


def peak(codes: Tensor) -> int:
    """The largest sample of a tensor's depth."""
    return CODES if codes.dtype == torch.uint8 else DEEP_CODES


def as_tensor(frames: Samples) -> Tensor:
    """Frames in memory as a tensor on the CPU, which shares their memory: uint8, or int16 for 10 bits."""
    return torch.from_numpy(frames if frames.dtype == np.uint8 else frames.view(np.int16))


def as_array(codes: Tensor) -> Samples:
    """The inverse of `as_tensor`, from any device."""
    array: Samples = codes.cpu().numpy()
    return array if array.dtype == np.uint8 else array.view(np.uint16)


def fractions(codes: Tensor) -> Tensor:
    """Colours from 0 to 1, float32."""
    return codes.float() / peak(codes)


def to_uint8(values: Tensor) -> Tensor:
    """Convert `values`, overwritten, to uint8: rounded, clamped to 0..255; NaN and infinities become 0.

    Goes by way of int8, which takes a sixth of the time of converting to uint8.
    """
    whole = values.nan_to_num_(0.0, 0.0, 0.0).clamp_(0, CODES).round_()
    return whole.sub_(128).to(torch.int8).view(torch.uint8).bitwise_xor_(128)


def to_samples(values: Tensor, largest: int) -> Tensor:
    """As `to_uint8`, but with any largest sample: above 255 the result is int16."""
    if largest == CODES:
        return to_uint8(values)
    return values.nan_to_num_(0.0, 0.0, 0.0).clamp_(0, largest).round_().to(torch.int16)


def as_codes(frames: Tensor, largest: int = CODES) -> Tensor:
    """Convert `frames` (B, 3, height, width) in [0, 1], overwritten, to samples (B, height, width, 3)."""
    return to_samples(frames.mul_(largest), largest).permute(0, 2, 3, 1).contiguous()
