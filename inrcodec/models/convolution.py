"""Convolutions whose weights' gradient is computed in the layout in which the processor is fastest at it.

In float32 without AVX-512, oneDNN is faster with channels-last tensors than with contiguous ones, forward and
backward, but finds the gradient of the weights of large convolutions at less than half the speed. Contiguous
copies of a few rows, which stay in the cache, are faster than copies of the whole. Of 5x5, 33 to 112
channels, at 640x320, in billions of operations a second: forward 126 and 93, the features' gradient 116 and
79, the weights' 38, 55 from whole copies and 77 from rows.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_PIXELS, LEAST_REUSE = 3200, 300
"""From so many pixels on, and multiplications of a value with it, the copies are worth it."""
STRIP_PIXELS = 6400
"""About so many pixels are copied at once."""


def convolve(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution (B, C, H, W) -> (B, K, H, W) with zeros around, by weights (K, C, k, k), k odd."""
    if _is_planar_faster(features, weight):
        found: Tensor = _PlanarWeightGradient.apply(features, weight, bias)  # type: ignore[no-untyped-call]
        return found
    return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)


def _is_planar_faster(features: Tensor, weight: Tensor) -> bool:
    """Whether a gradient is wanted and contiguous tensors are better for it."""
    if features.device.type != "cpu" or features.dtype is not torch.float32:
        return False
    if not (torch.is_grad_enabled() and weight.requires_grad) or torch.is_autocast_enabled("cpu"):
        return False
    outputs, inputs, size, _ = weight.shape
    reuse = outputs * inputs * size**2 / (outputs + inputs)
    is_large = features.shape[-2] * features.shape[-1] >= LEAST_PIXELS and reuse >= LEAST_REUSE
    return is_large and torch.backends.cpu.get_cpu_capability() == "AVX2"


class _PlanarWeightGradient(torch.autograd.Function):
    """`F.conv2d` whose weight's gradient is that of contiguous copies."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        features, weight = ctx.saved_tensors
        (gradient,) = gradients
        to_features = None
        if ctx.needs_input_grad[0]:
            sides = [weight.shape[-1] // 2] * 2
            to_features = _gradients(gradient, features, weight, sides, [True, False, False])[0]
        to_weight, to_bias = _by_strips(gradient, features, weight.contiguous(), ctx.has_bias)
        return to_features, to_weight, to_bias


def _by_strips(
    gradient: Tensor, features: Tensor, weight: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of weight and bias, added up over strips of rows of each frame."""
    margin, rows = weight.shape[-1] // 2, features.shape[-2]
    height = max(1, STRIP_PIXELS // features.shape[-1])
    found = []
    for frame in range(len(features)):
        for top in range(0, rows, height):
            bottom = min(top + height, rows)
            strip = gradient[frame : frame + 1, :, top:bottom].contiguous()
            above, below = max(0, top - margin), min(rows, bottom + margin)
            seen = features[frame : frame + 1, :, above:below]
            # The rows beyond the frame are zeros.
            seen = F.pad(seen, (0, 0, above - top + margin, bottom + margin - below)).contiguous()
            found.append(_gradients(strip, seen, weight, [0, margin], [False, True, has_bias])[1:])
    to_weight = torch.stack([one for one, _ in found]).sum(0)
    return to_weight, torch.stack([one for _, one in found]).sum(0) if has_bias else None


def _gradients(
    gradient: Tensor, features: Tensor, weight: Tensor, sides: list[int], wanted: list[bool]
) -> list[Tensor]:
    """Those of features, weight and bias that are wanted, of zeros above and beside the features."""
    found: list[Tensor] = torch.ops.aten.convolution_backward(
        gradient, features, weight, [len(weight)], [1, 1], sides, [1, 1], False, [0, 0], 1, wanted
    )
    return found
