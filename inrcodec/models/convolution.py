"""Convolutions whose weights' gradient is computed in the way in which the processor is fastest at it.

In float32 without AVX-512, oneDNN finds the gradient of the weights of large convolutions at less than half
the speed of all else; as products of matrices it is about as fast. Of 5x5, 33 to 112 channels, at 640x320, in
billions of operations a second on two cores: forward 126, the features' gradient 116, the weights' 41, by
products 96; products of large matrices alone 150.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_PIXELS, LEAST_REUSE = 3200, 200
"""From so many pixels on, and multiplications of a value with it, the products are worth their copies."""
STRIP_PIXELS = 3200
"""About so many are multiplied at once: their copies stay in the processor's cache."""


def convolve(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution (B, C, H, W) -> (B, K, H, W) with zeros around, by weights (K, C, k, k), k odd."""
    if _is_faster_by_products(features, weight):
        found: Tensor = _GradientByProducts.apply(features, weight, bias)  # type: ignore[no-untyped-call]
        return found
    return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)


def _is_faster_by_products(features: Tensor, weight: Tensor) -> bool:
    """Whether a gradient is wanted and products of matrices are better for it."""
    if features.device.type != "cpu" or features.dtype is not torch.float32:
        return False
    if not (torch.is_grad_enabled() and weight.requires_grad) or torch.is_autocast_enabled("cpu"):
        return False
    outputs, inputs, size, _ = weight.shape
    reuse = outputs * inputs * size**2 / (outputs + inputs)
    is_large = features.shape[-2] * features.shape[-1] >= LEAST_PIXELS and reuse >= LEAST_REUSE
    return is_large and torch.backends.cpu.get_cpu_capability() == "AVX2"


class _GradientByProducts(torch.autograd.Function):
    """`F.conv2d` whose weight's gradient is that of `_weight_gradient`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        features, weight = ctx.saved_tensors
        (gradient,) = gradients
        to_features, sides = None, [weight.shape[-1] // 2] * 2
        if ctx.needs_input_grad[0]:
            to_features, _, _ = torch.ops.aten.convolution_backward(
                gradient,
                features,
                weight,
                None,
                [1, 1],
                sides,
                [1, 1],
                False,
                [0, 0],
                1,
                [True, False, False],
            )
        to_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
        return to_features, _weight_gradient(gradient, features, weight.shape[-1]), to_bias


def _weight_gradient(gradient: Tensor, features: Tensor, size: int) -> Tensor:
    """(K, C, k, k), of the gradient (B, K, H, W) of what features (B, C, H, W) were convolved to.

    It adds up over strips of rows. With channels last, `size` neighbours in a row are a run of memory, and a
    strip and its margins are copied to a matrix that has such a run for each pixel. A row of the kernel is
    the product of the strip's gradients with that matrix from the kernel's row on.
    """
    outputs, inputs, (height, width) = gradient.shape[1], features.shape[1], features.shape[-2:]
    margin = size // 2
    rows = min(height, max(1, 4 * margin, STRIP_PIXELS // width))
    strip = features.new_zeros(rows + 2 * margin, width + 2 * margin, inputs)
    found = features.new_zeros(size, outputs, size * inputs)
    for frame, slopes in zip(features.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1), strict=True):
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            first, last = max(0, top - margin), min(height, bottom + margin)
            at = first - (top - margin)
            strip[:at] = 0
            strip[at : at + last - first, margin : margin + width] = frame[first:last]
            strip[at + last - first :] = 0
            runs = strip.as_strided(
                (len(strip), width, size * inputs), ((width + 2 * margin) * inputs, inputs, 1)
            ).reshape(-1, size * inputs)
            slope = slopes[top:bottom].reshape(-1, outputs).t()
            for row in range(size):
                found[row].addmm_(slope, runs[row * width : row * width + slope.shape[1]])
    return found.view(size, outputs, size, inputs).permute(1, 3, 0, 2)
