"""Overlapped block motion compensation: the prediction of version 1 of the syntax. Normative.

Every node of the motion field moves a tile of its reference: its cell of pixels and a quarter of a cell on
each side. Tiles overlap, and weights that rise linearly across the overlap blend them (M. Orchard and G.
Sullivan, "Overlapped block motion compensation: an estimation-theoretic approach", 1994). References are
looked up at eighths of a pixel by cubic convolution (R. Keys, "Cubic convolution interpolation for digital
image processing", 1981).

Window and interpolation are both separable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
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
def _taps(device: torch.device) -> Tensor:
    """`cubic_weights`, float32."""
    with torch.inference_mode(False):
        return cubic_weights().float().to(device)


@lru_cache(maxsize=32)
def windows(rows: int, columns: int, cell: int, device: torch.device) -> Tensor:
    """The weights of each node's tile, (rows, columns, 1, tile, tile)."""
    with torch.inference_mode(False):
        down, across = window(rows, cell), window(columns, cell)
        return (down[:, None, :, None] * across[:, None, :])[:, :, None].to(device)


@lru_cache(maxsize=32)
def _inside(side: int, wide: int, device: torch.device) -> Tensor:
    """How far the pixels of a patch, (side, side), lie behind its first in an image `wide` pixels wide."""
    with torch.inference_mode(False):
        return (torch.arange(side)[:, None] * wide + torch.arange(side)).to(device)


@dataclass(frozen=True)
class Nodes:
    """Some nodes of a batch of fields, and their cells."""

    frames: Tensor
    """(N,): places in the batch."""
    rows: Tensor
    """(N,)."""
    columns: Tensor
    """(N,)."""
    cell: int
    """The side of a cell in the images, pixels."""


def _all_nodes(count: int, rows: int, columns: int, cell: int, device: torch.device) -> Nodes:
    """The nodes of `count` fields by frame, row and column."""
    every = torch.arange(count * rows * columns, device=device)
    inside = torch.remainder(every, rows * columns)
    down = torch.div(inside, columns, rounding_mode="floor")
    frames = torch.div(every, rows * columns, rounding_mode="floor")
    return Nodes(frames, down, torch.remainder(inside, columns), cell)


def predict_overlapped(
    before: Tensor, after: Tensor | None, field: Tensor, pixels_per_unit: float = 1.0
) -> Tensor:
    """Predict frames (B, C, h, w) from their references and their fields (B, 5, rows, columns).

    The arguments are those of `prediction.predict`.
    """
    count, _, rows, columns = field.shape
    cell = before.shape[2] // rows
    nodes = _all_nodes(count, rows, columns, cell, field.device)
    vectors = field.permute(0, 2, 3, 1).reshape(count * rows * columns, -1)
    sides = _sides(before, after, vectors, nodes, pixels_per_unit)
    tiles = _weighted(sides, vectors).view(count, rows, columns, -1, *sides[0].shape[2:])
    weighted = tiles * windows(rows, columns, cell, tiles.device)
    return joined(weighted.permute(0, 3, 1, 4, 2, 5), cell, cell)


def predict_moving(
    before: Tensor, after: Tensor | None, field: Tensor, pixels_per_unit: float = 1.0
) -> Tensor:
    """`predict_overlapped`, with tiles only for nodes that are not zero if these are few.

    The rest is the reference, or the mean of both. On a GPU all nodes have tiles: the host would wait for the
    number of others.
    """
    moves = field.ne(0).any(1)
    if not field.is_cpu or 2 * int(moves.sum()) > moves.numel():
        return predict_overlapped(before, after, field, pixels_per_unit)
    still = before if after is None else (before + after) / 2
    frames, down, across = cells = moves.nonzero(as_tuple=True)
    if not len(frames):
        return still.clone()
    rows, columns = field.shape[2:]
    cell = before.shape[2] // rows
    nodes = Nodes(frames, down, across, cell)
    vectors = field.permute(0, 2, 3, 1)[cells]
    tiles = _weighted(_sides(before, after, vectors, nodes, pixels_per_unit), vectors)
    tiles -= _patches(still, vectors.new_zeros(len(vectors), 2).long(), nodes, 0)
    tiles *= windows(rows, columns, cell, tiles.device)[down, across]
    side = tiles.shape[-1]
    every = tiles.new_zeros(len(field), tiles.shape[1], rows, side, columns, side)
    every.permute(0, 2, 4, 1, 3, 5)[cells] = tiles
    return joined(every, cell, cell).add_(still)


