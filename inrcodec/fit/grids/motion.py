"""Fits the motion grids: block matching, then rate-distortion optimisation by gradients and pruning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.fit.grids.block_search import search
from inrcodec.fit.grids.entropy import optimizer, rounded
from inrcodec.fit.grids.motion_entropy import MotionEntropy
from inrcodec.fit.grids.node_search import Costs, NodeSearch, References
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.training.adam import Adam
from inrcodec.models.inrc.prediction import field_of, predict
from inrcodec.models.inrc.shapes import GRID_SCALES, MOTION_CHANNELS, grid_sizes

STEP = 0.25
"""Quantisation step of motion, pixels, and of the balance between both references."""
SEARCHED_PIXELS = 8
"""How much shorter chunks of frames are in the search of nodes: their tiles should stay in the caches."""
SCALE = 2
"""Downscaling factor of the images by which motion is refined by gradients, and pruned."""
RATE = 0.16
"""Adam's learning rate for grids, whose unit is `STEP`."""
BLOCK_ENERGY = 8.0
"""Residual energy of an 8x8 block, in squared latent steps, above which it counts by its logarithm: such a
residual gets coded anyway."""
FIRST_ROUNDING, LAST_ROUNDING = 0.35, 0.45
"""Deadzone rounding: the offset added to magnitudes before truncation. Less than 0.5 keeps grids sparse."""
SHORT_CHUNKS = 4
"""How much shorter chunks of frames are in a motion search that may have to stop."""
BOTH_UNLESS_WORSE = 1.1
"""Bi-prediction is used where its error is at most this times that of the better single reference."""


def searched_field(
    segment: SegmentPlanes,
    report: Callable[[int, int], None],
    goes_on: Callable[[], bool] | None = None,
    frames: Sequence[int] | None = None,
) -> Tensor:
    """The field (T, 5, rows, columns) in pixels by block matching; `report` gets frames done and in total.

    Once `goes_on` returns False, the remaining frames, the last in coding order, get no motion. Frames
    that are not among `frames`, by default all, get none either.
    """
    rows, columns = segment.config.rows, segment.config.columns
    field = torch.zeros(segment.frame_count, MOTION_CHANNELS, rows, columns, device=segment.device)
    references, has_two = segment.tree.references, segment.tree.has_two
    predicted = [frame for batch in segment.tree.order[1:] for frame in batch]
    if frames is not None:
        predicted = [frame for frame in predicted if frame in frames]
    pixels = 2 * segment.height * segment.width
    if goes_on is not None:
        # Small chunks, because a chunk is not interrupted.
        pixels *= SHORT_CHUNKS
    done = 0
    for chunk in segment.chunks(predicted, pixels):
        if goes_on is not None and not goes_on():
            break
        now = segment.components(chunk)
        first = [int(references[frame, 0]) for frame in chunk]
        before = segment.components(first)
        motion = search(now[:, :1], before[:, :1])
        two = [place for place, frame in enumerate(chunk) if has_two[frame]]
        field[segment.rows(chunk), :2] = motion
        if two:
            paired, places = [chunk[place] for place in two], segment.rows(two)
            after = segment.components([int(references[frame, 1]) for frame in paired])
            found = _of_both(now[places], before[places], after, motion[places])
            field[segment.rows(paired)] = found
        done += len(chunk)
        report(done, len(predicted))
    return field


