"""Round trips of tensors through sections, and sections that no encoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from codec_samples import encode_sections
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import BitstreamError, Corrupt, Section
from bitstream.coders import CODERS, decode_section, encode_smallest
from inrcodec.coding.sections import decode_sections, encode_section, row_count
from inrcodec.models.family import STEPPED_ROLES, Role, TensorSpec

SPECS = (
    TensorSpec("embedding", Role.EMBEDDING, (5, 3, 2, 4), per_frame=True),
    TensorSpec("weight", Role.WEIGHT, (8, 4, 3, 3)),
    TensorSpec("bias", Role.BIAS, (8,)),
    TensorSpec("levels", Role.LEVELS, (8, 4, 3, 3), level_count=3),
    TensorSpec("scales", Role.SCALE, (7, 3)),
)
STEPS = {"embedding": 0.01, "weight": 0.003, "bias": 0.05}


def sample(spec: TensorSpec, seed: int = 0) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    if spec.role is Role.LEVELS:
        return draw.integers(0, spec.level_count, spec.shape, endpoint=True).astype(np.float32)
    return draw.laplace(0, 0.3, spec.shape).astype(np.float32)


VALUES = {spec.name: sample(spec) for spec in SPECS}
SECTIONS = encode_sections(SPECS, VALUES, STEPS)


def one(spec: TensorSpec, section: Section) -> NDArray[np.float32]:
    return decode_sections([spec], [section])[spec.name]


def written(spec: TensorSpec, symbols: Sequence[int], steps: tuple[float, ...] = ()) -> Section:
    """A section of arbitrary symbols, as a hostile encoder might write it."""
    coder, payload = encode_smallest(np.array(symbols, dtype=np.int32).reshape(1, -1))
    return Section(coder, steps, payload)


def test_every_role_comes_back() -> None:
    decoded = decode_sections(SPECS, SECTIONS)
    assert list(decoded) == [spec.name for spec in SPECS]
    for spec in SPECS:
        value = decoded[spec.name]
        assert value.dtype == np.float32
        assert value.shape == spec.shape
        if spec.role in STEPPED_ROLES:
            step = np.float32(STEPS[spec.name])
            symbols = np.rint(VALUES[spec.name].astype(np.float64) / step)
            assert np.array_equal(value, symbols.astype(np.float32) * step)
            assert np.abs(value - VALUES[spec.name]).max() <= step / 2 * 1.001
    assert np.array_equal(decoded["levels"], VALUES["levels"])
    assert np.array_equal(decoded["scales"], VALUES["scales"].astype(np.float16).astype(np.float32))


def test_decoded_values_encode_to_the_same_sections() -> None:
    assert encode_sections(SPECS, decode_sections(SPECS, SECTIONS), STEPS) == SECTIONS


def test_steps_are_kept_as_float32_and_used_as_such() -> None:
    assert SECTIONS[0].steps == (float(np.float32(0.01)),)
    assert [len(section.steps) for section in SECTIONS] == [1, 1, 1, 0, 0]


def test_embeddings_are_stored_channel_by_channel() -> None:
    values = np.arange(120, dtype=np.float32).reshape(SPECS[0].shape)
    section = encode_section(SPECS[0], values, 1.0)
    assert decode_section(section, 120).tolist() == np.moveaxis(values, 1, 0).ravel().astype(int).tolist()


def test_a_stepped_role_wants_a_step() -> None:
    with pytest.raises(ValueError, match="weight: a weight needs a quantisation step"):
        encode_section(SPECS[1], VALUES["weight"], None)


@given(
    st.sampled_from([Role.WEIGHT, Role.BIAS, Role.EMBEDDING]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 3),
    st.floats(1e-4, 10),
    st.integers(0, 99),
)
def test_any_shape_and_step_come_back(
    role: Role, first: int, second: int, kernel: int, step: float, seed: int
) -> None:
    shape = (first,) if role is Role.BIAS else (first, second, kernel, kernel)
    spec = TensorSpec("any", role, shape)
    value = sample(spec, seed)
    decoded = one(spec, encode_section(spec, value, step))
    assert decoded.shape == shape
    assert np.abs(decoded - value).max() <= step / 2 * 1.0001 + 1e-6


@given(st.integers(0, 8), st.integers(1, 200), st.integers(0, 99))
def test_any_levels_come_back(level_count: int, count: int, seed: int) -> None:
    spec = TensorSpec("levels", Role.LEVELS, (count,), level_count=level_count)
    value = sample(spec, seed)
    assert np.array_equal(one(spec, encode_section(spec, value, None)), value)


ROW_COUNTS = {"embedding": 3, "weight": 8, "bias": 1}


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda spec: spec.name)
def test_rows_have_their_own_steps(spec: TensorSpec) -> None:
    """Rows are channels of embeddings and outputs of weights; values are multiples of their row's step."""
    rows, axis = ROW_COUNTS[spec.name], 1 if spec.role is Role.EMBEDDING else 0
    assert row_count(spec) == rows
    steps = np.float32(0.01) * np.arange(1, rows + 1, dtype=np.float32)
    value = VALUES[spec.name]
    section = encode_section(spec, value, tuple(steps.tolist()))
    assert section.steps == tuple(steps.tolist())
    decoded = np.moveaxis(one(spec, section), axis, 0).reshape(rows, -1)
    expected = np.moveaxis(value, axis, 0).reshape(rows, -1)
    for row, (after, before) in enumerate(zip(decoded, expected, strict=True)):
        symbols = np.rint(before.astype(np.float64) / steps[row])
        assert np.array_equal(after, (symbols * np.float64(steps[row])).astype(np.float32))


