"""Muon, an optimiser with orthogonalised momentum, for the weights of convolutions.

Newton-Schulz iterations replace the momentum of a matrix with approximately the nearest orthogonal matrix, so
that directions of small singular values move as far as those of large ones (K. Jordan et al., "Muon: an
optimizer for hidden layers in neural networks", 2024). A step is about as large as one of Adam at the same
learning rate (J. Liu et al., "Muon is scalable for LLM training", 2025, section 2.2).

Unlike in those papers, first and last layers are fitted too, and there is no weight decay. `torch.optim.Muon`
accepts only matrices, and older versions of PyTorch do not have it. `benchmarks.equal_time` compares Muon and
Adam. The iterations take negligible time for large frames, a fifth of a step at 320x160, and as long as the
convolutions for wide networks (100 channels or more) with frames of 100 pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.9
"""HNeRV with 82k parameters, 3 epochs: 25.80 dB, with 0.95 25.49, with 0.98 24.77, with 0.8 25.73."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""The polynomial a x + b x^3 + c x^5, which in `ITERATIONS` maps singular values from 0.005..1 to about
0.7..1.2."""
ITERATIONS = 5
"""With 3, the HNeRV of `MOMENTUM` reached 25.62 dB."""
ADAM_STEP = 0.2
"""Approximate root mean square of a step of Adam, in learning rates."""


def orthogonalised(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Approximately U V^T for a matrix (m, n) = U S V^T, computed in `dtype` or its own; zeros stay zeros."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if is_tall else matrix
    found = (found / found.norm().clamp(min=1e-20)).to(dtype or matrix.dtype)
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = found @ found.T
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        found = torch.addmm(found, polynomial, found, beta=linear)
    return found.T if is_tall else found


class Muon(torch.optim.Optimizer):
    """Fits weights (outputs, ...) as matrices (outputs, inputs), with all other axes flattened into one."""

    def __init__(self, groups: Iterable[dict[str, Any]], dtype: torch.dtype = torch.float32) -> None:
        """`groups` have `params` and `lr`, as in every optimiser; iterations are in `dtype`."""
        super().__init__(groups, {})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one step; parameters without a gradient do not change."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        state["momentum"] = torch.zeros_like(parameter)
                    change = self._direction(parameter.grad, state["momentum"])
                    parameter.add_(change, alpha=-group["lr"])

    def _direction(self, gradient: Tensor, momentum: Tensor) -> Tensor:
        """Update `momentum` with `gradient`; return the step to subtract at a learning rate of 1."""
        momentum.lerp_(gradient, 1 - MOMENTUM)
        # Nesterov momentum: as it would be after one more such gradient.
        matrix = torch.lerp(gradient, momentum, MOMENTUM).flatten(1)
        size: float = ADAM_STEP * max(matrix.shape) ** 0.5
        return size * orthogonalised(matrix, self._dtype).to(gradient.dtype).reshape(gradient.shape)

    @torch.no_grad()
    def rehearse(self) -> None:
        """Compute as much as a step does without changing anything, to measure its time."""
        for group in self.param_groups:
            for parameter in group["params"]:
                orthogonalised(parameter.flatten(1), self._dtype)
