"""The entropy models of `inrc` in PyTorch: differentiable bits of symbols, for fitting and decisions.

Classes and their probabilities are those of `models.inrc.contexts` and `bitstream.coders.conditional`. The
parameters are floats here; `parameters` rounds them to the integers of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bitstream.coders.conditional import QUARTERS
from inrcodec.coding.grid_sections import parameter_limit, parameter_step
from inrcodec.fit.training.adam import Adam
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.contexts import LOG_TABLE, OFFSET

RATES = {"bias": 0.1, "level": 0.1, "weight": 0.03, "knots": 0.05}
"""Learning rates, by kind of parameter."""
BITS_OF_A_DOUBLING = 0.75
"""Estimated bits of a parameter per doubling of 1 + d^2, where d is its difference from the usual value."""
ZERO_KNOT = OFFSET / 1024
"""The knot of a sum of zero."""
MARGIN = 0.01
"""More than rounding errors of sums near zero, in squared latent steps."""
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

    def cpu(self) -> Shapes:
        """The same on the CPU."""
        return Shapes(self.table.cpu(), self.slope.cpu(), self.flags.cpu())

    def bits(self, magnitudes: Tensor, classes: Tensor) -> Tensor:
        """Bits of whole `magnitudes` in their `classes` (int64, same shape)."""
        places = classes * LISTED + magnitudes.clamp(max=LISTED - 1).long()
        bits = listed(self.table.reshape(-1), places)
        # On a GPU, adding zeros takes less time than waiting for the largest value.
        if not magnitudes.is_cpu or (magnitudes.numel() and magnitudes.max() >= LISTED):
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
        least = magnitudes.square() + price * listed(self.table[:, 0].contiguous(), classes)
        for candidate in (lower, lower + 1):
            cost = (candidate - magnitudes).square() + price * self.bits(candidate, classes)
            best = torch.where(cost < least, candidate, best)
            least = torch.minimum(cost, least)
        return best, least

    def may_save(self, values: Tensor, price: float, flags: Tensor) -> Tensor:
        """Whether latents for `values` (n, C) may save more than `flags` (n,), whatever their classes: (n,).

        Where this is False, the squares of the values less the costs of `best` are at most `flags`.
        """
        nearest = values.round()
        # The squared error that the nearest integers avoid, less the fewest bits that integers but 0 take.
        avoided = values.mul(2).sub_(nearest).mul_(nearest)
        return avoided.sub_(price * self.table[:, 1:].min()).clamp_(min=0).sum(1) + MARGIN > flags

    def _lower(self, places: Tensor) -> Tensor:
        return places.detach().floor().clamp(0, len(self.slope) - 2).long()


def shapes_of(knots: Tensor) -> Shapes:
    """The bits that follow from `knots` (K, 4), log-odds in nats; see `bitstream.coders.conditional`."""
    fractions = torch.arange(QUARTERS * (len(knots) - 1) + 1, device=knots.device) / QUARTERS
    lower = fractions.floor().clamp(max=len(knots) - 2).long()
    odds = torch.lerp(knots[lower], knots[lower + 1], (fractions - lower)[:, None])
    ends, goes_on = -F.logsigmoid(odds) / math.log(2), -F.logsigmoid(-odds) / math.log(2)
    before = torch.cat([torch.zeros_like(goes_on[:, :1]), goes_on[:, :3].cumsum(1)], 1)
    sign = (torch.arange(4, device=knots.device) > 0).float()
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
    scales: Tensor
    usual: Tensor

    def __init__(self, level_count: int, version: int) -> None:
        super().__init__()
        self.version, self.level_count = version, level_count
        prior = context_prior(level_count, version)
        for name, section in self.sections.items():
            value = torch.from_numpy(prior[section]).float() / self.scale(name)
            self.register_parameter(name, nn.Parameter(value))
        scales = [torch.full((value.numel(),), self.scale(name)) for name, value in self.named_parameters()]
        self.register_buffer("scales", torch.cat(scales))
        self.register_buffer("usual", self._steps().detach().clone())

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
        return BITS_OF_A_DOUBLING * torch.log2(1 + (self._steps() - self.usual).square()).sum()

    def _steps(self) -> Tensor:
        """All parameters one after another, as the file's integers before rounding."""
        # Together they take an eighth of the operations that one by one would.
        return torch.cat([value.flatten() for value in self.parameters()]) * self.scales


def sections_of(kind: str, names: Sequence[str]) -> dict[str, str]:
    """Section names of the parameters `names` of one kind, flags, latents or motion."""
    return {name: f"context.{kind}.{name}" for name in names}


def listed(table: Tensor, places: Tensor) -> Tensor:
    """`table[places]` for a table (n,) or (n, m) and `places` of one axis in the latter case."""
    if not table.is_cpu:
        # Its backward pass adds in a fixed order on GPUs.
        return table[places.long()]
    # Takes less than half the time, also of its backward pass.
    found = table.index_select(0, places.reshape(-1))
    return found if table.dim() > 1 else found.view(places.shape)


@lru_cache(maxsize=8)
def _logarithms(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return (torch.from_numpy(LOG_TABLE).float() / 16).to(device)


def logarithms(counts: Tensor) -> Tensor:
    """log2(count + 1) of whole counts, rounded down to 1/16."""
    table = _logarithms(counts.device)
    cut = counts.clamp(max=len(table) - 1)
    return listed(table, cut.int() if cut.is_cpu else cut)


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
