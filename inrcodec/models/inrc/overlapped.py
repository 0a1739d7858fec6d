"""Overlapped block motion compensation: the prediction of version 1 of the syntax. Normative.

Every node of the motion field moves a tile of its reference: its cell of pixels and a quarter of a cell on
each side. Tiles overlap, and weights that rise linearly across the overlap blend them (M. Orchard and G.
Sullivan, "Overlapped block motion compensation: an estimation-theoretic approach", 1994). References are
looked up at eighths of a pixel by cubic convolution (R. Keys, "Cubic convolution interpolation for digital
image processing", 1981).

Window and interpolation are both separable, so a tile is one small matrix product on each side of a patch of
the reference.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

PHASES = 8
"""Positions per pixel."""
TAPS = 4
CUBIC = -0.75
"""The slope parameter of cubic convolution."""
OVERLAP = 4
"""A tile extends by one part in `OVERLAP` of a cell beyond each side of its cell."""


def overlap_of(cell: int) -> int:
    """Pixels by which a tile extends beyond its cell of `cell` pixels, on each side."""
    return cell // OVERLAP


@lru_cache(maxsize=32)
def window(nodes: int, cell: int) -> Tensor:
    """The weights of each node's tile along one axis, (nodes, cell + 2 overlap); they add up to 1 per pixel.

    Outside the image they are 0, and at its edges 1.
    """
    over = overlap_of(cell)
    with torch.inference_mode(False):
        weights = torch.ones(nodes, cell + 2 * over)
        if over:
            ramp = (torch.arange(2 * over) + 0.5) / (2 * over)
            weights[:, : 2 * over], weights[:, -2 * over :] = ramp, ramp.flip(0)
            weights[0, : 2 * over], weights[-1, -2 * over :] = 1, 1
            weights[0, :over], weights[-1, -over:] = 0, 0
        return weights


def cubic_weights() -> Tensor:
    """Weights of the four pixels around a position, (phases, 4), in binary64."""
    places = torch.arange(PHASES, dtype=torch.float64) / PHASES
    a = CUBIC

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return torch.stack([far(places + 1), near(places), near(1 - places), far(2 - places)], 1)


@lru_cache(maxsize=32)
def _filters(nodes: int, cell: int, device: torch.device) -> Tensor:
    """Window times interpolation for each node and phase: (nodes, phases, tile, tile + 3)."""
    with torch.inference_mode(False):
        weights, taps = window(nodes, cell).double(), cubic_weights()
        tile = weights.shape[1]
        found = torch.zeros(PHASES, tile, tile + TAPS - 1, dtype=torch.float64)
        for tap in range(TAPS):
            found[:, torch.arange(tile), torch.arange(tile) + tap] = taps[:, tap : tap + 1]
        # Nodes inside have the same window: they share their memory.
        kinds = torch.stack([weights[0], weights[nodes // 2], weights[-1]])
        return (kinds[:, None, :, None] * found).float().to(device)


@lru_cache(maxsize=32)
def _places(nodes: int, cell: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """By node: its row of `_filters`, its first pixel, (nodes,), and the pixels of a patch from there."""
    with torch.inference_mode(False):
        kinds = torch.ones(nodes, dtype=torch.int64)
        kinds[0], kinds[-1] = 0, 2
        first = torch.arange(nodes) * cell - overlap_of(cell) - 1
        patch = torch.arange(cell + 2 * overlap_of(cell) + TAPS - 1)
        return kinds.to(device), first.to(device), patch.to(device)


def predict_overlapped(
    before: Tensor, after: Tensor | None, field: Tensor, pixels_per_unit: float = 1.0
) -> Tensor:
    """Predict frames (B, C, h, w) from their references and their fields (B, 5, rows, columns).

    The arguments are those of `prediction.predict`.
    """
    if after is None:
        tiles = _tiles(before, field[:, :2] / pixels_per_unit)
    else:
        share = (0.5 + field[:, 4])[:, None, :, :, None, None]
        first, second = moved_tiles(before, after, field, pixels_per_unit)
        tiles = torch.lerp(second, first, share)
    cell = before.shape[2] // field.shape[2]
    return joined(tiles.transpose(3, 4), cell, cell)


def moved_tiles(
    before: Tensor, after: Tensor, field: Tensor, pixels_per_unit: float
) -> tuple[Tensor, Tensor]:
    """The tiles of both references of bi-predicted frames, weighted by their windows; see `_tiles`."""
    half, common = field[:, :2] / pixels_per_unit, field[:, 2:4] / pixels_per_unit
    return _tiles(before, common - half), _tiles(after, common + half)


def _tiles(images: Tensor, motion: Tensor) -> Tensor:
    """Weighted tiles (B, C, rows, columns, tile, tile) of images (B, C, h, w), moved by motion in pixels.

    Positions beyond the edges have the values at the edges.
    """
    count, channels, height, width = images.shape
    rows, columns = motion.shape[2:]
    cell = height // rows
    eighths = (motion * PHASES + 0.5).floor().long()
    whole, phase = torch.div(eighths, PHASES, rounding_mode="floor"), torch.remainder(eighths, PHASES)
    kind_down, first_down, patch = _places(rows, cell, images.device)
    kind_across, first_across, _ = _places(columns, cell, images.device)
    down = ((first_down[:, None] + whole[:, 1])[..., None] + patch).clamp(0, height - 1)
    across = ((first_across + whole[:, 0])[..., None] + patch).clamp(0, width - 1)
    planes = torch.arange(count * channels, device=images.device).view(count, channels, 1, 1, 1, 1)
    at = planes * (height * width) + (down[..., :, None] * width + across[..., None, :])[:, None]
    patches = images.reshape(-1).index_select(0, at.reshape(-1)).view(at.shape)
    filter_down = _filters(rows, cell, images.device)[kind_down[:, None], phase[:, 1]]
    filter_across = _filters(columns, cell, images.device)[kind_across, phase[:, 0]]
    return filter_down[:, None] @ patches @ filter_across[:, None].transpose(-1, -2)


def joined(tiles: Tensor, down: int, across: int) -> Tensor:
    """The sum of weighted tiles (B, C, rows, tile, columns, tile) where they overlap: (B, C, h, w).

    `down` and `across` are the pixels from tile to tile.
    """
    over = (tiles.shape[3] - down) // 2
    tall = tiles[:, :, :, over : over + down].clone()
    tall[:, :, 1:, :over] += tiles[:, :, :-1, over + down :]
    tall[:, :, :-1, down - over :] += tiles[:, :, 1:, :over]
    over = (tiles.shape[5] - across) // 2
    whole = tall[..., over : over + across].clone()
    whole[..., 1:, :over] += tall[..., :-1, over + across :]
    whole[..., :-1, across - over :] += tall[..., 1:, :over]
    return whole.flatten(4).flatten(2, 3)
