"""Frames as they are shown: eight bits a colour."""

from __future__ import annotations

import torch
from torch import Tensor


def as_codes(frames: Tensor) -> Tensor:
    """Frames (B, 3, height, width) in [0, 1], which are overwritten, as uint8 (B, height, width, 3).

    What is no number counts as 0.
    """
    whole = frames.nan_to_num_(0.0, 0.0, 0.0).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
    return whole.permute(0, 2, 3, 1).contiguous()
