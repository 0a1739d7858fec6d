"""Losses against independent formulas, their gradients, and the frames they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.errors import UsageError
from inrcodec.fit.training.losses import _LOSSES, loss_by_name
from inrcodec.plan.network import plan_segment
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import LOSSES
from inrcodec.video.properties import VideoProperties

Values = NDArray[np.float64]
KERNEL = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
KERNEL /= KERNEL.sum()


def pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A rendered and a similar source batch, (2, 3, height, width) each."""
    draw = torch.Generator().manual_seed(seed)
    source = torch.rand(2, 3, height, width, generator=draw)
    noise = torch.rand(2, 3, height, width, generator=draw)
    return 0.8 * source + 0.2 * noise, source


def blurred(values: Values) -> Values:
    """`values` (..., H, W) filtered with the Gaussian window, without padding."""
    for axis in (-1, -2):
        windows = np.lib.stride_tricks.sliding_window_view(values, 11, axis=axis)
        values = windows @ KERNEL
    return values


def similarity(a: Values, b: Values, data_range: float) -> tuple[Values, Values]:
    """SSIM and its contrast-structure part per channel (B, C), for (B, C, H, W) (Wang et al. 2004)."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = blurred(a), blurred(b)
    variance_a, variance_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * structure).mean((-1, -2)), structure.mean((-1, -2))


def multi_scale(a: Values, b: Values) -> float:
    """MS-SSIM (Wang et al. 2003) of values in [0, 1]: five scales, each half the one before."""
    weights, product = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), np.ones(a.shape[:2])
    for scale, weight in enumerate(weights):
        whole, structure = similarity(a, b, 1.0)
        product *= (whole if scale == 4 else structure) ** weight
        if scale < 4:
            a, b = (x.reshape(*x.shape[:2], x.shape[2] // 2, 2, -1, 2).mean((3, 5)) for x in (a, b))
    return float(product.mean())


def mixed(a: Values, b: Values, data_range: float = 1.0) -> float:
    """0.7 L1 + 0.3 (1 - SSIM)."""
    return 0.7 * float(np.abs(a - b).mean()) + 0.3 * (1 - float(similarity(a, b, data_range)[0].mean()))


def bands(frames: Values) -> tuple[Values, Values]:
    """The low band, and the three high bands stacked as channels."""
    a, b, c, d = (frames[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    high = np.stack([a + b - c - d, a - b + c - d, a - b - c + d], axis=2) / 2
    return (a + b + c + d) / 2, high.reshape(len(frames), -1, *high.shape[-2:])


def wavelet(a: Values, b: Values) -> float:
    (low_a, high_a), (low_b, high_b) = bands(a), bands(b)
    least = low_b.min((1, 2, 3), keepdims=True)
    extent = low_b.max((1, 2, 3), keepdims=True) - least
    return (
        mixed(a, b) + mixed((low_a - least) / extent, (low_b - least) / extent) + mixed(high_a, high_b, 2.0)
    )


FORMULAS = {
    "l2": lambda a, b: float(((a - b) ** 2).mean()),
    "l1": lambda a, b: float(np.abs(a - b).mean()),
    "l1+ssim": mixed,
    "l1+ms-ssim": lambda a, b: 0.7 * float(np.abs(a - b).mean()) + 0.3 * (1 - multi_scale(a, b)),
    "wavelet": wavelet,
}


def test_every_loss_that_can_be_asked_for_is_there() -> None:
    assert _LOSSES.keys() == LOSSES.keys()


NAME = pytest.mark.parametrize("name", list(LOSSES))


def size_for(name: str) -> tuple[int, int]:
    return (176, 192) if name == "l1+ms-ssim" else (24, 30)


@NAME
def test_losses_are_their_formulas(name: str) -> None:
    rendered, source = pair(*size_for(name))
    expected = FORMULAS[name](rendered.double().numpy(), source.double().numpy())
    assert expected > 0.002
    assert loss_by_name(name)(rendered, source).item() == pytest.approx(expected, rel=2e-4)


@NAME
def test_losses_are_float32_scalars_and_vanish_for_equal_frames(name: str) -> None:
    _, source = pair(*size_for(name))
    loss = loss_by_name(name)(source, source)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0, abs=1e-5)


@NAME
def test_every_pixel_gets_a_gradient_that_lowers_the_loss(name: str) -> None:
    rendered, source = pair(*size_for(name))
    rendered.requires_grad_()
    loss = loss_by_name(name)(rendered, source)
    (gradient,) = torch.autograd.grad(loss, rendered)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.99
    with torch.no_grad():
        moved = rendered - 0.01 * loss / gradient.square().sum() * gradient
        assert loss_by_name(name)(moved, source) < loss


def test_a_frame_of_opposite_structure_leaves_the_gradient_finite() -> None:
    _, source = pair(176, 176)
    rendered = (1 - source).requires_grad_()
    loss = loss_by_name("l1+ms-ssim")(rendered, source)
    (gradient,) = torch.autograd.grad(loss, rendered)
    assert gradient.isfinite().all()
    expected = 0.7 / rendered.numel()
    assert gradient.abs().max().item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("size", [(23, 29), (21, 21)])
def test_wavelets_take_frames_of_odd_size_and_of_one_colour(size: tuple[int, int]) -> None:
    flat = torch.full((1, 3, *size), 0.5)
    rendered = pair(*size)[0][:1].requires_grad_()
    loss = loss_by_name("wavelet")(rendered, flat)
    (gradient,) = torch.autograd.grad(loss, rendered)
    assert math.isfinite(loss.item())
    assert gradient.isfinite().all()


def test_names_that_are_no_loss() -> None:
    with pytest.raises(UsageError, match="unknown loss 'psnr'; known: l2, l1"):
        loss_by_name("psnr")


@NAME
def test_frames_that_are_too_small_are_refused_in_the_plan(name: str) -> None:
    least, asked = LOSSES[name].least_side, EncodeSettings(loss=name, bpp=4.0)
    clip = VideoProperties(200, max(least, 8), 4, Fraction(25), Fraction(1, 25))
    plan_segment(clip, asked)
    for small in (replace(clip, height=least - 1), replace(clip, width=least - 1)) if least > 1 else ():
        with pytest.raises(UsageError, match=f"needs frames of at least {least} pixels a side"):
            plan_segment(small, asked)


@pytest.mark.parametrize(("name", "least"), [("l1+ssim", 11), ("l1+ms-ssim", 161), ("wavelet", 21)])
def test_the_smallest_frames_can_be_measured(name: str, least: int) -> None:
    assert LOSSES[name].least_side == least
    rendered, source = pair(least, least)
    assert loss_by_name(name)(rendered, source) > 0.001
