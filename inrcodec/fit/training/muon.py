"""Muon: momentum whose directions are all learned at the same pace, for the weights of convolutions.

The momentum of a matrix is replaced by about the nearest orthogonal one, found by Newton-Schulz iterations:
directions of small singular values move as far as those of large ones (K. Jordan et al., "Muon: an optimizer
for hidden layers in neural networks", 2024). The size of a step is about that of one of Adam at the same
learning rate (J. Liu et al., "Muon is scalable for LLM training", 2025, section 2.2).

Unlike there, first and last layers are fitted too, and no weight decays. `torch.optim.Muon` takes matrices
only, and older versions of PyTorch have none. `benchmarks.equal_time` has what it is worth. The iterations
cost nothing beside the convolutions of large frames, a fifth of a step at 320x160, and as much as those where
wide networks (100 channels and more) have frames of a hundred pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.9
"""Of HNeRV, 82k parameters, 3 epochs: 25.80 dB, with 0.95 25.49, with 0.98 24.77, with 0.8 25.73."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of a x + b x^3 + c x^5, which brings singular values of 0.005 to 1 to about 0.7 to 1.2 in `ITERATIONS`."""
ITERATIONS = 5
"""With 3, the above is 25.62 dB."""
ADAM_STEP = 0.2
"""Root mean square of a step of Adam, in learning rates, about."""


def orthogonalised(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """About U V^T of a matrix (m, n) that is U S V^T, computed in `dtype` or its own; zeros stay zeros."""
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
    """Fits weights (outputs, ...) as matrices of their outputs by all that these read."""

    def __init__(self, groups: Iterable[dict[str, Any]], dtype: torch.dtype = torch.float32) -> None:
        """`groups` have `params` and `lr`, as those of every optimiser; iterations are in `dtype`."""
        super().__init__(groups, {})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; parameters without a gradient stay."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        state["momentum"] = torch.zeros_like(parameter)
                    change = self._direction(parameter.grad, state["momentum"])
                    parameter.add_(change, alpha=-group["lr"])

    def _direction(self, gradient: Tensor, momentum: Tensor) -> Tensor:
        """What a learning rate of 1 takes from a parameter; takes the gradient into its momentum."""
        momentum.lerp_(gradient, 1 - MOMENTUM)
        # Nesterov's: as the momentum would be after one more such gradient.
        matrix = torch.lerp(gradient, momentum, MOMENTUM).flatten(1)
        size: float = ADAM_STEP * max(matrix.shape) ** 0.5
        return size * orthogonalised(matrix, self._dtype).to(gradient.dtype).reshape(gradient.shape)

    @torch.no_grad()
    def rehearse(self) -> None:
        """Do the work of a step, and change nothing: for those who want to know how long it takes."""
        for group in self.param_groups:
            for parameter in group["params"]:
                orthogonalised(parameter.flatten(1), self._dtype)
