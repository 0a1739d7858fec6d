"""Trimming steps to a size: files fill it, never exceed it, and keep their steps if they already fill it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import Section
from inrcodec.coding.sections import decode_sections
from inrcodec.coding.trim import LARGEST_SYMBOL, SectionCoder, fit_to_size
from inrcodec.models.family import Role, TensorSpec
from inrcodec.system import deadline as deadlines
from inrcodec.system.deadline import Deadline

OVERHEAD = 150


def measure(sections: tuple[Section, ...]) -> int:
    return OVERHEAD + sum(len(section.payload) for section in sections)


def coder(
    seed: int, symbol_scale: float = 4.0, specs: tuple[TensorSpec, ...] | None = None
) -> tuple[SectionCoder, tuple[TensorSpec, ...], dict[str, NDArray[np.float32]]]:
    """Coder, specs and values of Laplace tensors whose trained steps give symbols of scale `symbol_scale`."""
    specs = specs or (
        TensorSpec("embedding", Role.EMBEDDING, (10, 4, 2, 3), per_frame=True),
        TensorSpec("weight", Role.WEIGHT, (60, 20, 3, 3)),
        TensorSpec("bias", Role.BIAS, (60,)),
        TensorSpec("scales", Role.SCALE, (4, 3)),
    )
    draw = np.random.default_rng(seed)
    spread = {spec.name: float(draw.uniform(0.01, 3)) for spec in specs}
    values = {spec.name: draw.laplace(0, spread[spec.name], spec.shape).astype(np.float32) for spec in specs}
    return SectionCoder(specs, values, {name: b / symbol_scale for name, b in spread.items()}), specs, values


@given(st.integers(0, 999), st.floats(0.3, 30), st.integers(900, 14_000))
@settings(deadline=None, max_examples=25)
def test_files_fill_their_size_and_never_exceed_it(seed: int, symbol_scale: float, limit: int) -> None:
    section_coder, _, _ = coder(seed, symbol_scale)
    least = math.ceil(0.97 * limit)
    coded = fit_to_size(section_coder, measure, limit, least)
    assert coded is not None
    assert coded.file_bytes == measure(coded.sections)
    assert least <= coded.file_bytes <= limit
    assert coded.sections == section_coder.code(coded.factor)


def test_few_files_are_made_on_the_way() -> None:
    section_coder, _, _ = coder(5)
    for limit, most in ((300, 16), (450, 16), (2000, 14), (5000, 8), (6000, 6), (6700, 6), (12_000, 10)):
        sizes: list[int] = []

        def measured(sections: tuple[Section, ...], sizes: list[int] = sizes) -> int:
            sizes.append(measure(sections))
            return sizes[-1]

        coded = fit_to_size(section_coder, measured, limit, math.ceil(0.97 * limit))
        assert coded is not None
        assert coded.file_bytes == max(size for size in sizes if size <= limit)
        assert len(sizes) <= most


class Stairs:
    """A coder whose only section is the factor itself."""

    def code(self, factor: float) -> Any:
        return (factor,)


@pytest.mark.parametrize("edge", [1.004, 1.37, 7.1, 900.0])
def test_sizes_that_jump_are_filled_too(edge: float) -> None:
    def size(sections: Any) -> int:
        (factor,) = sections
        if factor < edge:
            return 10_000
        # The best size is reached only in a narrow range of factors; beyond it files are much smaller.
        return 295 if factor < 1.1 * edge else 100

    coded = fit_to_size(cast(Any, Stairs()), size, 300, 291)
    assert coded is not None and coded.file_bytes == 295


def test_trained_steps_stay_where_the_file_fits() -> None:
    section_coder, _, _ = coder(1)
    size = measure(section_coder.code(1.0))
    for limit in (size, math.floor(size / 0.98)):
        coded = fit_to_size(section_coder, measure, limit, math.ceil(0.97 * limit))
        assert coded is not None
        assert (coded.factor, coded.file_bytes) == (1.0, size)


def test_a_smaller_file_has_coarser_steps_and_a_larger_one_finer() -> None:
    section_coder, _, _ = coder(2)
    size = measure(section_coder.code(1.0))
    coarser = fit_to_size(section_coder, measure, size // 2, math.ceil(0.97 * (size // 2)))
    finer = fit_to_size(section_coder, measure, 2 * size, math.ceil(0.97 * 2 * size))
    assert coarser is not None
    assert finer is not None
    assert finer.factor < 1 < coarser.factor


def test_steps_that_may_not_be_refined_stay_or_become_coarser() -> None:
    section_coder, _, _ = coder(3)
    size = measure(section_coder.code(1.0))
    kept = fit_to_size(section_coder, measure, 2 * size, 2 * size - 9, may_refine=False)
    coarser = fit_to_size(section_coder, measure, size // 2, size // 2 - 9, may_refine=False)
    assert kept is not None and coarser is not None
    assert (kept.factor, kept.file_bytes) == (1.0, size)
    assert coarser.factor > 1 and coarser.file_bytes <= size // 2


def test_nothing_fits_in_less_than_the_overhead() -> None:
    section_coder, _, _ = coder(3)
    assert fit_to_size(section_coder, measure, OVERHEAD, 1) is None


def test_what_cannot_be_refined_further_is_returned_as_it_is() -> None:
    section_coder, specs, values = coder(4)
    coded = fit_to_size(section_coder, measure, 10_000_000, 9_700_000)
    assert coded is not None
    assert coded.file_bytes < 9_700_000
    # The largest value of a tensor determines its finest step, so that no symbol exceeds the limit.
    for spec, section in zip(specs, coded.sections, strict=True):
        if section.steps:
            assert np.abs(values[spec.name]).max() / section.steps[0] <= LARGEST_SYMBOL + 1


def test_fixed_tensors_alone_fit_or_do_not() -> None:
    specs = (TensorSpec("levels", Role.LEVELS, (500,), level_count=3), TensorSpec("s", Role.SCALE, (2, 3)))
    draw = np.random.default_rng(0)
    values = {
        "levels": draw.integers(0, 3, 500, endpoint=True).astype(np.float32),
        "s": np.ones((2, 3), np.float32),
    }
    section_coder = SectionCoder(specs, values, {})
    size = measure(section_coder.code(1.0))
    assert fit_to_size(section_coder, measure, size - 1, 1) is None
    for limit in (size, 2 * size):
        coded = fit_to_size(section_coder, measure, limit, math.ceil(0.97 * limit))
        assert coded is not None
        assert coded.file_bytes == size


@pytest.mark.parametrize("seed", range(3))
def test_the_sections_decode_to_the_values_within_half_a_step(seed: int) -> None:
    section_coder, specs, values = coder(seed)
    coded = fit_to_size(section_coder, measure, 6000, 5820)
    assert coded is not None
    decoded = decode_sections(specs, coded.sections)
    for spec, section in zip(specs, coded.sections, strict=True):
        if section.steps:
            assert np.abs(decoded[spec.name] - values[spec.name]).max() <= 0.5001 * section.steps[0]


def test_one_factor_scales_the_steps_of_all_rows() -> None:
    spec = TensorSpec("weight", Role.WEIGHT, (5, 20, 3, 3))
    spread = np.array([1e-6, 0.01, 0.1, 1.0, 100.0]).reshape(-1, 1, 1, 1)
    values = {"weight": (np.random.default_rng(0).laplace(0, 1, spec.shape) * spread).astype(np.float32)}
    steps = tuple((spread.ravel() / 8).tolist())
    section_coder = SectionCoder((spec,), values, {"weight": steps})
    for factor in (0.5, 1.0, 3.0):
        (section,) = section_coder.code(factor)
        assert section.steps == pytest.approx([factor * step for step in steps])
    (finest,) = section_coder.code(1e-9)
    largest = np.abs(values["weight"]).reshape(5, -1).max(axis=1)
    assert finest.steps == pytest.approx(largest / LARGEST_SYMBOL)


def test_rows_of_zeros_share_a_step() -> None:
    spec = TensorSpec("weight", Role.WEIGHT, (6, 2, 3, 3))
    value = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    section_coder = SectionCoder(
        (spec,), {"weight": value}, {"weight": tuple(0.1 + 0.1 * row for row in range(6))}
    )
    (fine,), (coarse,) = section_coder.code(1.0), section_coder.code(1e4)
    assert (len(fine.steps), len(coarse.steps)) == (6, 1)
    assert not decode_sections((spec,), (coarse,))["weight"].any()


def test_zeros_are_coded_and_cost_next_to_nothing() -> None:
    spec = TensorSpec("weight", Role.WEIGHT, (60, 20, 3, 3))
    zeros = {"weight": np.zeros(spec.shape, np.float32)}
    sections = SectionCoder((spec,), zeros, {"weight": 0.1}).code(1.0)
    assert measure(sections) < OVERHEAD + 20
    assert not decode_sections((spec,), sections)["weight"].any()


@pytest.mark.parametrize("trials", [1, 2, 3, 5, 30])
def test_no_trial_begins_that_would_miss_the_deadline(monkeypatch: pytest.MonkeyPatch, trials: int) -> None:
    now = 0.0
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: now))
    section_coder, _, _ = coder(3, symbol_scale=0.5)
    limit, sizes = 12_000, []

    def measured(sections: tuple[Section, ...]) -> int:
        nonlocal now
        now += 10.0
        sizes.append(measure(sections))
        return sizes[-1]

    least = math.ceil(0.97 * limit)
    coded = fit_to_size(section_coder, measured, limit, least, deadline=Deadline(10.0 * trials + 5, 0.0))
    assert coded is not None
    assert coded.file_bytes == max(size for size in sizes if size <= limit)
    assert len(sizes) <= trials
    assert coded.ran_out_of_time or coded.file_bytes >= least
