"""Where each block of a frame was in another frame: block matching from coarse to fine.

Every pair of frames is searched at once, one shift at a time: at the coarsest scale all shifts up to
`RADIUS`, then those around the best and its neighbours', down to quarters of a pixel of the finest scale.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.prediction import look_up
from inrcodec.models.inrc.shapes import CELL

RADIUS = 10
"""Pixels of the coarsest scale."""
COARSE_WINDOW, WINDOW = 32, 24
"""Sides of the square around a node's centre that is compared, pixels."""
SMOOTHNESS = 0.004
"""What a shift that is not zero, by pixels of the scale, or a neighbour's, adds to the mean difference."""
COARSEST_SIDE = 80
"""About the longer side of the coarsest images, pixels."""
SCALES = 3


def coarsest_scale(height: int, width: int) -> int:
    """A power of two from 1 to 8; the finest scale that is searched is a quarter of it, or 1."""
    power = max(0, min(3, round(math.log2(max(height, width, 1) / COARSEST_SIDE))))
    return 1 << power


def finest_scale(height: int, width: int) -> int:
    return max(1, coarsest_scale(height, width) >> (SCALES - 1))


def search(current: Tensor, reference: Tensor) -> Tensor:
    """Motion (B, 2, rows, columns) in pixels, from luma of both frames (B, 1, height, width)."""
    height, width = current.shape[2:]
    scale = coarsest_scale(height, width)
    motion = _all_shifts(F.avg_pool2d(current, scale), F.avg_pool2d(reference, scale), scale)
    least = finest_scale(height, width)
    while True:
        is_finest = scale == least
        now, before = F.avg_pool2d(current, scale), F.avg_pool2d(reference, scale)
        steps = (1.0, 0.5, 0.25) if is_finest else (1.0,)
        motion = _around(now, before, motion, scale, steps)
        if is_finest:
            return motion
        scale //= 2


def _window_mean(differences: Tensor, window: int, scale: int) -> Tensor:
    """Mean over the window of each node, which is cut at the edges."""
    stride = CELL // scale
    size = max(stride, window // scale)
    size += (size - stride) % 2
    return F.avg_pool2d(differences, size, stride, (size - stride) // 2, count_include_pad=False)


def _all_shifts(current: Tensor, reference: Tensor, scale: int) -> Tensor:
    height, width = current.shape[2:]
    around = F.pad(reference, (RADIUS,) * 4, mode="replicate")
    nodes = _window_mean(current, COARSE_WINDOW, scale)
    least = torch.full_like(nodes, math.inf)
    motion = nodes.new_zeros(len(nodes), 2, *nodes.shape[2:])
    for down in range(-RADIUS, RADIUS + 1):
        for across in range(-RADIUS, RADIUS + 1):
            top, left = RADIUS + down, RADIUS + across
            shifted = around[:, :, top : top + height, left : left + width]
            cost = _window_mean((current - shifted).abs_(), COARSE_WINDOW, scale)
            cost += SMOOTHNESS * math.hypot(down, across)
            better = cost < least
            least = torch.where(better, cost, least)
            shift = motion.new_tensor([across, down]).view(1, 2, 1, 1) * scale
            motion = torch.where(better, shift, motion)
    return motion


def _around(
    current: Tensor, reference: Tensor, motion: Tensor, scale: int, steps: tuple[float, ...]
) -> Tensor:
    """The best of `motion`, its neighbours' and, for each of `steps`, the eight shifts around the best."""

    def cost_of(candidate: Tensor) -> Tensor:
        nodes = candidate.permute(0, 2, 3, 1)
        at_pixels = nodes.repeat_interleave(CELL // scale, 1).repeat_interleave(CELL // scale, 2)
        return _window_mean((current - _warped(reference, at_pixels / scale)).abs_(), WINDOW, scale)

    best, least = motion, cost_of(motion)

    def keep_better(candidate: Tensor, extra: float) -> None:
        nonlocal best, least
        cost = cost_of(candidate) + extra
        better = cost < least
        best, least = torch.where(better, candidate, best), torch.where(better, cost, least)

    for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        keep_better(torch.roll(best, shift, (2, 3)), SMOOTHNESS)
    for step in steps:
        centre = best
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                if down or across:
                    offset = centre.new_tensor([across, down]).view(1, 2, 1, 1) * (step * scale)
                    keep_better(centre + offset, 0.0)
    return best


def _warped(images: Tensor, motion: Tensor) -> Tensor:
    """Images (B, C, h, w) looked up at motion (B, h, w, 2) pixels from each place."""
    height, width = images.shape[2:]
    y = (torch.arange(height, dtype=motion.dtype, device=motion.device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, dtype=motion.dtype, device=motion.device) + 0.5) * (2 / width) - 1
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    return look_up(images, torch.addcmul(centres, motion, motion.new_tensor([2 / width, 2 / height])))
