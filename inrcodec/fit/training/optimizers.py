"""Who moves which parameter of a fit, and how fast: Muon the weights of convolutions, Adam all else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from inrcodec.fit.minmax import MinMaxQuantiser
from inrcodec.fit.quantiser import Quantiser
from inrcodec.fit.training.adam import Adam
from inrcodec.fit.training.clock import cosine_with_warmup, rate_boost
from inrcodec.fit.training.muon import Muon
from inrcodec.models.family import Representation

STEP_RATE = 2e-2
"""Learning rate of the logarithms of the quantisation steps."""
HIGHEST_MUON_RATE = 2e-2
"""Sixteen frames of Carphone at 88x72, HNeRV of width 100, 160 steps: 30.9 dB at 8e-3, 32.2 at this, 32.0 at
2.5e-2; another fit of that width came to 15.9 at 5e-2."""
HIGHEST_BOOSTED_RATE = 3.5e-2
"""Of fits of few steps: the same, 48 steps, 27.4 dB at 2.2e-2, 28.0 at this, 27.5 at 5e-2."""


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
) -> dict[str, torch.optim.Optimizer]:
    """What fits a representation and its quantiser, by names: `adam`, and `muon` where it has a part.

    `optimizer` is one of `settings.OPTIMIZERS`; Muon computes in `dtype`. Their rates are the usual ones
    until `set_rates` says others.
    """
    by_adam: list[dict[str, Any]] = []
    by_muon: list[dict[str, Any]] = []
    for group in representation.groups():
        usual = rate * group.rate_factor
        if not group.parameters:
            continue
        if group.are_matrices and optimizer == "muon":
            by_muon.append(_group(group.parameters, min(usual, HIGHEST_MUON_RATE), group.many_steps))
        else:
            by_adam.append(_group(group.parameters, min(usual, group.highest_rate)))
    by_adam.append(_group(quantiser.parameters(), STEP_RATE))
    made: dict[str, torch.optim.Optimizer] = {"adam": Adam(by_adam, fused=True)}
    if by_muon:
        made["muon"] = Muon(by_muon, dtype)
    return made


def set_rates(optimizers: Iterable[torch.optim.Optimizer], fraction: float, expected_steps: float) -> None:
    """The learning rates of a fit of which a share is done, and which so few steps are expected of."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = boosted_rate(group, expected_steps) * cosine_with_warmup(fraction)


def boosted_rate(group: Mapping[str, Any], expected_steps: float) -> float:
    """The highest rate that a group of an optimiser has in a fit of so many steps."""
    usual: float = group["usual_lr"]
    boosted = usual * rate_boost(expected_steps, group["many_steps"])
    return max(usual, min(boosted, HIGHEST_BOOSTED_RATE))


def _group(parameters: Iterable[nn.Parameter], rate: float, many_steps: float = 0.0) -> dict[str, Any]:
    """A group of an optimiser, with what its rate goes by: kept beside it in checkpoints."""
    return {"params": list(parameters), "lr": rate, "usual_lr": rate, "many_steps": many_steps}
