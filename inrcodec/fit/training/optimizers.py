"""Optimisers of a fit and their learning rates: Muon for the weights of convolutions, Adam for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inrcodec.fit.minmax import MinMaxQuantiser
from inrcodec.fit.quantiser import Quantiser
from inrcodec.fit.training.adam import Adam
from inrcodec.fit.training.clock import cosine_with_warmup, rate_boost
from inrcodec.fit.training.muon import Muon
from inrcodec.models.family import Representation

STEP_RATE = 2e-2
"""Learning rate of the logarithms of the quantisation steps."""
HIGHEST_MUON_RATE = 2e-2
"""Upper limit of the usual rate. Sixteen frames of Carphone at 88x72, HNeRV of width 100, 160 steps: 30.9 dB
at 8e-3, 32.2 at this value, 32.0 at 2.5e-2; another fit of that width reached 15.9 at 5e-2."""
HIGHEST_BOOSTED_RATE = 3.5e-2
"""Upper limit for few steps. The same in 48 steps: 27.4 dB at 2.2e-2, 28.0 at this value, 27.5 at 5e-2."""


def capped_rate(representation: Representation, rate: float) -> float | None:
    """The highest rate that exceeds no group's `highest_rate`; None if it is not below `rate`."""
    highest = min(group.highest_rate / group.rate_factor for group in representation.groups())
    return highest if highest < rate else None


def make_optimizers(
    representation: Representation,
    quantiser: Quantiser | MinMaxQuantiser,
    rate: float,
    optimizer: str,
    dtype: torch.dtype,
) -> dict[str, torch.optim.Optimizer]:
    """Optimisers of a representation and its quantiser by name: `adam`, and `muon` if any group is for it.

    `optimizer` is one of `settings.presets.OPTIMIZERS`; Muon computes in `dtype`. Learning rates are the
    usual ones until `set_rates` changes them.
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
    """Set the learning rates for `fraction` of a fit of which `expected_steps` are expected."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    rates = [boosted_rate(group, expected_steps) * cosine_with_warmup(fraction) for group in groups]
    if isinstance(groups[0]["lr"], Tensor):
        tensors = [group["lr"] for group in groups]
        # Numbers are arguments of kernels, and copy nothing to the device.
        torch._foreach_zero_(tensors)
        torch._foreach_add_(tensors, rates)
    else:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate


def move_rates(optimizers: Iterable[torch.optim.Optimizer], device: torch.device) -> None:
    """Make learning rates tensors on a GPU, for a CUDA graph of a step to read, and numbers elsewhere."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = float(group["lr"])
            group["lr"] = torch.tensor(rate, device=device) if device.type == "cuda" else rate


def boosted_rate(group: Mapping[str, Any], expected_steps: float) -> float:
    """The peak learning rate of an optimiser's group in a fit of `expected_steps`."""
    usual: float = group["usual_lr"]
    boosted = usual * rate_boost(expected_steps, group["many_steps"])
    return max(usual, min(boosted, HIGHEST_BOOSTED_RATE))


def _group(parameters: Iterable[nn.Parameter], rate: float, many_steps: float = 0.0) -> dict[str, Any]:
    """An optimiser's group with the values that determine its rate, which checkpoints then include."""
    return {"params": list(parameters), "lr": rate, "usual_lr": rate, "many_steps": many_steps}
