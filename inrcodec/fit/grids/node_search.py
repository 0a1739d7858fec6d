"""Discrete refinement of motion at full resolution, by the prediction that the decoder makes.

Every node of the finest grid tries other symbols: those of its neighbours, zero, and small shifts of one or
both references. A symbol is kept if it lowers the cost of the residual plus the price of its bits. All nodes
try the same change at once, each against the tiles of its neighbours as they are, and change together unless
a neighbour gains far more (iterated conditional modes, in parallel: J. Besag, "On the statistical analysis of
dirty pictures", 1986).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.overlapped import PHASES, TAPS, cubic_weights, joined, overlap_of, window
from inrcodec.models.inrc.prediction import field_of
from inrcodec.models.inrc.shapes import CELL

SUBPIXELS = 4
"""Positions per pixel of the references; motion is a multiple of their distance."""
MARGIN = 32
"""Pixels beyond the edges at which references are known; motion that leads further ends there."""
ROWS = 2
"""The distance between the rows of pixels that are compared."""
SIMILAR = 0.5
"""A node may change if it gains at least this share of what each neighbour gains."""
KEPT_BYTES = 1 << 28
"""Memory for references at all positions."""
BALANCE = 4
"""The motion channel of the balance between both references."""

Moves = tuple[tuple[int, int], tuple[int, int]]
"""How a change moves each of two references, across and down, in steps."""
UNMOVED: Moves = ((0, 0), (0, 0))
Known = dict[tuple[int, tuple[int, int]], Tensor]
"""Tiles by the number of the reference and how it moves; see `NodeSearch`."""


@dataclass(frozen=True)
class Costs:
    """The cost of residuals and of bits, as squared error of planes."""

    weights: Tensor
    """(T,): factor on the squared error of each frame."""
    knee: float
    """Energy of an 8x8 block above which it counts by its logarithm."""
    price: float
    """The price of a bit."""


@dataclass(frozen=True)
class Change:
    """One change of motion that all nodes try."""

    make: Callable[[Tensor, Tensor], Tensor]
    """Makes another finest grid from the finest grid and the field, all (B, 5, rows, columns) in steps."""
    moves: Moves | None = None
    """How it moves the references, or None if nodes differ. Equal moves have equal tiles."""


def moved(*shifts: tuple[int, int]) -> Change:
    """Add to channels, as pairs of channel and steps."""

    def make(finest: Tensor, _: Tensor) -> Tensor:
        changed = finest.clone()
        for channel, steps in shifts:
            changed[:, channel] += steps
        return changed

    # The reference before moves by common - half, the one after by common + half.
    half, common = (
        [sum(by for at, by in shifts if at == first + axis) for axis in (0, 1)] for first in (0, 2)
    )
    before, after = ((common[0] + sign * half[0], common[1] + sign * half[1]) for sign in (-1, 1))
    return Change(make, (before, after))


def cleared(*channels: int) -> Change:
    """Set channels to zero."""

    def make(finest: Tensor, _: Tensor) -> Tensor:
        changed = finest.clone()
        changed[:, list(channels)] = 0
        return changed

    return Change(make, UNMOVED if channels == (BALANCE,) else None)


def taken_from(down: int, across: int) -> Change:
    """Take over the motion of a neighbour."""

    def make(finest: Tensor, field: Tensor) -> Tensor:
        return finest + torch.roll(field, (down, across), (2, 3)) - field

    return Change(make)


NEIGHBOURS = tuple(taken_from(*offset) for offset in ((0, 1), (1, 0), (0, -1), (-1, 0)))


def shifts_of(channels: Sequence[int], steps: int) -> tuple[Change, ...]:
    return tuple(moved((channel, by)) for channel in channels for by in (steps, -steps))


BALANCING = (cleared(BALANCE), *shifts_of((BALANCE,), 1), *shifts_of((BALANCE,), 2))
"""Changes that leave the motion as it is."""
# Half and common shift together move one reference and leave the other where it is.
ONE_SIDED = tuple(
    moved((axis, by), (axis + 2, same * by)) for axis in (0, 1) for by in (1, -1) for same in (1, -1)
)
"""Changes that move one reference."""


def _one_reference() -> tuple[tuple[Change, ...], ...]:
    return ((cleared(0, 1), *NEIGHBOURS), *(shifts_of((0, 1), steps) for steps in (4, 2, 1)))


def _two_references() -> tuple[tuple[Change, ...], ...]:
    return (
        (cleared(0, 1, 2, 3, 4), cleared(0, 1), cleared(2, 3), *NEIGHBOURS),
        shifts_of(range(4), 2),
        ONE_SIDED,
        shifts_of(range(4), 1),
        BALANCING,
    )


class References:
    """Luma planes at every `1 / SUBPIXELS` of a pixel; keeps those used last."""

    def __init__(self, planes: Tensor) -> None:
        """`planes` are (T, 1, height, width)."""
        self._planes = planes
        height, width = planes.shape[2:]
        self.stride = width + 2 * MARGIN
        """Values from row to row."""
        self.plane = self.stride * (height + 2 * MARGIN)
        """Values from one position between pixels to the next."""
        size = planes.element_size() * self.plane * SUBPIXELS**2
        self._most = max(4, KEPT_BYTES // size)
        self._kept: OrderedDict[int, Tensor] = OrderedDict()

    def __getitem__(self, frame: int) -> Tensor:
        """The plane of a frame at each position between pixels, flat, with `MARGIN` pixels around.

        Positions are ordered down and then across. Pixels of a tile are next to each other in memory.
        """
        if frame not in self._kept:
            if len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            around = (MARGIN + 1, MARGIN + 2) * 2
            padded = F.pad(self._planes[frame : frame + 1], around, mode="replicate")[0, 0]
            across = _interpolated(padded, 1)
            self._kept[frame] = _interpolated(across, 1).reshape(-1)
        self._kept.move_to_end(frame)
        return self._kept[frame]


def _interpolated(values: Tensor, axis: int) -> Tensor:
    """Values at all positions along `axis`, which n + TAPS - 1 values have and n of the result.

    The positions are the first axis of the result.
    """
    weights = cubic_weights()[:: PHASES // SUBPIXELS].to(values)
    count = values.shape[axis] - TAPS + 1
    parts = torch.stack([values.narrow(axis, first, count) for first in range(TAPS)])
    return (weights @ parts.flatten(1)).view(SUBPIXELS, *parts.shape[1:])


class NodeSearch:
    """The prediction of a few frames as tiles that nodes may change.

    All frames have one reference, or all have two.
    """

    def __init__(
        self, planes: Tensor, references: References, pairs: Sequence[Sequence[int]], costs: Costs
    ) -> None:
        """`planes` (B, 1, height, width) are the frames' luma, `pairs` their references."""
        self._now = planes[:, :, ::ROWS]
        self._has_two = pairs[0][0] != pairs[0][1]
        self._sides = [[references[pair[side]] for pair in pairs] for side in range(1 + self._has_two)]
        self._costs = costs
        height, width = planes.shape[2:]
        rows, columns, over = height // CELL, width // CELL, overlap_of(CELL)
        down, across = window(rows, CELL)[:, ::ROWS], window(columns, CELL)
        self._window = (down[:, None, :, None] * across[:, None]).to(planes.device)
        """(rows, columns, tile / ROWS, tile)."""
        self._plane, self._stride = references.plane, references.stride
        top, left = (torch.arange(count, device=planes.device) * CELL - over for count in (rows, columns))
        tile = CELL + 2 * over
        self._at = self._stride * (top + MARGIN)[:, None] + left + MARGIN
        """The first value of the tile of each node, (rows, columns)."""
        down = torch.arange(tile // ROWS, device=planes.device)[:, None] * (ROWS * self._stride)
        self._inside = down + torch.arange(tile, device=planes.device)
        """How far the values of a tile lie behind its first, (tile / ROWS, tile)."""
        # Bounds of motion by which a tile stays within the margin.
        least = -SUBPIXELS * (left + MARGIN), -SUBPIXELS * (top + MARGIN)
        last = width + MARGIN - tile - left, height + MARGIN - tile - top
        self._least = torch.stack([least[0].expand(rows, -1), least[1][:, None].expand(-1, columns)])
        self._most = SUBPIXELS * torch.stack([last[0].expand(rows, -1), last[1][:, None].expand(-1, columns)])

    def run(self, grids: list[Tensor], bits: Callable[[Tensor], Tensor]) -> Tensor:
        """The finest grid (B, 5, rows, columns) with less cost than that of `grids`; all are in steps.

        For `bits` see `MotionEntropy.finest_bits`.
        """
        finest, coarser = grids[-1], field_of(grids) - grids[-1]
        groups = _two_references() if self._has_two else _one_reference()
        for group in groups:
            finest = self._best_of(group, finest, coarser, bits)
        return finest

    def _best_of(
        self, group: Sequence[Change], finest: Tensor, coarser: Tensor, bits: Callable[[Tensor], Tensor]
    ) -> Tensor:
        field = finest + coarser
        known: Known = {}
        tiles = self._tiles(field, UNMOVED, known)
        residual = self._now - self._joined(tiles)
        energy = F.avg_pool2d(residual.square(), (8 // ROWS, 8)) * 64
        weights = self._costs.weights.view(-1, 1, 1, 1)
        slopes = ROWS * F.avg_pool2d(weights / (1 + energy * weights / self._costs.knee), CELL // 8)
        twice_left = 2 * self._cut(residual)
        each = [change.make(finest, field) for change in group]
        # The bits of all changes at once: these tensors are small.
        spent, *others = bits(torch.stack([finest, *each]))
        best, most = finest, torch.zeros_like(spent)
        for change, changed, needed in zip(group, each, others, strict=True):
            added = self._tiles(changed + coarser, change.moves, known).sub(tiles).mul_(self._window)
            error = (added - twice_left).mul_(added).sum((3, 4))[:, None] * slopes
            gain = self._costs.price * (spent - needed) - error
            is_better = gain > most
            best, most = torch.where(is_better, changed, best), torch.where(is_better, gain, most)
        # Tiles overlap: a node whose neighbour gains far more waits for the next group.
        wins = (most > 0) & (most >= SIMILAR * F.max_pool2d(most, 3, 1, 1))
        return torch.where(wins, best, finest)

    def _tiles(self, field: Tensor, moves: Moves | None, known: Known) -> Tensor:
        """Tiles (B, rows, columns, tile / ROWS, tile) without window.

        `moves` are those of the change that gave the field, if it has any. `known` are the tiles of each
        reference that were looked up before, by side and move.
        """
        motion = [field[:, :2]]
        if self._has_two:
            motion = [field[:, 2:4] - field[:, :2], field[:, 2:4] + field[:, :2]]
        sides = []
        for side, images in enumerate(self._sides):
            key = None if moves is None else (side, moves[side])
            found = None if key is None else known.get(key)
            if found is None:
                found = self._look_up(images, motion[side])
                if key is not None:
                    known[key] = found
            sides.append(found)
        if not self._has_two:
            return sides[0]
        # The balance has the step of motion, a quarter.
        share = (0.5 + field[:, BALANCE] / SUBPIXELS)[..., None, None]
        return torch.lerp(sides[1], sides[0], share)

    def _look_up(self, images: Sequence[Tensor], motion: Tensor) -> Tensor:
        steps = torch.minimum(torch.maximum(motion.long(), self._least), self._most)
        whole = torch.div(steps, SUBPIXELS, rounding_mode="floor")
        across, down = (steps - SUBPIXELS * whole).unbind(1)
        offsets = (SUBPIXELS * down + across) * self._plane + whole[:, 1] * self._stride + whole[:, 0]
        at = offsets + self._at
        tiles = images[0].new_empty(*at.shape, *self._inside.shape)
        for image, first, found in zip(images, at.flatten(1), tiles.flatten(1, 2), strict=True):
            self._take(image, first, found)
        return tiles

    def _take(self, image: Tensor, first: Tensor, found: Tensor) -> None:
        """Copy the tiles of a flat image that begin at `first` (N,) to `found` (N, tile / ROWS, tile)."""
        if not image.is_cpu:
            at = (first[:, None, None] + self._inside).view(-1)
            torch.index_select(image, 0, at, out=found.view(-1))
            return
        # A view of the tiles at all places, whose rows are copied as a whole, takes a third of the time.
        count = len(image) - (self._inside.shape[0] - 1) * ROWS * self._stride - self._inside.shape[1] + 1
        every = image.as_strided((count, *self._inside.shape), (1, ROWS * self._stride, 1))
        torch.index_select(every, 0, first, out=found)

    def _joined(self, tiles: Tensor) -> Tensor:
        """The prediction (B, 1, height / ROWS, width) of tiles without window."""
        weighted = (tiles * self._window)[:, None].transpose(3, 4)
        return joined(weighted, CELL // ROWS, CELL)

    def _cut(self, images: Tensor) -> Tensor:
        """Images (B, 1, height / ROWS, width) as tiles (B, rows, columns, tile / ROWS, tile), 0 around."""
        over = overlap_of(CELL)
        padded = F.pad(images[:, 0], (over, over, over // ROWS, over // ROWS))
        return padded.unfold(1, (CELL + 2 * over) // ROWS, CELL // ROWS).unfold(2, CELL + 2 * over, CELL)
