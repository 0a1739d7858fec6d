"""Symbol coders: round trips, hostile payloads, and agreement with the reference decoder."""

from __future__ import annotations

import bitstream_reference as reference
import numpy as np
import pytest
from bitstream_samples import edges, steady
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import BitstreamError, Corrupt, LimitExceeded, Limits, Section
from bitstream.coders import CODERS, SymbolCoder, coder_by_id, decode_section, encode_smallest
from bitstream.coders.ans import TOTAL, apportion, encode_groups, frequency_model
from bitstream.coders.categorical import CategoricalCoder, CategoricalPlan, best_order, plan_table, table_text
from bitstream.coders.gaussian import RATIOS, GaussianCoder, gaussian_profile
from bitstream.coders.laplace import THETAS, LaplaceCoder, laplace_profile
from bitstream.coders.shaped import frequencies_from_profile

Symbols = NDArray[np.int32]
ALL = sorted(CODERS.items())
each_coder = pytest.mark.parametrize("coder", [coder for _, coder in ALL], ids=[c.name for _, c in ALL])


@st.composite
def tensors(draw: st.DrawFn) -> Symbols:
    """Tensors of one or two axes with narrow, wide, level-like or full ranges."""
    low, high = draw(
        st.sampled_from(
            ((0, 0), (0, 1), (-1, 1), (0, 3), (-7, 90), (0, 255), (0, 65535), (-40000, 25535), (5, 5),
             (-(1 << 31), (1 << 31) - 1), (-(1 << 23), (1 << 23) - 1), ((1 << 31) - 4, (1 << 31) - 1))
        )
    )  # fmt: skip
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    values = draw(st.lists(edges(low, high), min_size=rows * columns, max_size=rows * columns))
    flat = np.array(values, dtype=np.int32)
    return flat.reshape(rows, columns) if draw(st.booleans()) else flat


def bell(rows: int, columns: int) -> Symbols:
    """Rows whose scales differ by a factor of 64."""
    generator = np.random.default_rng(0)
    scales = np.exp2(np.linspace(-1, 5, rows))[:, None]
    return np.rint(generator.laplace(3, 1, (rows, columns)) * scales).astype(np.int32)


@each_coder
@given(symbols=tensors())
@steady
def test_round_trip_and_reference(coder: SymbolCoder, symbols: Symbols) -> None:
    try:
        payload = coder.encode(symbols)
    except ValueError:
        assert coder.cost_bits(symbols) == float("inf")
        return
    decoded = coder.decode(payload, symbols.size)
    assert decoded.dtype == np.int32 and decoded.shape == (symbols.size,)
    assert np.array_equal(decoded, symbols.ravel())
    assert coder.cost_bits(symbols) <= 8 * len(payload) + 300
    if symbols.size == 0 or int(symbols.max()) - int(symbols.min()) < 1 << 12 or coder.name == "packed":
        assert reference.decode_symbols(coder.wire_id, payload, symbols.size) == symbols.ravel().tolist()


@each_coder
@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x02\x04"])
def test_no_symbols_are_the_empty_payload(coder: SymbolCoder, payload: bytes) -> None:
    assert coder.encode(np.empty(0, dtype=np.int32)) == b""
    if payload:
        with pytest.raises(Corrupt):
            coder.decode(payload, 0)
    else:
        assert coder.decode(payload, 0).shape == (0,)


@each_coder
def test_constant_tensors_are_tiny(coder: SymbolCoder) -> None:
    payload = coder.encode(np.full(100_000, 3, dtype=np.int32))
    assert len(payload) <= 6
    assert np.array_equal(coder.decode(payload, 100_000), np.full(100_000, 3))


@each_coder
@given(payload=st.binary(max_size=60), count=st.integers(0, 400))
@steady
def test_arbitrary_payload_gives_symbols_or_an_error(coder: SymbolCoder, payload: bytes, count: int) -> None:
    try:
        assert coder.decode(payload, count).shape == (count,)
    except BitstreamError as error:
        assert f"coder {coder.name}" in str(error)