def moved_tiles(
    before: Tensor, after: Tensor, field: Tensor, pixels_per_unit: float
) -> tuple[Tensor, Tensor]:
    """Both references of a bi-predicted frame moved by its field (1, 5, rows, columns), without weights.

    Tiles are (rows, columns, C, tile, tile).
    """
    rows, columns = field.shape[2:]
    nodes = _all_nodes(1, rows, columns, before.shape[2] // rows, field.device)
    sides = _sides(before, after, field[0].flatten(1).T, nodes, pixels_per_unit)
    first, second = (side.view(rows, columns, *side.shape[1:]) for side in sides)
    return first, second


def _sides(
    before: Tensor, after: Tensor | None, vectors: Tensor, nodes: Nodes, pixels_per_unit: float
) -> list[Tensor]:
    """The tiles of each reference, moved by the vectors (N, 5) of `nodes`; see `_tiles`."""
    half = vectors[:, :2] / pixels_per_unit
    if after is None:
        return [_tiles(before, half, nodes)]
    common = vectors[:, 2:4] / pixels_per_unit
    return [_tiles(before, common - half, nodes), _tiles(after, common + half, nodes)]


def _weighted(sides: list[Tensor], vectors: Tensor) -> Tensor:
    """The mean of both references by the balance of the vectors (N, 5), or the only one."""
    if len(sides) == 1:
        return sides[0]
    return torch.lerp(sides[1], sides[0], (0.5 + vectors[:, 4])[:, None, None, None])


def _tiles(images: Tensor, motion: Tensor, nodes: Nodes) -> Tensor:
    """The tiles (N, C, tile, tile) of nodes in images (B, C, h, w), moved by motion (N, 2) in pixels.

    They have no weights yet. Positions beyond the edges have the values at the edges. Four multiplications a
    pixel along each axis take half the time of matrix products.
    """
    eighths = (motion * PHASES + 0.5).floor().long()
    whole = torch.div(eighths, PHASES, rounding_mode="floor")
    across, down = _taps(images.device)[eighths - PHASES * whole][:, :, None, None, None].unbind(1)
    patches = _patches(images, whole, nodes, TAPS - 1)
    return _filtered(_filtered(patches, down, -2), across, -1)


def _filtered(values: Tensor, weights: Tensor, axis: int) -> Tensor:
    """The sum of `TAPS` successive values along an axis, with weights in the last axis of `weights`."""
    count = values.shape[axis] - TAPS + 1
    total = values.narrow(axis, 0, count) * weights[..., 0]
    for tap in range(1, TAPS):
        total = total.addcmul_(values.narrow(axis, tap, count), weights[..., tap])
    return total


def _patches(images: Tensor, whole: Tensor, nodes: Nodes, more: int) -> Tensor:
    """Tiles (N, C, tile + more, tile + more), moved by `whole` (N, 2) pixels.

    The first of `more` rows and columns lies before the tile.
    """
    count, channels, height, width = images.shape
    over, first = overlap_of(nodes.cell), min(more, 1)
    side = nodes.cell + 2 * over + more
    # A patch beyond an edge by more than its side has the values at the edge alone.
    across = (nodes.columns * nodes.cell + (whole[:, 0] - over - first)).clamp(-side, width) + side
    down = (nodes.rows * nodes.cell + (whole[:, 1] - over - first)).clamp(-side, height) + side
    bordered = F.pad(images, (side,) * 4, mode="replicate")
    tall, wide = bordered.shape[2:]
    planes = nodes.frames[:, None] * channels + torch.arange(channels, device=images.device)
    corners = planes * (tall * wide) + (down * wide + across)[:, None]
    at = corners[..., None, None] + _inside(side, wide, images.device)
    return bordered.view(-1).index_select(0, at.view(-1)).view(at.shape)


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
