"""The differentiable rate against the exact integral, and against the coder's real output."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitstream.coders.laplace import LaplaceCoder
from inrcodec.fit.rate import MINIMUM_SCALE, laplace_bits, laplace_scale


def exact_bits(value: float, scale: float) -> float:
    """-log2 of the integral of exp(-|x| / b) / 2b over [value - 1/2, value + 1/2], by Gauss-Legendre."""
    low, high = value - 0.5, value + 0.5
    edges = [low, 0.0, high] if low < 0 < high else [low, high]
    # Narrow densities need narrow panels near zero, which has nearly all their mass.
    points = sorted({*edges, *(x for k in range(1, 40) for x in (-k * scale, k * scale) if low < x < high)})
    nodes, weights = np.polynomial.legendre.leggauss(20)
    mass = 0.0
    for left, right in zip(points, points[1:], strict=False):
        at = 0.5 * (right - left) * nodes + 0.5 * (right + left)
        density = np.exp(-np.abs(at) / scale) / (2 * scale)
        mass += 0.5 * (right - left) * float((weights * density).sum())
    return -math.log2(mass)


@given(st.floats(-40, 40), st.floats(0.2, 200))
def test_bits_are_the_exact_integral(value: float, scale: float) -> None:
    bits = laplace_bits(torch.tensor([value], dtype=torch.float64), torch.tensor(scale, dtype=torch.float64))
    assert bits.item() == pytest.approx(exact_bits(value, scale), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.25, 0.4999, 0.5, 0.5001, 1.0, -0.5, -3.0])
@pytest.mark.parametrize("scale", [MINIMUM_SCALE, 0.3, 1.0, 50.0])
def test_single_precision_is_good_enough(value: float, scale: float) -> None:
    single = laplace_bits(torch.tensor([value]), torch.tensor(scale))
    double = laplace_bits(
        torch.tensor([value], dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
    )
    assert single.item() == pytest.approx(double.item(), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("scale", [MINIMUM_SCALE, 0.5, 3.0, 400.0])
def test_the_gradient_is_the_derivative(scale: float) -> None:
    values = torch.tensor([-7.3, -1.2, -0.5, -0.31, 0.07, 0.49, 0.51, 2.0, 55.0], dtype=torch.float64)
    values.requires_grad_()
    scale_tensor = torch.tensor(scale, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: laplace_bits(v, scale_tensor), (values,), eps=1e-7, atol=1e-5)


def test_gradients_scale_with_what_comes_after() -> None:
    values = torch.tensor([0.2, -4.0], requires_grad=True)
    (once,) = torch.autograd.grad(laplace_bits(values, torch.tensor(1.0)), values)
    (thrice,) = torch.autograd.grad(3 * laplace_bits(values, torch.tensor(1.0)), values)
    torch.testing.assert_close(thrice, 3 * once)
    assert once[0] > 0 > once[1]


def test_extreme_values_stay_finite() -> None:
    values = torch.tensor([0.0, 1e-30, 1e4, -1e6], requires_grad=True)
    for scale in (MINIMUM_SCALE, 1e4):
        bits = laplace_bits(values, torch.tensor(scale))
        (gradient,) = torch.autograd.grad(bits, values)
        assert torch.isfinite(bits)
        assert torch.isfinite(gradient).all()


def test_the_scale_is_the_mean_magnitude_and_not_trained() -> None:
    values = torch.tensor([1.0, -2.0, 6.0], requires_grad=True)
    scale = laplace_scale(values)
    assert (scale.item(), scale.requires_grad) == (3.0, False)
    assert laplace_scale(torch.zeros(5)).item() == pytest.approx(MINIMUM_SCALE)
    assert laplace_bits(torch.zeros(1000), laplace_scale(torch.zeros(1000))).item() < 1


@pytest.mark.parametrize("scale", [0.7, 1.5, 4.0, 20.0, 300.0])
def test_the_rate_is_what_the_coder_writes(scale: float) -> None:
    symbols = np.rint(np.random.default_rng(3).laplace(0, scale, (1, 40_000))).astype(np.int32)
    values = torch.from_numpy(symbols).float()
    estimated = laplace_bits(values, laplace_scale(values)).item()
    real = 8 * len(LaplaceCoder().encode(symbols))
    assert abs(estimated - real) <= 0.01 * real + 64


@pytest.mark.parametrize("scale", [0.15, 0.4])
def test_the_rate_is_no_promise_that_the_coder_breaks_for_nearly_empty_tensors(scale: float) -> None:
    symbols = np.rint(np.random.default_rng(3).laplace(0, scale, (1, 40_000))).astype(np.int32)
    values = torch.from_numpy(symbols).float()
    estimated = laplace_bits(values, laplace_scale(values)).item()
    assert 8 * len(LaplaceCoder().encode(symbols)) <= 1.01 * estimated + 64


@pytest.mark.parametrize("step", [0.3, 1.0, 2.5])
def test_noise_bounds_the_bits_of_rounding(step: float) -> None:
    """Noise costs about as many bits as rounding, or slightly more (Ballé et al. 2017, section 3)."""
    generator = torch.Generator().manual_seed(0)
    values = torch.from_numpy(np.random.default_rng(1).laplace(0, 1, 50_000)) / step
    noise = torch.rand(values.shape, generator=generator, dtype=torch.float64) - 0.5
    noisy = laplace_bits(values + noise, laplace_scale(values)).item()
    rounded = laplace_bits(values.round(), laplace_scale(values)).item()
    assert 0.99 * rounded <= noisy <= 1.1 * rounded


def test_tensors_of_zeros_cost_next_to_nothing() -> None:
    zeros = torch.zeros(1000, requires_grad=True)
    bits = laplace_bits(zeros, laplace_scale(zeros))
    assert 0 <= bits.item() < 1
    (gradient,) = torch.autograd.grad(bits, zeros)
    assert torch.isfinite(gradient).all()
