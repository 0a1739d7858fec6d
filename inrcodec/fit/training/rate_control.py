"""Adjusts the weight of the rate term while fitting, so that the model ends at its target bits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

INITIAL_WEIGHT = 0.01
"""Initial weight of the rate term: the cost of the whole budget relative to the error, for any loss."""
PROPORTIONAL = 12.0
"""Proportional gain: change of the weight's logarithm, in this step only, for a relative excess of 1."""
FLOOR = math.log(1e-3)
"""Lower limit of the integral, so that the rate term soon acts again after a fit was below its target."""
GAIN = 60.0
"""Integral gain: change of the weight's logarithm over the whole charged part for a relative excess of 1."""
RELAXED_UNTIL = 0.5
RELAXATION = 0.3
"""The target starts at 1 + RELAXATION times the budget; from RELAXED_UNTIL of the charged part on
it is the budget."""
ERROR_MEMORY = 0.99


class RateControl:
    """A proportional-integral controller of mu in loss = error + mu x mean error x bits / target bits.

    Scaling by the running mean error makes mu comparable between clips and budgets. The integral gain is per
    fraction of the fit, not per step, so that short fits reach their target too. The weight and the mean
    error stay on the device.
    """

    def __init__(self, target_bits: float, device: torch.device) -> None:
        self._target_bits = max(target_bits, 1.0)
        self._log_weight = torch.tensor(math.log(INITIAL_WEIGHT), device=device)
        self._mean_error: Tensor | None = None
        self._began: float | None = None
        self._progress = 0.0
        self._relaxed_bits, self._gain = (torch.zeros((), device=device) for _ in range(2))

    def begin_step(self, fraction: float) -> None:
        """Set the progress for a step at `fraction` of the fit.

        The charged part begins at the first call, which may be late in the fit.
        """
        self._began = fraction if self._began is None else self._began
        progress = (fraction - self._began) / max(1 - self._began, 1e-9)
        relaxed = 1 + RELAXATION * max(0.0, 1 - progress / RELAXED_UNTIL)
        # Filling copies nothing to the device.
        self._relaxed_bits.fill_(self._target_bits * relaxed)
        self._gain.fill_(GAIN * (progress - self._progress))
        self._progress = progress

    def charge(self, error: Tensor, bits: Tensor) -> Tensor:
        """The rate term of the step that has begun, for its `error` and estimated `bits`.

        After the first step it only changes tensors in place, so that a CUDA graph can repeat it.
        """
        now = error.detach()
        if self._mean_error is None:
            self._mean_error = now.clone()
        self._mean_error.lerp_(now, 1 - ERROR_MEMORY)
        excess = (bits.detach() / self._relaxed_bits - 1).clamp(-1, 1)
        self._log_weight.copy_((self._log_weight + self._gain * excess).clamp(FLOOR, 10.0))
        weight = (self._log_weight + PROPORTIONAL * excess).exp()
        return weight * self._mean_error * bits / self._target_bits

    def penalty(self, error: Tensor, bits: Tensor, fraction: float) -> Tensor:
        """`begin_step` and `charge`."""
        self.begin_step(fraction)
        return self.charge(error, bits)

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
