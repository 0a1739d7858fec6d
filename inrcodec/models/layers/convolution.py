"""Convolutions and the gradients of their weights, computed in the way that the processor does fastest.

In float32 without AVX-512, oneDNN computes the weights' gradient of large convolutions at a third of the
speed of all else; products of matrices reach three quarters. Measured on two cores of an AMD EPYC with AVX2:

                                   stage: 5x5, 33 to 112 channels,    head: 3x3, 33 to 3 channels,
                                   640x320, 10^9 operations/second    1280x640, batch 2, milliseconds
    forward                        126                                76
    features' gradient             116                                40
    weights' gradient, oneDNN       41                                230 to 270
    weights' gradient, products     96                                70 to 95
    products of large matrices     150
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_PIXELS, LEAST_REUSE = 3200, 200
"""Products are worth their copies from this many pixels and multiplications per copied value."""
STRIP_PIXELS, LEAST_ROWS_A_MARGIN = 3200, 4
"""A strip has about this many pixels, so that their copies stay in the processor's cache. It has at least
four times the rows of its margin, because the margin is copied again for each strip."""
FEW_OUTPUTS, FEW_STRIP_PIXELS = 4, 10_000
"""For so few outputs (heads) the gradient is copied, not the features, in strips of so many pixels."""


def convolve(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (B, C, H, W) -> (B, K, H, W), zero-padded, with weights (K, C, k, k), k odd, and bias (K,)."""
    if _is_faster_by_products(features, weight):
        found: Tensor = _GradientByProducts.apply(features, weight, bias)  # type: ignore[no-untyped-call]
        return found
    # An exported graph runs in other programs, on other processors.
    is_ours = features.device.type == "cpu" and not torch.compiler.is_compiling()
    if is_ours and 2 * len(weight) <= _lanes():
        return _convolve_abreast(features, weight, bias)
    return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)


def _lanes() -> int:
    """Outputs that a convolution computes at once on x86-64; few other processors were measured."""
    return 8 if torch.backends.cpu.get_cpu_capability() == "AVX2" else 16


def _convolve_abreast(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution to few channels, computed for several neighbouring places at once.

    With only three outputs most of the lanes would idle.
    """
    outputs, kernel, width = weight.shape[0], weight.shape[-1], features.shape[-1]
    most = _lanes() // outputs
    places = max(count for count in range(1, most + 1) if width % count == 0)
    shifted = torch.cat([F.pad(weight, (place, places - 1 - place)) for place in range(places)])
    biases = None if bias is None else bias.repeat(places)
    found = F.conv2d(features, shifted, biases, stride=(1, places), padding=kernel // 2)
    batch, _, rows, _ = found.shape
    return found.permute(0, 2, 3, 1).reshape(batch, rows, width, outputs).permute(0, 3, 1, 2)


def _is_faster_by_products(features: Tensor, weight: Tensor) -> bool:
    """Whether the weights' gradient is needed and products of matrices are faster for it."""
    if features.device.type != "cpu" or features.dtype is not torch.float32:
        return False
    if not (torch.is_grad_enabled() and weight.requires_grad) or torch.is_autocast_enabled("cpu"):
        return False
    outputs, inputs, size, _ = weight.shape
    reuse = outputs * inputs * size**2 / (outputs + inputs)
    is_worth_it = reuse >= LEAST_REUSE or (outputs <= FEW_OUTPUTS and size > 1)
    is_large = features.shape[-2] * features.shape[-1] >= LEAST_PIXELS
    return is_worth_it and is_large and torch.backends.cpu.get_cpu_capability() == "AVX2"


class _GradientByProducts(torch.autograd.Function):
    """`F.conv2d` with the weights' gradient computed by products of matrices."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        features, weight = ctx.saved_tensors
        (gradient,) = gradients
        to_features = to_weight = to_bias = None
        sides = [weight.shape[-1] // 2] * 2
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
        if ctx.needs_input_grad[1]:
            few = len(weight) <= FEW_OUTPUTS
            by_products = _weight_gradient_of_few if few else _weight_gradient
            to_weight = by_products(gradient, features, weight.shape[-1])
        if ctx.needs_input_grad[2]:
            to_bias = gradient.sum((0, 2, 3))
        return to_features, to_weight, to_bias


def _weight_gradient(gradient: Tensor, features: Tensor, size: int) -> Tensor:
    """The weights' gradient (K, C, k, k), from the outputs' (B, K, H, W) and the features (B, C, H, W).

    Summed over strips of rows. With channels last, `size` neighbours in a row are contiguous in memory; a
    strip and its margins are copied to a matrix with such a run for each pixel. A row of the kernel is the
    product of the strip's gradients with that matrix, from the kernel's row on.
    """
    outputs, inputs, (height, width) = gradient.shape[1], features.shape[1], features.shape[-2:]
    margin = size // 2
    rows = min(height, max(1, LEAST_ROWS_A_MARGIN * margin, STRIP_PIXELS // width))
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
                (bottom - top + 2 * margin, width, size * inputs),
                ((width + 2 * margin) * inputs, inputs, 1),
            ).reshape(-1, size * inputs)
            slope = slopes[top:bottom].reshape(-1, outputs).t()
            for row in range(size):
                found[row].addmm_(slope, runs[row * width : row * width + slope.shape[1]])
    return found.view(size, outputs, size, inputs).permute(1, 3, 0, 2)


def _weight_gradient_of_few(gradient: Tensor, features: Tensor, size: int) -> Tensor:
    """`_weight_gradient` for few outputs: copies their gradient, once for each position in the kernel.

    A weight's gradient is the product of the features with the gradients around them, mirrored.
    """
    outputs, inputs, (height, width) = gradient.shape[1], features.shape[1], features.shape[-2:]
    margin = size // 2
    rows = min(height, max(1, FEW_STRIP_PIXELS // width))
    found = features.new_zeros(outputs * size**2, inputs)
    bordered = F.pad(gradient.contiguous(), [margin] * 4)
    for planes, frame in zip(bordered, features.permute(0, 2, 3, 1), strict=True):
        for top in range(0, height, rows):
            part = frame[top : top + rows]
            strip = planes[:, top : top + len(part) + 2 * margin]
            # (K, k, k, rows, width)
            around = strip.unfold(1, len(part), 1).unfold(2, width, 1)
            found.addmm_(around.reshape(len(found), -1), part.reshape(-1, inputs))
    return found.view(outputs, size, size, inputs).permute(0, 3, 1, 2).flip(2, 3)
