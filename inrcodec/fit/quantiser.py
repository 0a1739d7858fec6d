"""Quantisation steps, one per tensor, learned together with the network by the loss and the rate term.

At first, noise one step wide replaces rounding, so that the step has a gradient (Ballé et al. 2017). In the
last part of a fit values are rounded and gradients pass straight through (Esser et al. 2020, LSQ).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import torch
from torch import Tensor, nn

from inrcodec.coding.sections import Arrays, Steps
from inrcodec.fit.rate import laplace_bits, laplace_scale
from inrcodec.models.family import STEPPED_ROLES, Role, TensorSpec

MAXIMUM_BITS = 12.0
"""Maximum bits per symbol for which the first steps are chosen, even if the plan has more."""


class Rounding(Enum):
    """How a quantiser rounds values."""

    NONE = auto()
    NOISE = auto()
    STRAIGHT_THROUGH = auto()


@dataclass(frozen=True)
class Quantised:
    """Tensors as the decoder will see them, or a differentiable stand-in, and their bits."""

    tensors: dict[str, Tensor]
    bits: Tensor
    """Estimated bits of all stepped tensors of the segment, a scalar."""


class Quantiser(nn.Module):
    """Holds the logarithm of each stepped tensor's step."""

    def __init__(
        self, specs: Sequence[TensorSpec], values: Mapping[str, Tensor], bits_per_symbol: float
    ) -> None:
        """Choose first steps at which Laplace-distributed `values` would cost about `bits_per_symbol`."""
        super().__init__()
        self._specs = {spec.name: spec for spec in specs if spec.role in STEPPED_ROLES}
        self._scales = [spec.name for spec in specs if spec.role is Role.SCALE]
        self._index = {name: index for index, name in enumerate(self._specs)}
        self.log_steps = nn.Parameter(torch.zeros(len(self._specs)))
        magnitudes = [values[name].detach().float().abs().mean().clamp(min=1e-4) for name in self._specs]
        if magnitudes:
            steps = 2 * math.e * torch.stack(magnitudes) / 2 ** min(max(bits_per_symbol, 0.0), MAXIMUM_BITS)
            self.log_steps.data.copy_(steps.log())

    def start(self, steps: Mapping[str, float]) -> None:
        """Replace the first steps; `steps` has one for every stepped tensor."""
        if self._specs:
            self.log_steps.data.copy_(torch.tensor([math.log(steps[name]) for name in self._specs]))

    def steps(self, values: Arrays | None = None) -> dict[str, Steps]:
        """The learned step of each stepped tensor; `values` has no effect, unlike in `MinMaxQuantiser`."""
        steps = self.log_steps.detach().exp().tolist()
        return {name: steps[index] for name, index in self._index.items()}

    def forward(
        self, values: Mapping[str, Tensor], rounding: Rounding, generator: torch.Generator | None = None
    ) -> Quantised:
        """Quantise `values`; per-frame tensors may hold a batch, whose bits are scaled to all frames.

        Without a `generator` the noise is the same in each call.
        """
        steps = self.log_steps.exp()
        generator = generator or torch.Generator(device=steps.device).manual_seed(0)
        tensors, total = dict(values), steps.new_zeros(())
        for name, spec in self._specs.items():
            value, step = values[name], steps[self._index[name]]
            scaled = value / step
            noise = torch.rand(scaled.shape, generator=generator, device=scaled.device) - 0.5
            share = spec.count / value.numel()
            total = total + share * laplace_bits(scaled + noise, laplace_scale(scaled))
            if rounding is Rounding.NOISE:
                tensors[name] = value + noise * step
            elif rounding is Rounding.STRAIGHT_THROUGH:
                tensors[name] = (scaled + (scaled.round() - scaled).detach()) * step
        for name in self._scales if rounding is not Rounding.NONE else ():
            stored = values[name].half().float()
            tensors[name] = values[name] + (stored - values[name]).detach()
        return Quantised(tensors, total)
