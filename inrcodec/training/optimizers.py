"""Who moves which parameter of a fit, and how fast: Muon the weights of convolutions, Adam all else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from inrcodec.compression.minmax import MinMaxQuantiser
from inrcodec.compression.quantiser import Quantiser
from inrcodec.models.family import ParameterGroup, Representation
from inrcodec.training.muon import Muon

STEP_RATE = 2e-2
"""Learning rate of the logarithms of the quantisation steps."""


def capped_rate(representation: Representation, rate: float) -> float | None:
    """The highest rate of a fit that no group's `highest_rate` lowers; None when that is not below `rate`."""
    highest = min(group.highest_rate / group.rate_factor for group in representation.groups())
    return highest if highest < rate else None


def make_optimizers(
    representation: Representation, quantiser: Quantiser | MinMaxQuantiser, rate: float, name: str
) -> dict[str, torch.optim.Optimizer]:
    """What fits a representation and its quantiser, by names: `adam`, and for a `name` of `muon` that too.

    Only Adam's rates are capped by `ParameterGroup.highest_rate`: a step of Muon's changes no direction more
    than others, and wide networks bear it.
    """
    groups = [group for group in representation.groups() if group.parameters]
    matrices = [group for group in groups if group.are_matrices and name == "muon"]
    others = [group for group in groups if not group.are_matrices or name != "muon"]
    steps = {"params": list(quantiser.parameters()), "lr": STEP_RATE}
    optimizers: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.Adam([*_at_rates(others, rate, is_capped=True), steps], fused=True)
    }
    if matrices:
        optimizers["muon"] = Muon(_at_rates(matrices, rate, is_capped=False))
    return optimizers


def _at_rates(groups: Sequence[ParameterGroup], rate: float, is_capped: bool) -> list[dict[str, Any]]:
    found = []
    for group in groups:
        highest = group.highest_rate if is_capped else math.inf
        found.append({"params": list(group.parameters), "lr": min(rate * group.rate_factor, highest)})
    return found
