"""Planes as quads: 2 x 2 pixels as six channels, four of luma, row by row, and two of chroma.

Quads (B, 6, h / 2, w / 2), channels last in memory, are the input and output of the refining network, and
colours are computed from them. Two pixels of a row stay together in both layouts, so that they are moved as
one number of twice the size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.planes import CHROMA_SCALE, Planes, upsampled
from inrcodec.models.inrc.shapes import QUAD_CHANNELS
from inrcodec.models.layers.codes import CODES, to_samples
from inrcodec.models.layers.convolution import convolve

LUMA_CHANNELS = QUAD_CHANNELS - 2
PAIR = 2
"""Quads per row of the colour matrix product; shorter rows take as long."""
INPUT_GAIN, OUTPUT_GAIN = 4.0, 0.1
"""Factors on the network's input and output, so that weights of ordinary size suit both."""


def to_quads(planes: Planes) -> Tensor:
    """float32 planes with even sides as quads (B, 6, h / 2, w / 2). Not differentiable."""
    count, _, height, width = planes.luma.shape
    rows = planes.luma.contiguous().view(torch.int64).view(count, height // 2, 2, width // 2)
    pairs = rows.new_empty(count, height // 2, width // 2, QUAD_CHANNELS // 2)
    quads = pairs.view(torch.float32)
    # Strided copies take half the time of `stack`.
    pairs[..., 0], pairs[..., 1] = rows.unbind(2)
    quads[..., LUMA_CHANNELS], quads[..., LUMA_CHANNELS + 1] = planes.chroma.unbind(1)
    return quads.permute(0, 3, 1, 2)


def to_colours(quads: Tensor, is_smooth: bool) -> Tensor:
    """Quads (B, 6, h / 2, w / 2) -> RGB (B, h, w, 3), in [0, 1] except for overshoots.

    `is_smooth` says how chroma is upsampled; see `planes`.
    """
    if is_smooth:
        return _smooth_colours(quads, 1.0).permute(0, 2, 3, 1)
    return _in_rows(_colours_of_pairs(quads, 1.0), torch.int64)


def to_codes(quads: Tensor, is_smooth: bool, largest: int = CODES) -> Tensor:
    """Quads (B, 6, h / 2, w / 2) -> RGB (B, h, w, 3), 0 to `largest`; see `models.layers.codes`."""
    if is_smooth:
        return to_samples(_smooth_colours(quads, largest), largest).permute(0, 2, 3, 1)
    pairs = to_samples(_colours_of_pairs(quads, largest), largest)
    return _in_rows(pairs, torch.int32 if largest == CODES else torch.int64)


def as_images(quads: Tensor, is_smooth: bool) -> Tensor:
    """`to_colours` in plain operations, which can be traced: RGB (B, 3, h, w)."""
    luma = F.pixel_shuffle(quads[:, :LUMA_CHANNELS], 2)
    shifts = F.conv2d(quads[:, LUMA_CHANNELS:], _matrices(quads.device)[0].T[:, :, None, None])
    return upsampled(shifts, is_smooth) + (luma / math.sqrt(3) + 0.5)


@lru_cache(maxsize=8)
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices from chroma to colours (2, 3), and from two quads side by side to their pixels (12, 24)."""
    luma, first, second = (1 / math.sqrt(number) for number in (3, 2, 6))
    shifts = torch.tensor([[first, 0, -first], [second, -2 * second, second]]) / CHROMA_SCALE
    both = torch.zeros(PAIR, QUAD_CHANNELS, 2, PAIR, 2, 3)
    for quad in range(PAIR):
        for row in range(2):
            for column in range(2):
                both[quad, 2 * row + column, row, quad, column] = luma
                both[quad, LUMA_CHANNELS:, row, quad, column] = shifts
    return shifts.to(device), both.reshape(PAIR * QUAD_CHANNELS, -1).to(device)


def _colours_of_pairs(quads: Tensor, scale: float) -> Tensor:
    """`scale` times the colours of quads (B, 6, h, w) in pairs, row by row: (B, h, w / 2, 24)."""
    values = quads.permute(0, 2, 3, 1)
    count, height, width, _ = values.shape
    pairs = values.reshape(count, height, width // PAIR, -1)
    colours: Tensor = torch.matmul(pairs, scale * _matrices(quads.device)[1]).add_(scale / 2)
    return colours


def _in_rows(pixels: Tensor, chunk: torch.dtype) -> Tensor:
    """Pixels of pairs (B, h, w / 2, 24) as (B, 2 h, 2 w, 3), moved in units of the type `chunk`."""
    count, height, width, _ = pixels.shape
    parts = pixels.view(chunk).view(count, height, width, 2, -1)
    rows = parts.transpose(2, 3).contiguous().view(pixels.dtype)
    return rows.view(count, 2 * height, 2 * PAIR * width, 3)


def _smooth_colours(quads: Tensor, scale: float) -> Tensor:
    """`scale` times the colours of quads (B, 6, h, w), plane by plane: (B, 3, 2 h, 2 w).

    Planes are contiguous, and two of chroma are upsampled instead of three of colours: both take less time.
    """
    values = quads.permute(0, 2, 3, 1)
    count, height, width, _ = values.shape
    rows = values[..., :LUMA_CHANNELS].reshape(count, height, width, 2, 2).transpose(2, 3)
    chroma = upsampled(quads[:, LUMA_CHANNELS:].contiguous(), is_smooth=True)
    planes = torch.cat([rows.reshape(count, 1, 2 * height, 2 * width), chroma], 1)
    shifts = _matrices(quads.device)[0]
    to_rgb = torch.cat([shifts.new_full((1, 3), 1 / math.sqrt(3)), shifts]).T * scale
    return torch.matmul(to_rgb, planes.flatten(2)).view(planes.shape).add_(scale / 2)


def refine(quads: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Quads (B, 6, h, w) plus the output of the refining network, two convolutions.

    `weights` are `refine.first.weight` (width, 6, 3, 3), `refine.last.weight` (6, width, 3, 3) and both
    biases. Without weights the quads are returned as they are.
    """
    if not weights:
        return quads
    # The gain is a power of two, so scaling the weights gives the same products as scaling the input.
    first = weights["refine.first.weight"] * INPUT_GAIN
    hidden = F.relu_(F.conv2d(quads, first, weights["refine.first.bias"], padding=1))
    error = convolve(hidden, weights["refine.last.weight"], weights["refine.last.bias"])
    return torch.add(quads, error, alpha=OUTPUT_GAIN)
