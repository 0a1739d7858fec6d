"""SSIM and MS-SSIM for losses: differentiable, and without a copy to the device.

The values are those of pytorch-msssim, which measures files. That library copies its window to the device in
each call, so a GPU would wait for it in each step of a fit.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, DEVIATION = 11, 1.5
"""Width of the Gaussian window and its standard deviation, pixels (Wang et al. 2004)."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales of MS-SSIM (Wang et al. 2003)."""


def ssim(rendered: Tensor, source: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean SSIM, a scalar, of values (B, C, height, width) that span `data_range`."""
    return _similarity(rendered, source, data_range)[0].mean()


def ms_ssim(rendered: Tensor, source: Tensor) -> Tensor:
    """Mean MS-SSIM, a scalar, of frames (B, C, height, width) in [0, 1] of at least 161 pixels a side."""
    product: Tensor | float = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        whole, structure = _similarity(rendered, source, 1.0)
        is_last = scale == len(SCALE_WEIGHTS) - 1
        product = product * torch.relu(whole if is_last else structure) ** weight
        if not is_last:
            padding = [size % 2 for size in rendered.shape[2:]]
            rendered, source = (
                F.avg_pool2d(rendered, 2, padding=padding),
                F.avg_pool2d(source, 2, padding=padding),
            )
    return torch.as_tensor(product).mean()


def _similarity(first: Tensor, second: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """SSIM and its part for contrast and structure, (B, C) each, of values (B, C, height, width)."""
    steady_luminance, steady_structure = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    # One convolution of all five is slower on a CPU.
    mean, other, square, other_square, product = (
        _blurred(one) for one in (first, second, first * first, second * second, first * second)
    )
    squares, means = mean * mean + other * other, mean * other
    variances, covariance = square + other_square - squares, product - means
    structure = (2 * covariance + steady_structure) / (variances + steady_structure)
    luminance = (2 * means + steady_luminance) / (squares + steady_luminance)
    return (luminance * structure).mean((2, 3)), structure.mean((2, 3))


def _blurred(values: Tensor) -> Tensor:
    """Values (B, C, height, width) filtered with the window, without padding."""
    window = _window(values.shape[1], values.device)
    return F.conv2d(F.conv2d(values, window, groups=len(window)), window.mT, groups=len(window))


@lru_cache(maxsize=8)
def _window(channels: int, device: torch.device) -> Tensor:
    """The window as weights (channels, 1, `WINDOW`, 1), cached because copying it would make a GPU wait."""
    weights = [math.exp(-((place - WINDOW // 2) ** 2) / (2 * DEVIATION**2)) for place in range(WINDOW)]
    # A fit could not save a tensor of inference mode for its backward pass.
    with torch.inference_mode(False):
        window = torch.tensor([weight / sum(weights) for weight in weights], device=device)
        return window[:, None].expand(channels, 1, WINDOW, 1).contiguous()
