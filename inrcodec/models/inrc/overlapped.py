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
    """The weights of each node's tile, (rows, columns, 1, tile, tile + `TAPS`), in the layout of `_tiles`."""
    with torch.inference_mode(False):
        down, across = window(rows, cell), F.pad(window(columns, cell), (0, TAPS))
        return (down[:, None, :, None] * across[:, None, :])[:, :, None].to(device)


@lru_cache(maxsize=32)
def _inside(channels: int, side: int, tall: int, wide: int, device: torch.device) -> tuple[Tensor, int]:
    """How far the values of a patch (channels, side, side) lie behind its first in images `tall` x `wide`.

    Also returns the largest of these distances.
    """
    with torch.inference_mode(False):
        places = torch.arange(side)[:, None] * wide + torch.arange(side)
        inside = torch.arange(channels)[:, None, None] * (tall * wide) + places
        return inside.to(device), int(inside.max())


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

    @property
    def tile(self) -> int:
        """The side of a tile, pixels."""
        return self.cell + 2 * overlap_of(self.cell)


@lru_cache(maxsize=32)
def _all_nodes(count: int, rows: int, columns: int, cell: int, device: torch.device) -> Nodes:
    """The nodes of `count` fields by frame, row and column."""
    with torch.inference_mode(False):
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
    tiles = _weighted(_sides(before, after, vectors, nodes, pixels_per_unit), vectors)
    every = tiles.view(count, rows, columns, *tiles.shape[1:])
    every *= windows(rows, columns, cell, tiles.device)
    return joined(every[..., : nodes.tile].permute(0, 3, 1, 4, 2, 5), cell, cell)


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
    tiles -= _patches(still, vectors.new_zeros(len(vectors), 2).long(), nodes)[:, :, : nodes.tile]
    tiles *= windows(rows, columns, cell, tiles.device)[down, across]
    every = tiles.new_zeros(len(field), rows, columns, *tiles.shape[1:])
    every[cells] = tiles
    return joined(every[..., : nodes.tile].permute(0, 3, 1, 4, 2, 5), cell, cell).add_(still)


def moved_tiles(
    before: Tensor, after: Tensor, field: Tensor, pixels_per_unit: float
) -> tuple[Tensor, Tensor]:
    """Both references of a bi-predicted frame moved by its field (1, 5, rows, columns), without weights.

    Tiles are (rows, columns, C, tile, tile + `TAPS`); see `_tiles`.
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
    images, motion = [before], (vectors[:, :2] / pixels_per_unit)[None]
    if after is not None:
        half, common = motion[0], vectors[:, 2:4] / pixels_per_unit
        images, motion = [before, after], torch.stack([common - half, common + half])
    eighths = (motion * PHASES + 0.5).floor().long()
    whole = torch.div(eighths, PHASES, rounding_mode="floor")
    taps = _taps(before.device)[eighths - PHASES * whole][..., None, None]
    return [_tiles(*one, nodes) for one in zip(images, whole, taps, strict=True)]


def _weighted(sides: list[Tensor], vectors: Tensor) -> Tensor:
    """The mean of both references by the balance of the vectors (N, 5), or the only one."""
    if len(sides) == 1:
        return sides[0]
    return torch.lerp(sides[1], sides[0], (0.5 + vectors[:, 4])[:, None, None, None])


def _tiles(images: Tensor, whole: Tensor, taps: Tensor, nodes: Nodes) -> Tensor:
    """The tiles (N, C, tile, tile + `TAPS`) of nodes in images (B, C, h, w), without their weights.

    They are moved by `whole` (N, 2) pixels and filtered with `taps` (N, 2, `TAPS`, 1, 1); x comes first.
    Positions beyond the edges have the values at the edges. The last `TAPS` columns have no meaning: with
    them, a tile is one run in memory for both filters. Four multiplications a pixel along each axis take half
    the time of matrix products.
    """
    tile, side = nodes.tile, nodes.tile + TAPS
    across, down = taps.unbind(1)
    # The first of the filters' values lies before the tile.
    patches = _patches(images, whole - 1, nodes).flatten(2)
    tall = _filtered(patches, down, side, (tile + 1) * side)
    return _filtered(tall, across, 1, tile * side).view(*tall.shape[:2], tile, side)


def _filtered(values: Tensor, taps: Tensor, step: int, count: int) -> Tensor:
    """`count` sums of `TAPS` values (N, C, n), `step` apart, times the taps (N, `TAPS`, 1, 1)."""
    first, *others = taps.unbind(1)
    total = values.narrow(-1, 0, count) * first
    for place, tap in enumerate(others, 1):
        total.addcmul_(values.narrow(-1, place * step, count), tap)
    return total


def _patches(images: Tensor, whole: Tensor, nodes: Nodes) -> Tensor:
    """Tiles (N, C, tile + `TAPS`, tile + `TAPS`), moved by `whole` (N, 2) pixels, with more behind them."""
    _, channels, height, width = images.shape
    over, side = overlap_of(nodes.cell), nodes.tile + TAPS
    # A patch beyond an edge by more than its side has the values at the edge alone.
    across = (nodes.columns * nodes.cell + (whole[:, 0] - over)).clamp(-side, width) + side
    down = (nodes.rows * nodes.cell + (whole[:, 1] - over)).clamp(-side, height) + side
    bordered = F.pad(images, (side,) * 4, mode="replicate")
    tall, wide = bordered.shape[2:]
    corners = nodes.frames * (channels * tall * wide) + down * wide + across
    inside, last = _inside(channels, side, tall, wide, images.device)
    if not bordered.is_cpu or torch.compiler.is_compiling():
        # Exported graphs have no overlapping views.
        at = corners[:, None, None, None] + inside
        return bordered.view(-1).index_select(0, at.view(-1)).view(at.shape)
    # A view of the patches at all places, whose rows are copied as a whole, takes a third of the time.
    shape, strides = (bordered.numel() - last, channels, side, side), (1, tall * wide, wide, 1)
    return bordered.as_strided(shape, strides).index_select(0, corners)


def joined(tiles: Tensor, down: int, across: int) -> Tensor:
    """The sum of weighted tiles (B, C, rows, tile, columns, tile) where they overlap: (B, C, h, w).

    `down` and `across` are the pixels from tile to tile. Overwrites the tiles.
    """
    over = (tiles.shape[3] - down) // 2
    tiles[:, :, 1:, over : 2 * over] += tiles[:, :, :-1, over + down :]
    tiles[:, :, :-1, down : over + down] += tiles[:, :, 1:, :over]
    tall = tiles[:, :, :, over : over + down]
    over = (tiles.shape[5] - across) // 2
    whole = tall[..., over : over + across].clone(memory_format=torch.contiguous_format)
    whole[..., 1:, :over] += tall[..., :-1, over + across :]
    whole[..., :-1, across - over :] += tall[..., 1:, :over]
    return whole.flatten(4).flatten(2, 3)
