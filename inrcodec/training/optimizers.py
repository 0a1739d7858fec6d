"""Who moves which parameter of a fit, and how fast: Muon the weights of convolutions, Adam all else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from inrcodec.compression.minmax import MinMaxQuantiser
from inrcodec.compression.quantiser import Quantiser
from inrcodec.models.family import ParameterGroup, Representation
from inrcodec.training.muon import Muon
from inrcodec.training.schedule import rate_boost

STEP_RATE = 2e-2
"""Learning rate of the logarithms of the quantisation steps."""
HIGHEST_MUON_RATE = 3.5e-2
"""Of HNeRV at width 100, 48 steps: 28.0 dB at this, 27.5 at 5e-2, which in 160 steps came to 15.9."""


def capped_rate(representation: Representation, rate: float) -> float | None:
    """The highest rate of a fit that lowers none of Adam's; None when that is not below `rate`."""
    highest = min(group.highest_rate / group.rate_factor for group in representation.groups())
    return highest if highest < rate else None


def make_optimizers(
    representation: Representation,
    quantiser: Quantiser | MinMaxQuantiser,
    rate: float,
    optimizer: str,
    dtype: torch.dtype,
    expected_steps: float = math.inf,
) -> dict[str, torch.optim.Optimizer]:
    """What fits a representation and its quantiser, by names: `adam`, and `muon` where it has a part.

    `optimizer` is one of `settings.OPTIMIZERS`; Muon computes in `dtype`, at higher rates when few steps are
    expected.
    """
    groups = _groups(representation, optimizer, expected_steps)
    others = [group for group in groups if not group.are_matrices]
    matrices = [group for group in groups if group.are_matrices]
    steps = {"params": list(quantiser.parameters()), "lr": STEP_RATE}
    made: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.Adam([*_at_rates(others, rate), steps], fused=True)
    }
    if matrices:
        made["muon"] = Muon(_at_rates(matrices, rate), dtype)
    return made


def _groups(representation: Representation, optimizer: str, expected_steps: float) -> list[ParameterGroup]:
    """Groups that have parameters, as matrices those that Muon is to fit, at Muon's rates."""
    groups = [group for group in representation.groups() if group.parameters]
    if optimizer == "adam":
        return [replace(group, are_matrices=False) for group in groups]
    return [_by_muon(group, expected_steps) if group.are_matrices else group for group in groups]


def _by_muon(group: ParameterGroup, expected_steps: float) -> ParameterGroup:
    factor = group.rate_factor * rate_boost(expected_steps, group.many_steps)
    return replace(group, rate_factor=factor, highest_rate=HIGHEST_MUON_RATE)


def _at_rates(groups: Sequence[ParameterGroup], rate: float) -> list[dict[str, Any]]:
    return [
        {"params": list(group.parameters), "lr": min(rate * group.rate_factor, group.highest_rate)}
        for group in groups
    ]
