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
from inrcodec.fit.flat import FlatLayout, Form, form_of
from inrcodec.fit.rate import MINIMUM_SCALE, laplace_bits
from inrcodec.models.family import STEPPED_ROLES, Role, TensorSpec
from inrcodec.system.device import autocast

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
        self._layouts: dict[tuple[torch.device, tuple[Form, ...]], tuple[FlatLayout, Tensor]] = {}
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
        tensors, bits = dict(values), self.log_steps.new_zeros(())
        if self._specs:
            # Steps are spread by products, which autocast would round.
            with autocast(self.log_steps.device, torch.float32):
                bits = self._quantise(tensors, rounding, generator)
        for name in self._scales if rounding is not Rounding.NONE else ():
            stored = values[name].half().float()
            tensors[name] = values[name] + (stored - values[name]).detach()
        return Quantised(tensors, bits)

    def _quantise(
        self, tensors: dict[str, Tensor], rounding: Rounding, generator: torch.Generator | None
    ) -> Tensor:
        """Replace the stepped ones of `tensors` by quantised ones; returns their bits."""
        parts = [tensors[name] for name in self._specs]
        layout, shares = self._layout_of(parts)
        rows, step = layout.joined(parts), layout.spread(self.log_steps.exp())
        scaled = rows / step
        generator = generator or torch.Generator(device=rows.device).manual_seed(0)
        noise = torch.empty_like(scaled).uniform_(-0.5, 0.5, generator=generator)
        with torch.no_grad():
            scale = layout.spread(layout.means(scaled.abs()).clamp(min=MINIMUM_SCALE))
        bits = laplace_bits(scaled + noise, scale, shares)
        if rounding is Rounding.NOISE:
            rows = rows + noise * step
        elif rounding is Rounding.STRAIGHT_THROUGH:
            rows = (scaled + (scaled.round() - scaled).detach()) * step
        if rounding is not Rounding.NONE:
            tensors.update(zip(self._specs, layout.parted(rows), strict=True))
        return bits

    def _layout_of(self, parts: Sequence[Tensor]) -> tuple[FlatLayout, Tensor]:
        """The layout of stepped tensors, and how many values of the segment each place (R, `ROW`) stands for.

        Kept for all sizes of batches that a fit has.
        """
        key = (parts[0].device, tuple(form_of(one) for one in parts))
        if key not in self._layouts:
            layout = FlatLayout(key[1], parts[0].device)
            shares = torch.tensor(
                [spec.count / one.numel() for spec, one in zip(self._specs.values(), parts, strict=True)],
                device=parts[0].device,
            )
            self._layouts[key] = layout, layout.spread(shares) * layout.is_value
        return self._layouts[key]
