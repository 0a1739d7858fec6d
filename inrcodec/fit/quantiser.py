"""Learned quantisation steps, one a tensor, trained with the network and the rate.

While fitting, noise of one step's width stands for rounding and lets the step learn (Ballé et al. 2017); in
the last part values are rounded and gradients pass straight through (Esser et al. 2020, LSQ).
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
"""Most bits a symbol that the first steps are chosen for, however many a plan leaves over."""


class Rounding(Enum):
    """How a quantiser treats values."""

    NONE = auto()
    NOISE = auto()
    STRAIGHT_THROUGH = auto()


@dataclass(frozen=True)
class Quantised:
    """Tensors as the decoder will see them (or a differentiable stand-in), and what they cost."""

    tensors: dict[str, Tensor]
    bits: Tensor
    """Estimated bits of all stepped tensors of the segment, a scalar."""


class Quantiser(nn.Module):
    """Holds the logarithm of each stepped tensor's step."""

    def __init__(
        self, specs: Sequence[TensorSpec], values: Mapping[str, Tensor], bits_per_symbol: float
    ) -> None:
        """Start with steps at which `values`, if Laplace distributed, would cost about `bits_per_symbol`."""
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
        """Begin with these steps, one a stepped tensor."""
        if self._specs:
            self.log_steps.data.copy_(torch.tensor([math.log(steps[name]) for name in self._specs]))

    def steps(self, values: Arrays | None = None) -> dict[str, Steps]:
        """The step of each stepped tensor; learned, whatever the `values` that a fit ended with."""
        steps = self.log_steps.detach().exp().tolist()
        return {name: steps[index] for name, index in self._index.items()}

    def forward(
        self, values: Mapping[str, Tensor], rounding: Rounding, generator: torch.Generator | None = None
    ) -> Quantised:
        """Quantise `values`; per-frame tensors may hold a batch of frames, and are charged for all frames."""
        steps = self.log_steps.exp()
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
