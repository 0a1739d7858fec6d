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

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


def orthogonalised(matrices: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Approximately U V^T of each matrix U S V^T of (..., m, n), computed in `dtype` or their own.

    Matrices of zeros stay zeros.
    """
    shape = matrices.shape
    found = matrices.reshape(-1, *shape[-2:])
    is_tall = shape[-2] > shape[-1]
    found = found.mT if is_tall else found
    norms = torch.linalg.vector_norm(found, dim=(-2, -1), keepdim=True)
    found = (found / norms.clamp(min=1e-20)).to(dtype or matrices.dtype)
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = torch.bmm(found, found.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        found = torch.baddbmm(found, polynomial, found, beta=linear)
    return (found.mT if is_tall else found).reshape(shape)


def directions(gradients: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The steps that Muon subtracts at a learning rate of 1, for gradients (outputs, ...) of weights.

    Matrices of one shape, upright or turned, are computed together.
    """
    alike: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    wide = [_wide(one) for one in gradients]
    for place, matrix in enumerate(wide):
        alike[tuple(matrix.shape)].append(place)  # type: ignore[index]
    made: dict[int, Tensor] = {}
    for (_, columns), places in alike.items():
        found = orthogonalised(torch.stack([wide[place] for place in places]), dtype)
        found = found.to(gradients[places[0]].dtype) * (ADAM_STEP * columns**0.5)
        made.update(zip(places, found.unbind(), strict=True))
    return [_like(made[place], one) for place, one in enumerate(gradients)]


def _wide(weight: Tensor) -> Tensor:
    """A weight as a matrix (outputs, inputs) or turned, whichever is not tall."""
    matrix = _in_memory_order(weight).flatten(1)
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _in_memory_order(weight: Tensor) -> Tensor:
    """`weight` with its inputs last if they are so in memory: the order of columns makes no difference."""
    is_last = weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return weight.permute(0, 2, 3, 1) if is_last else weight


def _like(matrix: Tensor, weight: Tensor) -> Tensor:
    """Inverse of `_wide`: `matrix` in the shape, and the order in memory, of `weight`."""
    ordered = _in_memory_order(weight)
    upright = matrix.T if len(ordered) != len(matrix) else matrix
    found = upright.reshape(ordered.shape)
    return found if ordered is weight else found.permute(0, 3, 1, 2)


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
            parameters = [one for one in group["params"] if one.grad is not None]
            if not parameters:
                continue
            for one in parameters:
                if not self.state[one]:
                    self.state[one]["momentum"] = torch.zeros_like(one)
            gradients = [one.grad for one in parameters]
            momenta = [self.state[one]["momentum"] for one in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            # Nesterov momentum: as it would be after one more such gradient.
            ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)
            steps = directions(ahead, self._dtype)
            # The rate may be a tensor on the device.
            torch._foreach_mul_(steps, group["lr"])
            torch._foreach_sub_(parameters, steps)

    @torch.no_grad()
    def rehearse(self) -> None:
        """Compute as much as a step does without changing anything, to measure its time."""
        for group in self.param_groups:
            directions(group["params"], self._dtype)
