"""Min-max quantisation: steps match the formula, zeros stay zero, and rows have steps where they pay."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.coding.sections import Steps, decode_sections, encode_section
from inrcodec.coding.trim import LARGEST_SYMBOL
from inrcodec.fit.minmax import MinMaxQuantiser, choose_steps
from inrcodec.fit.quantiser import Rounding
from inrcodec.models.family import Role, TensorSpec
from inrcodec.settings.presets import MinMaxBits

WEIGHT = TensorSpec("weight", Role.WEIGHT, (12, 20, 3, 3))
BIAS = TensorSpec("bias", Role.BIAS, (12,))
EMBEDDING = TensorSpec("embedding", Role.EMBEDDING, (30, 4, 2, 3), per_frame=True)
LEVELS = TensorSpec("levels", Role.LEVELS, (12, 3), level_count=3)


def drawn(spec: TensorSpec, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.1, 0.4, spec.shape).astype(np.float32)


def decoded(spec: TensorSpec, value: np.ndarray, steps: Steps) -> np.ndarray:
    return decode_sections([spec], [encode_section(spec, value, steps)])[spec.name]


def test_steps_are_the_range_over_the_largest_code() -> None:
    specs = (EMBEDDING, WEIGHT, BIAS, LEVELS)
    values = {spec.name: drawn(spec) for spec in specs}
    steps = MinMaxQuantiser(specs, MinMaxBits(weight=8, embedding=6), 1e5).steps(values)
    assert list(steps) == ["embedding", "weight", "bias"]
    for name, codes in (("weight", 255), ("bias", 255), ("embedding", 63)):
        extent = float(values[name].max()) - float(values[name].min())
        assert steps[name] == pytest.approx(extent / codes)


@given(st.sampled_from([WEIGHT, BIAS, EMBEDDING]), st.integers(2, 12), st.integers(0, 99))
def test_values_come_back_within_half_a_step_and_zeros_as_zeros(
    spec: TensorSpec, bits: int, seed: int
) -> None:
    value = drawn(spec, seed)
    value.flat[::5] = 0
    steps = choose_steps(spec, value, bits)
    after = decoded(spec, value, steps)
    assert not after.flat[::5].any()
    assert np.abs(after - value).max() <= np.ptp(value) / (2**bits - 1) / 2 * 1.001
    symbols = np.rint(value / np.float32(np.max(steps)))
    assert np.ptp(symbols) <= 2**bits


def test_rows_on_lattices_of_their_own_get_their_own_steps() -> None:
    """Each row holds multiples of its own scale, so one step per row is lossless and a shared step is not."""
    draw = np.random.default_rng(1)
    scales = draw.uniform(0.5, 2.0, (12, 1, 1, 1))
    value = (draw.integers(0, 2, WEIGHT.shape) * scales).astype(np.float32)
    steps = choose_steps(WEIGHT, value, 2)
    assert isinstance(steps, tuple)
    assert len(steps) == 12
    assert steps == pytest.approx(tuple(scales.ravel() / 3))
    assert np.allclose(decoded(WEIGHT, value, steps), value, rtol=1e-6)


def test_rows_that_differ_only_in_spread_share_a_step() -> None:
    """One uniform step is best at a given entropy, however much the rows differ."""
    spread = np.linspace(0.1, 2.0, 12).reshape(-1, 1, 1, 1)
    value = (drawn(WEIGHT) * spread).astype(np.float32)
    assert isinstance(choose_steps(WEIGHT, value, 8), float)


@pytest.mark.parametrize("constant", [0.0, 0.3, -7.0])
def test_constant_tensors_are_exact(constant: float) -> None:
    value = np.full(WEIGHT.shape, constant, np.float32)
    assert np.array_equal(decoded(WEIGHT, value, choose_steps(WEIGHT, value, 8)), value)


@given(st.floats(1e-6, 1.0), st.integers(2, 12))
def test_a_narrow_range_far_from_zero_overflows_no_symbol(width: float, bits: int) -> None:
    value = (1e4 + width * drawn(WEIGHT)).astype(np.float32)
    steps = choose_steps(WEIGHT, value, bits)
    assert (value.max() / np.min(steps)) <= LARGEST_SYMBOL * 1.001
    assert np.abs(decoded(WEIGHT, value, steps) - value).max() <= 1.0


def test_a_fit_that_diverged_is_left_to_whoever_reports_it() -> None:
    assert choose_steps(WEIGHT, np.full(WEIGHT.shape, math.nan, np.float32), 8) == 1.0


def test_the_fit_sees_float_values_and_the_planned_bits() -> None:
    quantiser = MinMaxQuantiser((WEIGHT, BIAS), MinMaxBits(8, 6), 12345.0)
    values = {"weight": torch.randn(WEIGHT.shape), "bias": torch.randn(12)}
    for rounding in Rounding:
        quantised = quantiser(values, rounding)
        assert quantised.bits.item() == 12345.0
        assert all(torch.equal(quantised.tensors[name], value) for name, value in values.items())
    assert not list(quantiser.parameters())
