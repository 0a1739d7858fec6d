"""Finds the weight of the rate term, while fitting, at which a model costs the bits it may cost."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

INITIAL_WEIGHT = 0.01
"""First weight of the rate: what the whole budget costs, relative to the error, by whatever loss."""
PROPORTIONAL = 12.0
"""How far the weight's logarithm is moved at once, for this step only, were the rate off by its target."""
FLOOR = math.log(1e-3)
"""The integral's lowest logarithm: a fit under its target must not take long to feel the rate again."""
GAIN = 60.0
"""How far the weight's logarithm would move while bits are charged, were the rate off by its target."""
RELAXED_UNTIL = 0.5
RELAXATION = 0.3
"""The target starts at 1 + RELAXATION times the budget and reaches it at this share of the charged part."""
ERROR_MEMORY = 0.99


class RateControl:
    """A proportional and integral controller of mu in loss = error + mu x mean error x bits / target bits.

    Scaling by the running error makes mu mean the same for every clip and budget. The gain is per share of
    the fit, not per step, so that a short fit reaches its target too. All state stays on the device.
    """

    def __init__(self, target_bits: float, device: torch.device) -> None:
        self._target_bits = max(target_bits, 1.0)
        self._log_weight = torch.tensor(math.log(INITIAL_WEIGHT), device=device)
        self._mean_error: Tensor | None = None
        self._began: float | None = None
        self._progress = 0.0

    def penalty(self, error: Tensor, bits: Tensor, fraction: float) -> Tensor:
        """The rate term for a step's `error` and estimated `bits`, at `fraction` of the fit.

        Progress counts from the first call: a fit may charge for bits in its last part only.
        """
        self._began = fraction if self._began is None else self._began
        progress = (fraction - self._began) / max(1 - self._began, 1e-9)
        now = error.detach()
        before = now if self._mean_error is None else self._mean_error
        self._mean_error = ERROR_MEMORY * before + (1 - ERROR_MEMORY) * now
        relaxed = 1 + RELAXATION * max(0.0, 1 - progress / RELAXED_UNTIL)
        excess = (bits.detach() / (self._target_bits * relaxed) - 1).clamp(-1, 1)
        self._log_weight = (self._log_weight + GAIN * (progress - self._progress) * excess).clamp(FLOOR, 10.0)
        self._progress = progress
        weight = (self._log_weight + PROPORTIONAL * excess).exp()
        return weight * self._mean_error * bits / self._target_bits

    def state_dict(self) -> dict[str, Any]:
        return {
            "log_weight": self._log_weight,
            "mean_error": self._mean_error,
            "began": self._began,
            "progress": self._progress,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._log_weight, self._mean_error = state["log_weight"], state["mean_error"]
        self._began, self._progress = state["began"], state["progress"]