@each_coder
def test_damaged_payload_gives_symbols_or_an_error(coder: SymbolCoder) -> None:
    symbols = np.clip(bell(8, 20), 0, 200)
    payload = coder.encode(symbols)
    damaged = [payload[:size] for size in range(len(payload))] + [payload + b"\x01", payload + b"\x00"]
    for at in range(min(len(payload), 60)):
        for bit in range(8):
            damaged.append(payload[:at] + bytes([payload[at] ^ 1 << bit]) + payload[at + 1 :])
    for bad in damaged:
        try:
            assert coder.decode(bad, symbols.size).shape == (symbols.size,)
        except BitstreamError:
            pass


@each_coder
def test_what_follows_the_last_symbol_is_an_error(coder: SymbolCoder) -> None:
    symbols = np.clip(bell(8, 20), 0, 200)
    payload = coder.encode(symbols)
    for tail in (b"\x00", b"\x01" * 8):
        with pytest.raises(BitstreamError):
            coder.decode(payload + tail, symbols.size)


@each_coder
def test_counts_are_limited(coder: SymbolCoder) -> None:
    section = Section(coder.wire_id, (), b"\x00\x00")
    with pytest.raises(LimitExceeded, match="max_symbols = 134,217,728, found 134,217,729"):
        decode_section(section, (1 << 27) + 1)
    with pytest.raises(LimitExceeded, match="max_symbols = 3, found 4"):
        decode_section(section, 4, Limits(max_symbols=3))
    with pytest.raises(ValueError):
        coder.decode(b"\x00\x00", -1)


@each_coder
@pytest.mark.parametrize(
    "symbols", [np.zeros((2, 2, 2), dtype=np.int32), np.zeros(3), np.array([1 << 31]), np.int32(3)]
)
def test_what_is_no_tensor_of_symbols_is_refused(coder: SymbolCoder, symbols: Symbols) -> None:
    with pytest.raises(ValueError):
        coder.encode(symbols)


# Frequencies, and how constriction uses them


@given(
    weights=st.lists(st.sampled_from((0, 0, 1, 5, 1000, 10**6)), min_size=2, max_size=40),
    places=st.lists(st.integers(0, 1 << 16), max_size=50),
    largest=st.integers(0, 1 << 16),
)
@steady
def test_frequencies_are_exact(weights: list[int], places: list[int], largest: int) -> None:
    """For any integer frequencies, constriction produces the words of the algorithm in SPEC.md."""
    count = len(weights)
    spread = [1 + weight * (TOTAL - count) // (sum(weights) or 1) for weight in weights]
    spread[largest % count] += TOTAL - sum(spread)
    symbols = [place % count for place in places]
    model = frequency_model(np.array(spread, dtype=np.uint64))
    payload = encode_groups([(np.array(symbols, dtype=np.int32), model)])
    assert payload == reference.ans_encode(symbols, spread)


def test_frequencies_of_extreme_alphabets() -> None:
    assert frequency_model(np.array([TOTAL], dtype=np.uint64)) is None
    symbols = [0, 65535, 1, 65534, 0]
    ones = np.ones(1 << 16, dtype=np.uint64)
    ones[65534] += np.uint64(TOTAL - (1 << 16))
    payload = encode_groups([(np.array(symbols, dtype=np.int32), frequency_model(ones))])
    assert payload == reference.ans_encode(symbols, ones.tolist())
    for wrong in ([1, 2], [0, TOTAL]):
        with pytest.raises(ValueError):
            frequency_model(np.array(wrong, dtype=np.uint64))


@given(counts=st.lists(edges(1, 1 << 20), min_size=1, max_size=100))
@steady
def test_apportioned_counts_sum_to_the_total(counts: list[int]) -> None:
    frequencies = apportion(np.array(counts))
    assert int(frequencies.sum()) == TOTAL and int(frequencies.min()) >= 1


@pytest.mark.parametrize("index", range(0, 128, 9))
def test_profiles_follow_the_specification(index: int) -> None:
    assert laplace_profile(index).tolist() == [w for w in reference.laplace_profile(index) if w]
    if index < len(RATIOS):
        assert gaussian_profile(index).tolist() == [w for w in reference.gaussian_profile(index) if w]


def test_scale_tables_are_what_they_say() -> None:
    """The literals are normative; this catches typing errors, not differences between maths libraries."""
    for index, theta in enumerate(THETAS):
        assert theta == pytest.approx(2**32 * np.exp(-1 / (2 * 2 ** ((index - 32) / 8))), abs=2)
    for index, ratio in enumerate(RATIOS):
        assert ratio == pytest.approx(2**32 * np.exp(-1 / (2 * 2 ** ((index - 16) / 4))), abs=2)


@pytest.mark.parametrize(("centre", "span"), [(0, 1), (1, 1), (7, 7), (0, 255), (100, 255), (60000, 65535)])
@pytest.mark.parametrize("index", [0, 40, 111])
def test_shaped_tables(index: int, centre: int, span: int) -> None:
    for exact, profile in (
        (reference.laplace_profile(index), laplace_profile(index)),
        (reference.gaussian_profile(index), gaussian_profile(index)),
    ):
        frequencies = frequencies_from_profile(profile, centre, span)
        assert int(frequencies.sum()) == TOTAL and int(frequencies.min()) >= 1
        if span < 1000:
            assert frequencies.tolist() == reference.shaped_frequencies(exact, centre, span)


# Choice of a coder


@given(symbols=tensors())
@steady
def test_the_smallest_is_the_smallest(symbols: Symbols) -> None:
    wire_id, payload = encode_smallest(symbols)
    sizes = []
    for coder in CODERS.values():
        if coder.cost_bits(symbols) < float("inf"):
            alone = coder.encode(symbols)
            sizes.append(len(alone))
            assert coder.wire_id != wire_id or alone == payload
    assert len(payload) == min(sizes)
    assert np.array_equal(decode_section(Section(wire_id, (), payload), symbols.size), symbols.ravel())


def test_rows_of_different_scales_get_their_own_scale() -> None:
    symbols = bell(32, 400)
    for coder in (LaplaceCoder(), GaussianCoder()):
        by_row, flat = coder.encode(symbols), coder.encode(symbols.ravel())
        assert len(by_row) < 0.93 * len(flat)
        assert np.array_equal(coder.decode(by_row, symbols.size), symbols.ravel())
    assert encode_smallest(symbols)[0] == LaplaceCoder.wire_id


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.3, 300.0])
def test_shaped_coders_come_close_to_the_entropy(scale: float) -> None:
    generator = np.random.default_rng(1)
    for wire_id, draws in ((4, generator.laplace(0, scale, 40000)), (5, generator.normal(0, scale, 40000))):
        symbols = np.rint(draws).astype(np.int32)
        counts = np.unique(symbols, return_counts=True)[1]
        entropy = float(-(counts @ np.log2(counts / counts.sum())))
        assert 8 * len(coder_by_id(wire_id).encode(symbols)) < 1.01 * entropy + 128 + 0.7 * len(counts)


