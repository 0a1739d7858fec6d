"""Motion estimation by hierarchical block matching.

The coarsest scale is searched fully, up to `RADIUS`. Every scale then refines the motion vectors with
those of neighbours and with shifts around the best, down to quarter pixels of the finest scale. Each shift is
evaluated for all nodes of all frame pairs at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.prediction import look_up, pixel_units
from inrcodec.models.inrc.shapes import CELL

RADIUS = 10
"""Range of the full search, pixels of the coarsest scale."""
COARSE_WINDOW, WINDOW = 32, 24
"""Side of the square around a node's centre that is matched, in the full search and in refinement, pixels."""
SMOOTHNESS = 0.012
"""Penalty on the mean absolute difference: per pixel of motion in the full search (pixels of the coarsest
scale), and once for a vector taken over from a neighbour."""
FINEST_ROWS = 2
"""The distance between the rows of pixels that are compared at the finest scale."""
COARSEST_SIDE = 80
"""Approximate longer side of the coarsest images, pixels."""


def coarsest_scale(height: int, width: int) -> int:
    """The largest downscaling factor searched, a power of two from 1 to 8."""
    power = max(0, min(3, round(math.log2(max(height, width, 1) / COARSEST_SIDE))))
    return 1 << power


def search(current: Tensor, reference: Tensor) -> Tensor:
    """Motion vectors (B, 2, rows, columns) in pixels; both luma planes are (B, 1, height, width)."""
    height, width = current.shape[2:]
    scale = coarsest_scale(height, width)
    motion = _all_shifts(F.avg_pool2d(current, scale), F.avg_pool2d(reference, scale), scale)
    while True:
        is_finest = scale == 1
        now, before = F.avg_pool2d(current, scale), F.avg_pool2d(reference, scale)
        steps = (1.0, 0.5, 0.25) if is_finest else (1.0,)
        motion = _around(now, before, motion, scale, steps)
        if is_finest:
            return motion
        scale //= 2


def _window_mean(differences: Tensor, window: int, scale: int, rows: int = 1) -> Tensor:
    """Mean over the window of each node, from every `rows`-th row; windows are cropped at image edges."""
    stride = CELL // scale
    size = max(stride, window // scale)
    size += (size - stride) % 2
    padding = (size - stride) // 2
    kernel, strides = (size // rows, size), (stride // rows, stride)
    return F.avg_pool2d(differences, kernel, strides, (padding // rows, padding), count_include_pad=False)


def _all_shifts(current: Tensor, reference: Tensor, scale: int) -> Tensor:
    """The best whole shifts of up to `RADIUS`, as vectors (B, 2, rows, columns) in pixels."""
    height, width = current.shape[2:]
    around = F.pad(reference, (RADIUS,) * 4, mode="replicate")
    nodes = _window_mean(current, COARSE_WINDOW, scale)
    least = torch.full_like(nodes, math.inf)
    best = torch.zeros_like(nodes, dtype=torch.int64)
    every = torch.arange(-RADIUS, RADIUS + 1, device=current.device)
    penalties = SMOOTHNESS * torch.hypot(every[:, None].double(), every.double()).float()
    for row in range(len(every)):
        # All shifts of a row at once, as channels: images this small take less time than launches.
        shifted = around[:, 0, row : row + height].unfold(2, width, 1).transpose(1, 2)
        costs = _window_mean((current - shifted).abs_(), COARSE_WINDOW, scale)
        costs += penalties[row, :, None, None]
        cost, column = costs.min(1, keepdim=True)
        better = cost < least
        least = torch.where(better, cost, least)
        best = torch.where(better, column + row * len(every), best)
    down = torch.div(best, len(every), rounding_mode="floor")
    return (torch.cat([best - down * len(every), down], 1) - RADIUS) * float(scale)


def _around(
    current: Tensor, reference: Tensor, motion: Tensor, scale: int, steps: tuple[float, ...]
) -> Tensor:
    """Refine `motion` by its neighbours' vectors and, for each of `steps`, by the eight shifts around it."""

    side, rows = CELL // scale, FINEST_ROWS if scale == 1 else 1
    compared = current[:, :, ::rows].contiguous()

    def cost_of(candidate: Tensor) -> Tensor:
        nodes = (candidate / scale).permute(0, 2, 3, 1)[:, :, None, :, None]
        spread = nodes.expand(-1, -1, side // rows, -1, side, -1)
        at_pixels = spread.reshape(len(nodes), *compared.shape[2:], 2)
        return _window_mean((compared - _warped(reference, at_pixels, rows)).abs_(), WINDOW, scale, rows)

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
                    moved = [centre[:, 0] + across * step * scale, centre[:, 1] + down * step * scale]
                    keep_better(torch.stack(moved, 1), 0.0)
    return best


def _warped(images: Tensor, motion: Tensor, rows: int) -> Tensor:
    """Every `rows`-th row of images (B, C, h, w) warped by motion (B, h / rows, w, 2), in pixels."""
    size = *images.shape[2:], motion.dtype, motion.device
    return look_up(images, torch.addcmul(_centres(*size)[::rows], motion, pixel_units(*size)))


@lru_cache(maxsize=32)
def _centres(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The places of the pixels, (h, w, 2); see `look_up`."""
    with torch.inference_mode(False):
        y = (torch.arange(height, dtype=dtype, device=device) + 0.5) * (2 / height) - 1
        x = (torch.arange(width, dtype=dtype, device=device) + 0.5) * (2 / width) - 1
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
