"""The entropy model of motion grids in PyTorch; see `fit.grids.entropy`.

Its contexts are those of `models.inrc.motion_contexts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitstream.coders.conditional import QUARTERS
from inrcodec.fit.grids.entropy import ZERO_KNOT, EntropyModel, logarithms, sections_of, shapes_of
from inrcodec.models.inrc.contexts import LARGEST_MAGNITUDE
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.prediction import doubled
from inrcodec.models.inrc.shapes import KNOTS, MOTION_CHANNELS, PYRAMID_LEVELS, MotionFeature

Logarithms = dict[MotionFeature, Tensor]
"""Logarithms of counts, (T, 5, h, w) or (T, 1, h, w)."""


class MotionEntropy(EntropyModel):
    """The entropy model of motion grids."""

    sections = sections_of("motion", ("bias", "weight", "knots"))
    bias: nn.Parameter
    weight: nn.Parameter
    knots: nn.Parameter
    levels: Tensor
    """(T,): hierarchy level of each frame."""
    active: Tensor
    """(T, 5, 1, 1): 1 for the channels that are coded in a frame, 0 for the others."""

    def __init__(self, tree: Hierarchy, version: int) -> None:
        super().__init__(tree.level_count, version)
        self.register_buffer("levels", torch.from_numpy(tree.levels))
        active = torch.ones(len(tree.levels), MOTION_CHANNELS)
        active[:, 2:] = torch.from_numpy(tree.has_two)[:, None]
        active[torch.from_numpy(tree.levels) == 0] = 0
        self.register_buffer("active", active[..., None, None])

    def bits(self, grids: Sequence[Tensor]) -> Tensor:
        """Bits of the four grids (T, 5, h, w) in steps, interpolated linearly between whole magnitudes."""
        return self.prepared_bits(grids)()

    def prepared_bits(self, grids: Sequence[Tensor], are_whole: bool = False) -> Callable[[], Tensor]:
        """A function that computes `bits` by the parameters at the time; the contexts are computed once.

        See `bits_of_nodes` for `are_whole`.
        """
        contexts = self._contexts(grids)
        return lambda: torch.stack([one.sum() for one in self._bits_in(contexts, grids, are_whole)]).sum()

    def bits_of_nodes(self, grids: Sequence[Tensor], are_whole: bool = False) -> list[Tensor]:
        """`bits` of each value of each grid: four tensors (T, 5, h, w).

        If all values `are_whole`, nothing is interpolated, and the grids get no gradients.
        """
        return self._bits_in(self._contexts(grids), grids, are_whole)

    @torch.no_grad()
    def _contexts(self, grids: Sequence[Tensor]) -> list[Logarithms]:
        """The logarithms of the counts of each grid, from magnitudes rounded to whole steps."""
        found: list[Logarithms] = []
        parent: Tensor | None = None
        for grid in grids:
            cut = grid.detach().round().abs().clamp(max=LARGEST_MAGNITUDE)
            above = torch.zeros_like(cut) if parent is None else doubled(parent, *cut.shape[2:])
            found.append(_coarser(above) | {MotionFeature.CHANNEL_BEFORE: _before(cut)})
            parent = cut
        return found

    def _bits_in(
        self, contexts: Sequence[Logarithms], grids: Sequence[Tensor], are_whole: bool
    ) -> list[Tensor]:
        shapes, found = shapes_of(self.knots), []
        for k, (logs, grid) in enumerate(zip(contexts, grids, strict=True)):
            places = self._places(self._sums(k, logs, self.levels))
            magnitude = grid.abs()
            lower = magnitude.detach().floor()
            bits = shapes.between(lower, places)
            if not are_whole:
                bits = torch.lerp(bits, shapes.between(lower + 1, places), magnitude - lower)
            found.append(bits * self.active)
        return found

    def finest_bits(self, grids: Sequence[Tensor], frames: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from finest grids (..., B, 5, h, w), in whole steps, to bits of nodes (..., B, 1, h, w).

        `grids` are all grids of these `frames`; the coarser ones are the context.
        """
        k, shapes, active = len(grids) - 1, shapes_of(self.knots), self.active[frames]
        parent = grids[-2].abs().clamp(max=LARGEST_MAGNITUDE)
        coarser = _coarser(doubled(parent, *grids[-1].shape[2:]))
        known = self._sums(k, coarser, self.levels[frames])

        def bits(finest: Tensor) -> Tensor:
            magnitude = finest.abs()
            before = _before(magnitude.clamp(max=LARGEST_MAGNITUDE))
            places = self._places(known + self.weight[k, MotionFeature.CHANNEL_BEFORE] * before)
            return (shapes.between(magnitude, places) * active).sum(-3, keepdim=True)

        return bits

    def _sums(self, k: int, logs: Logarithms, levels: Tensor) -> Tensor:
        """The class sums of grid `k` as far as `logs` go; `levels` (T,) are those of the frames."""
        biases = self.bias.view(-1, PYRAMID_LEVELS, MOTION_CHANNELS)[levels, k][..., None, None]
        return biases + sum(self.weight[k, feature] * values for feature, values in logs.items())

    def _places(self, sums: Tensor) -> Tensor:
        """Positions of the symbols on the scale of classes."""
        return (QUARTERS * (sums + ZERO_KNOT) - 0.5).clamp(0, QUARTERS * (KNOTS - 1))


def _coarser(above: Tensor) -> Logarithms:
    """The logarithms of the counts in coarser grids; `above` are the parents' cut magnitudes (T, 5, h, w)."""
    around = (4 * F.avg_pool2d(above, 3, 1, 1, count_include_pad=False) + 1e-3).floor()
    counts = {
        MotionFeature.PARENT: above,
        MotionFeature.PARENT_AROUND: around,
        MotionFeature.PARENT_CHANNELS: above.sum(1, keepdim=True),
    }
    return {feature: logarithms(count) for feature, count in counts.items()}


def _before(cut: Tensor) -> Tensor:
    """The logarithm of the cut magnitude of the channel before, (..., 5, h, w)."""
    before = cut.roll(1, -3)
    before[..., 0, :, :] = 0
    return logarithms(before)