def test_what_an_estimate_has_chosen_is_not_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[int] = []

    def plan(counts: NDArray[np.int64]) -> CategoricalPlan:
        planned.append(len(counts))
        return plan_table(counts)

    monkeypatch.setattr("bitstream.coders.categorical.plan_table", plan)
    symbols = np.tile(np.array([0, 0, 0, 7, 9], dtype=np.int32), 40)
    assert encode_smallest(symbols)[0] == CategoricalCoder.wire_id
    assert planned == [10]


@given(table=st.lists(st.sampled_from((0, 0, 1, 2, 9, 300, 60_000)), min_size=1, max_size=60))
@steady
def test_the_best_order_is_that_of_the_shortest_table(table: list[int]) -> None:
    frequencies = np.array([*table, 1])
    order, bits = best_order(frequencies)
    lengths = [len(table_text(frequencies, one)) for one in range(16)]
    assert (order, bits) == (int(np.argmin(lengths)), min(lengths))


def test_candidates_can_be_given() -> None:
    symbols = bell(1, 100)
    assert encode_smallest(symbols, [CategoricalCoder()])[0] == CategoricalCoder.wire_id
    with pytest.raises(ValueError, match="found none"):
        encode_smallest(symbols, [])


def test_sections_are_checked() -> None:
    with pytest.raises(Corrupt, match="expected a coder of"):
        decode_section(Section(200, (), b""), 1)
    with pytest.raises(LimitExceeded):
        decode_section(Section(1, (), b"\x00\x00"), 11, Limits(max_symbols=10))


def test_wire_ids_are_pinned() -> None:
    names = {1: "uniform", 2: "packed", 3: "categorical", 4: "laplace", 5: "gaussian", 6: "levels"}
    assert {wire_id: coder.name for wire_id, coder in CODERS.items()} == names
