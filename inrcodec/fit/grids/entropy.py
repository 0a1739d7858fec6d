"""The entropy models of `inrc` in PyTorch: differentiable bits of symbols, for fitting and decisions.

Classes and their probabilities are those of `models.inrc.contexts` and `bitstream.coders.conditional`. The
parameters are floats here; `parameters` rounds them to the integers of the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bitstream.coders.conditional import QUARTERS
from inrcodec.coding.grid_sections import parameter_limit, parameter_step
from inrcodec.fit.training.adam import Adam
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.contexts import LARGEST_MAGNITUDE, LOG_TABLE, OFFSET
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.prediction import doubled
from inrcodec.models.inrc.shapes import KNOTS, MOTION_CHANNELS, PYRAMID_LEVELS, MotionFeature

RATES = {"bias": 0.1, "level": 0.1, "weight": 0.03, "knots": 0.05}
"""Learning rates, by kind of parameter."""
BITS_OF_A_DOUBLING = 0.75
"""Estimated bits of a parameter per doubling of 1 + d^2, where d is its difference from the usual value."""
ZERO_KNOT = OFFSET / 1024
"""The knot of a sum of zero."""
LISTED = 16
"""Magnitudes whose bits are tabulated; from 3 on each further one costs the same amount more."""


def rounded(values: Tensor, rounding: float) -> Tensor:
    """Whole values, rounded with a deadzone: 0.5 gives the nearest integer, and less prefers zero."""
    return values.sign() * (values.abs() + rounding).floor()


@dataclass(frozen=True)
class Shapes:
    """The bits of magnitudes and flags in each class."""

    table: Tensor
    """(classes, 16): bits of the magnitudes 0 to 15, sign included."""
    slope: Tensor
    """(classes,): additional bits per magnitude above 15."""
    flags: Tensor
    """(classes, 2): bits of the flag values 0 and 1."""

    def bits(self, magnitudes: Tensor, classes: Tensor) -> Tensor:
        """Bits of whole `magnitudes` in their `classes` (int64, same shape)."""
        listed = magnitudes.clamp(max=LISTED - 1).long()
        bits = _listed(self.table.reshape(-1), classes * LISTED + listed)
        if magnitudes.numel() and magnitudes.max() >= LISTED:
            bits = bits + (magnitudes - (LISTED - 1)).clamp(min=0) * self.slope[classes]
        return bits

    def between(self, magnitudes: Tensor, places: Tensor) -> Tensor:
        """Bits at fractional `places`, 0 to classes - 1, interpolated between classes; differentiable."""
        lower = self._lower(places)
        return torch.lerp(self.bits(magnitudes, lower), self.bits(magnitudes, lower + 1), places - lower)

    def flags_between(self, places: Tensor) -> Tensor:
        """`between` for both values of a flag, (..., 2)."""
        lower = self._lower(places)
        return torch.lerp(self.flags[lower], self.flags[lower + 1], (places - lower)[..., None])

    def best(self, magnitudes: Tensor, classes: Tensor, price: float) -> tuple[Tensor, Tensor]:
        """The best integers for `magnitudes` by rate and distortion, and their costs, all of one shape."""
        lower = magnitudes.floor()
        best = torch.zeros_like(lower)
        least = magnitudes.square() + price * self.bits(best, classes)
        for candidate in (lower, lower + 1):
            cost = (candidate - magnitudes).square() + price * self.bits(candidate, classes)
            best = torch.where(cost < least, candidate, best)
            least = torch.minimum(cost, least)
        return best, least

    def _lower(self, places: Tensor) -> Tensor:
        return places.detach().floor().clamp(0, len(self.slope) - 2).long()


def shapes_of(knots: Tensor) -> Shapes:
    """The bits that follow from `knots` (K, 4), log-odds in nats; see `bitstream.coders.conditional`."""
    fractions = torch.arange(QUARTERS * (len(knots) - 1) + 1, device=knots.device) / QUARTERS
    lower = fractions.floor().clamp(max=len(knots) - 2).long()
    odds = torch.lerp(knots[lower], knots[lower + 1], (fractions - lower)[:, None])
    ends, goes_on = -F.logsigmoid(odds) / math.log(2), -F.logsigmoid(-odds) / math.log(2)
    before = torch.cat([torch.zeros_like(goes_on[:, :1]), goes_on[:, :3].cumsum(1)], 1)
    sign = torch.tensor([0.0, 1, 1, 1], device=knots.device)
    first = before + ends + sign
    further = torch.arange(1, LISTED - 3, device=knots.device) * goes_on[:, 3:]
    flags = torch.stack([ends[:, 0], goes_on[:, 0]], 1)
    return Shapes(torch.cat([first, first[:, 3:] + further], 1), goes_on[:, 3], flags)


class EntropyModel(nn.Module):
    """Parameters that start at `context_prior` and are charged for their difference from it."""

    sections: Mapping[str, str]
    """The section of each parameter, by the parameter's name."""
    version: int
    """See `InrcConfig.version`."""

    def __init__(self, level_count: int, version: int) -> None:
        super().__init__()
        self.version, self.level_count = version, level_count
        prior = context_prior(level_count, version)
        for name, section in self.sections.items():
            value = torch.from_numpy(prior[section]).float() / self.scale(name)
            self.register_parameter(name, nn.Parameter(value))
            self.register_buffer(f"usual_{name}", value.clone())

    def scale(self, name: str) -> float:
        """The factor from a parameter to its integer in the file."""
        return 1 / parameter_step(self.sections[name])

    @torch.no_grad()
    def start_like(self, other: EntropyModel) -> None:
        """Take the parameters of a model for fewer levels, or as many.

        Levels from 2 on are counted from the last: their frames are as far apart as there.
        """
        more = self.level_count - other.level_count
        levels = torch.arange(self.level_count)
        like = torch.where(levels < 2, levels, (levels - more).clamp(min=2)).clamp(max=other.level_count - 1)
        for name, value in self.named_parameters():
            source = other.get_parameter(name)
            if source.shape == value.shape:
                value.copy_(source)
            else:
                by_level = source.view(other.level_count, -1)[like.to(source.device)]
                value.copy_(by_level.view(value.shape))

    def description_bits(self) -> Tensor:
        """Estimated bits of the parameters in the file: none for usual values, more the more they differ."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for name, value in self.named_parameters():
            steps = (value - self.get_buffer(f"usual_{name}")) * self.scale(name)
            total = total + BITS_OF_A_DOUBLING * torch.log2(1 + steps.square()).sum()
        return total


def sections_of(kind: str, names: Sequence[str]) -> dict[str, str]:
    """Section names of the parameters `names` of one kind, flags, latents or motion."""
    return {name: f"context.{kind}.{name}" for name in names}


def _listed(table: Tensor, places: Tensor) -> Tensor:
    """`table[places]` for a table (n,), in less than half the time on CPUs, also of its backward pass."""
    return table.index_select(0, places.reshape(-1)).view(places.shape)


_LOGARITHMS = torch.from_numpy(LOG_TABLE).float() / 16


def logarithms(counts: Tensor) -> Tensor:
    """log2(count + 1) of whole counts, rounded down to 1/16."""
    return _listed(_LOGARITHMS.to(counts.device), counts.clamp(max=len(_LOGARITHMS) - 1).int())


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

    def prepared_bits(self, grids: Sequence[Tensor]) -> Callable[[], Tensor]:
        """A function that computes `bits` by the parameters at the time; the contexts are computed once."""
        contexts = self._contexts(grids)
        return lambda: torch.stack([one.sum() for one in self._bits_in(contexts, grids)]).sum()

    def bits_of_nodes(self, grids: Sequence[Tensor]) -> list[Tensor]:
        """`bits` of each value of each grid: four tensors (T, 5, h, w)."""
        return self._bits_in(self._contexts(grids), grids)

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

    def _bits_in(self, contexts: Sequence[Logarithms], grids: Sequence[Tensor]) -> list[Tensor]:
        shapes, found = shapes_of(self.knots), []
        for k, (logs, grid) in enumerate(zip(contexts, grids, strict=True)):
            places = self._places(self._sums(k, logs, self.levels))
            magnitude = grid.abs()
            lower = magnitude.detach().floor()
            bits = shapes.between(lower, places)
            has_gradient = grid.requires_grad and torch.is_grad_enabled()
            if has_gradient or not torch.equal(lower, magnitude):
                bits = torch.lerp(bits, shapes.between(lower + 1, places), magnitude - lower)
            found.append(bits * self.active)
        return found

    def finest_bits(self, grids: Sequence[Tensor], frames: Sequence[int]) -> Callable[[Tensor], Tensor]:
        """A function from the finest grid (B, 5, h, w), in whole steps, to bits of its nodes (B, 1, h, w).

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
            return (shapes.between(magnitude, places) * active).sum(1, keepdim=True)

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
    """The logarithm of the cut magnitude of the channel before, (T, 5, h, w)."""
    return logarithms(torch.cat([torch.zeros_like(cut[:, :1]), cut[:, :-1]], 1))


def optimizer(model: EntropyModel, rate: float = 1.0) -> torch.optim.Optimizer:
    """Adam with the learning rates of `RATES`, times `rate`."""
    return Adam(
        [
            {"params": [value], "lr": RATES[model.sections[name].rsplit(".", 1)[1]] * rate}
            for name, value in model.named_parameters()
        ]
    )


def parameters(*models: EntropyModel) -> dict[str, NDArray[np.int64]]:
    """The integer parameters for entropy coding, by section name."""
    found = {}
    for model in models:
        for name, value in model.named_parameters():
            limit = parameter_limit(model.sections[name])
            scaled = (value.detach().double() * model.scale(name)).round().clamp(-limit, limit)
            found[model.sections[name]] = np.asarray(scaled.long().cpu().numpy(), dtype=np.int64)
    return found


@torch.no_grad()
def set_parameters(models: Sequence[EntropyModel], integers: Mapping[str, NDArray[np.int64]]) -> None:
    """The inverse of `parameters`."""
    for model in models:
        for name, value in model.named_parameters():
            whole = torch.from_numpy(integers[model.sections[name]])
            value.copy_((whole / model.scale(name)).reshape(value.shape))