def test_equal_steps_of_rows_are_the_same_as_one() -> None:
    for spec in SPECS[:2]:
        alone = encode_section(spec, VALUES[spec.name], 0.01)
        by_row = encode_section(spec, VALUES[spec.name], (0.01,) * row_count(spec))
        assert by_row.payload == alone.payload
        assert np.array_equal(one(spec, by_row), one(spec, alone))


def test_steps_that_are_neither_one_nor_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="weight: expected 1 or 8 steps, found 3"):
        encode_section(SPECS[1], VALUES["weight"], (0.1, 0.2, 0.3))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_counts_of_steps_that_no_tensor_has_are_corrupt(spec: TensorSpec) -> None:
    allowed = {1, ROW_COUNTS[spec.name]} if spec.name in ROW_COUNTS else {0}
    section = SECTIONS[SPECS.index(spec)]
    for count in range(12):
        changed = replace(section, steps=(0.5,) * count)
        if count in allowed:
            assert one(spec, changed).shape == spec.shape
        else:
            with pytest.raises(Corrupt, match=f"{spec.name}: expected .* steps, found {count}"):
                one(spec, changed)


def test_a_value_of_one_row_past_float32_is_corrupt() -> None:
    section = written(SPECS[1], [4] * SPECS[1].count, (1.0,) * 7 + (1e38,))
    with pytest.raises(Corrupt, match="not finite"):
        one(SPECS[1], section)


def test_a_wrong_number_of_sections_is_corrupt() -> None:
    for sections in ((), SECTIONS[:-1], (*SECTIONS, SECTIONS[0])):
        with pytest.raises(Corrupt, match="expected 5 sections"):
            decode_sections(SPECS, sections)


def test_a_wrong_number_of_steps_is_corrupt() -> None:
    for spec, section in zip(SPECS, SECTIONS, strict=True):
        for steps in ((), (0.5,), (0.5, 0.5)):
            if len(steps) != len(section.steps):
                with pytest.raises(Corrupt, match=f"{spec.name}: expected"):
                    one(spec, replace(section, steps=steps))


def test_a_value_past_float32_is_corrupt() -> None:
    spec = SPECS[2]
    for symbols, step in (([4] * 8, 1e38), ([-(1 << 31)] * 8, 1e30)):
        with pytest.raises(Corrupt, match="not finite"):
            one(spec, written(spec, symbols, (step,)))
    assert one(spec, written(spec, [3] * 8, (1e38,))).tolist() == [float(np.float32(3e38))] * 8


@pytest.mark.parametrize("symbol", [-1, 4, 200, 1 << 30])
def test_a_level_that_no_mask_has_is_corrupt(symbol: int) -> None:
    spec = TensorSpec("levels", Role.LEVELS, (6,), level_count=3)
    with pytest.raises(Corrupt, match=r"outside 0\.\.3"):
        one(spec, written(spec, [0, 1, 2, 3, symbol, 0]))


@pytest.mark.parametrize("symbol", [-1, 0x10000, 0x7C00, 0xFC00, 0x7E00])
def test_a_scale_that_is_no_finite_half_is_corrupt(symbol: int) -> None:
    spec = TensorSpec("scales", Role.SCALE, (2,))
    with pytest.raises(Corrupt, match="scale"):
        one(spec, written(spec, [0x3C00, symbol]))


@pytest.mark.parametrize("index", range(len(SPECS)))
def test_damaged_payloads_are_an_error_or_other_values_but_never_a_crash(index: int) -> None:
    """Payloads have only their block's checksum (SPEC.md, section 9), which finds the damage first."""
    spec, section = SPECS[index], SECTIONS[index]
    whole = section.payload
    shorter = [whole[:length] for length in range(len(whole))]
    changed = [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(len(whole))]
    for payload in (*shorter, *changed, whole + b"\0"):
        try:
            decoded = one(spec, replace(section, payload=payload))
        except BitstreamError:
            continue
        assert decoded.shape == spec.shape
        assert np.isfinite(decoded).all()


@pytest.mark.parametrize("index", range(len(SPECS)))
def test_empty_payloads_and_stray_bytes_are_errors(index: int) -> None:
    for payload in (b"", SECTIONS[index].payload + b"\0"):
        with pytest.raises(BitstreamError):
            one(SPECS[index], replace(SECTIONS[index], payload=payload))


def test_an_unknown_coder_is_an_error() -> None:
    unknown = max(CODERS) + 1
    with pytest.raises(BitstreamError, match="coder"):
        one(SPECS[1], replace(SECTIONS[1], coder=unknown))