def _of_both(now: Tensor, before: Tensor, after: Tensor, motion: Tensor) -> Tensor:
    """Fields (B, 5, rows, columns) of frames with two references; `motion` points to the one before."""
    onwards = search(now[:, :1], after[:, :1])
    height, width = now.shape[2:]
    first, second = predict(before, None, motion), predict(after, None, onwards)
    nodes = motion.shape[2:]

    def error_of(prediction: Tensor) -> Tensor:
        errors = (now - prediction).square().sum(1, keepdim=True)
        return F.avg_pool2d(errors, (height // nodes[0], width // nodes[1]))

    one, other, both = error_of(first), error_of(second), error_of((first + second) / 2)
    is_both = both <= BOTH_UNLESS_WORSE * torch.minimum(one, other)
    balance = torch.where(is_both, 0.0, torch.where(one < other, 0.5, -0.5))
    return torch.cat([(onwards - motion) / 2, (onwards + motion) / 2, balance], 1)


def to_grids(field: Tensor) -> list[Tensor]:
    """Four grids (T, 5, rows_k, columns_k) in whole steps, coarse to fine, whose sum is about `field`."""
    rest, grids = field / STEP, []
    rows, columns = field.shape[2:]
    for size, scale in zip(grid_sizes(rows, columns), GRID_SCALES, strict=True):
        down, right = size[0] * scale - rows, size[1] * scale - columns
        padded = _repeat_edges(rest, down, right)
        grid = rounded(F.avg_pool2d(padded, scale), FIRST_ROUNDING)
        grids.append(grid)
        rest = rest - grid.repeat_interleave(scale, 2).repeat_interleave(scale, 3)[..., :rows, :columns]
    return grids


def _repeat_edges(values: Tensor, down: int, right: int) -> Tensor:
    return F.pad(values, (0, right, 0, down), mode="replicate") if down or right else values


class MotionFit:
    """Motion grids, refined by prediction from source instead of decoded frames, and their entropy model."""

    def __init__(self, segment: SegmentPlanes, grids: Sequence[Tensor]) -> None:
        """`grids` come from `to_grids` or an earlier fit."""
        self._segment = segment
        self.grids = [nn.Parameter(grid) for grid in grids]
        self.entropy = MotionEntropy(segment.tree, segment.config.version).to(segment.device)
        self._optimizer = optimizer(self.entropy)

    def field(self) -> Tensor:
        """The field (T, 5, rows, columns) in pixels."""
        return field_of([grid.detach() for grid in self.grids]) * STEP

    def symbols(self) -> NDArray[np.int32]:
        """The grids in whole steps, (T, 5, nodes), zeros where no motion is coded."""
        flat = torch.cat([grid.detach().flatten(2) for grid in self.grids], 2)
        whole = (flat * self.entropy.active[..., 0]).round().to(torch.int32)
        return np.asarray(whole.cpu().numpy(), dtype=np.int32)

    @torch.no_grad()
    def bits(self) -> float:
        """Bits of the grids by the entropy model as it is."""
        return float(self.entropy.bits([grid.detach() for grid in self.grids]))

    def fit_entropy(self, rounds: int, goes_on: Callable[[], bool] = lambda: True) -> float:
        """Fit the entropy model to the current grids while `goes_on`; returns the bits of the grids."""
        bits = self.entropy.prepared_bits([grid.detach() for grid in self.grids], are_whole=True)
        for _ in range(rounds):
            if not goes_on():
                break
            self._optimizer.zero_grad()
            (bits() + self.entropy.description_bits()).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        with torch.no_grad():
            return float(bits())

    def refine(
        self, rounds: int, fineness: Tensor, step: float, price: float, goes_on: Callable[[], bool]
    ) -> None:
        """Minimise the cost of prediction residuals plus `price` times the bits of the grids, then round.

        `step` is the latents' quantisation step and `fineness` (T,) the mean factor on it in each frame.
        Stops early when `goes_on` returns False.
        """
        grid_optimizer = Adam(self.grids, lr=RATE)
        for number in range(rounds):
            if not goes_on():
                break
            for group in grid_optimizer.param_groups:
                group["lr"] = RATE * (1 - 0.9 * number / rounds)
            grid_optimizer.zero_grad()
            self._optimizer.zero_grad()
            for batch in self._batches(SCALE):
                left = self._left_to_code(batch, fineness, step, self.grids)
                left.sum().backward()  # type: ignore[no-untyped-call]
            (price * self.entropy.bits(self.grids)).backward()  # type: ignore[no-untyped-call]
            grid_optimizer.step()
            self._optimizer.step()
        with torch.no_grad():
            for grid in self.grids:
                grid.copy_(rounded(grid, LAST_ROUNDING))

    @torch.no_grad()
    def prune(self, fineness: Tensor, step: float, price: float) -> None:
        """Set nodes to zero, fine grids first, where that costs less in residual than it saves in bits.

        See `refine` for the arguments.
        """
        for k in reversed(range(len(self.grids))):
            grid = self.grids[k]
            less = [torch.zeros_like(one) if one is grid else one for one in self.grids]
            before, after = (self.entropy.bits_of_nodes(grids, True)[k] for grids in (self.grids, less))
            saved = before - after
            is_worth_it = torch.zeros_like(saved[:, :1], dtype=torch.bool)
            blocks = 2 << (len(self.grids) - 1 - k)
            # Nothing would change in other frames, which a GPU would have to be asked for.
            some = grid.flatten(1).any(1).nonzero()[:, 0].tolist() if grid.is_cpu else range(len(grid))
            batches = ([frame for frame in batch if frame in some] for batch in self._batches(SCALE))
            for batch in filter(None, batches):
                added = self._left_to_code(batch, fineness, step, less)
                added -= self._left_to_code(batch, fineness, step, self.grids)
                down, right = (grid.shape[axis] * blocks - added.shape[axis] for axis in (2, 3))
                of_nodes = F.avg_pool2d(F.pad(added, (0, right, 0, down)), blocks) * blocks**2
                rows = self._segment.rows(batch)
                is_worth_it[rows] = of_nodes < price * saved[rows].sum(1, keepdim=True)
            grid.masked_fill_(is_worth_it, 0)

    @torch.no_grad()
    def search_nodes(
        self, fineness: Tensor, step: float, price: float, goes_on: Callable[[int], bool]
    ) -> None:
        """Refine the finest grid by `node_search`, while `goes_on(frames)`, the number that come next.

        See `refine` for the other arguments.
        """
        segment, tree = self._segment, self._segment.tree
        grids = [grid.detach() for grid in self.grids]
        planes = segment.luma()
        references = References(planes)
        for kind in self._batches(1):
            for batch in segment.chunks(kind, SEARCHED_PIXELS * segment.height * segment.width):
                if not goes_on(len(batch)):
                    return
                rows = segment.rows(batch)
                costs = Costs(fineness[rows].pow(-2), BLOCK_ENERGY * step**2, price)
                search = NodeSearch(planes[rows], references, tree.references[batch].tolist(), costs)
                own = [grid[rows] for grid in grids]
                grids[-1][rows] = search.run(own, self.entropy.finest_bits(own, rows))

    def _batches(self, scale: int) -> list[list[int]]:
        """Chunks of frames at this scale, those with one reference apart from those with two."""
        segment = self._segment
        has_two, predicted = segment.tree.has_two, segment.tree.levels > 0
        pixels = segment.height * segment.width // scale**2
        return [
            chunk
            for kind in (predicted & ~has_two, predicted & has_two)
            for chunk in segment.chunks([int(frame) for frame in kind.nonzero()[0]], pixels)
        ]

    def _left_to_code(
        self, batch: list[int], fineness: Tensor, step: float, grids: Sequence[Tensor]
    ) -> Tensor:
        """Cost of coding the residual of each 8x8 block, as squared error: (B, 1, h / 8, w / 8)."""
        segment, rows = self._segment, self._segment.rows(batch)
        first, second = segment.references[rows].T
        small = segment.small_components(SCALE)
        now, before = small[rows], small[first]
        after = small[second] if segment.tree.has_two[batch[0]] else None
        field = field_of([grid[rows] for grid in grids]) * STEP
        errors = (predict(before, after, field, SCALE) - now).square().sum(1, keepdim=True)
        energy = F.avg_pool2d(errors, 8 // SCALE) * 64
        least = BLOCK_ENERGY * step**2
        weight = fineness[rows].view(-1, 1, 1, 1).pow(-2)
        return least * torch.log1p(energy * weight / least)
