"""Planes as cells: 2 x 2 pixels as six values, their luma row by row and both of their chroma.

What the refining network sees and says, and what colours are made of: (B, 6, h / 2, w / 2), channels last.
Two pixels of a row stay together in both layouts, so that they are moved as one number of twice the size.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc import CELL_CHANNELS
from inrcodec.models.planes import SIDE, Planes

LUMA = SIDE * SIDE


def to_cells(planes: Planes) -> Tensor:
    """Planes, which need no gradients, as cells."""
    count, _, height, width = planes.luma.shape
    rows = planes.luma.contiguous().view(torch.int64).view(count, height // SIDE, SIDE, width // SIDE)
    both = torch.stack([*planes.chroma.unbind(1)], -1).view(torch.int64)[..., 0]
    return torch.stack([rows[:, :, 0], rows[:, :, 1], both], -1).view(torch.float32).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """What makes colours of chroma (2, 3), and of a cell (6, 12): rows, columns, colours of its pixels."""
    one, two, three = (1 / math.sqrt(number) for number in (2, 6, 3))
    shifts = torch.tensor([[one, 0, -one], [two, -2 * two, two]]) / SIDE
    luma = three * torch.eye(LUMA)[:, :, None].expand(-1, -1, 3)
    whole = torch.cat([luma, shifts[:, None].expand(-1, LUMA, -1)])
    return shifts.to(device), whole.reshape(CELL_CHANNELS, -1).contiguous().to(device)


def to_colours(cells: Tensor, is_smooth: bool) -> Tensor:
    """Cells -> RGB (B, h, w, 3), in [0, 1] but for what overshoots.

    Chroma `is_smooth` where it is linear between its values; else each value is that of four pixels.
    """
    values = cells.permute(0, 2, 3, 1)
    count, height, width, _ = values.shape
    shifts, whole = _matrices(cells.device)
    if is_smooth:
        small = torch.matmul(values[..., LUMA:], shifts).permute(0, 3, 1, 2)
        colours = F.interpolate(small, scale_factor=SIDE, mode="bilinear", align_corners=False)
        rows = values[..., :LUMA].unflatten(3, (SIDE, SIDE)).transpose(2, 3)  # type: ignore[no-untyped-call]
        luma = rows.reshape(count, SIDE * height, SIDE * width, 1)
        return colours.permute(0, 2, 3, 1).add_(luma / math.sqrt(3) + 0.5)
    flat = values.reshape(-1, CELL_CHANNELS)
    half, frames = whole.new_full((1,), 0.5), values.new_empty(count, height, SIDE, SIDE * 3 * width)
    for row, matrix in enumerate(whole.chunk(SIDE, 1)):
        frames[:, :, row] = torch.addmm(half, flat, matrix).view(count, height, -1)
    return frames.view(count, SIDE * height, SIDE * width, 3)
