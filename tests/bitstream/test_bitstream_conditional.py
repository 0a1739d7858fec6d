"""The coder for symbols in known classes: round trips, exact frequencies, hostile payloads, wire id."""

from __future__ import annotations

import math
from typing import Any

import bitstream_reference as reference
import numpy as np
import pytest
from bitstream_samples import edges, steady
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bitstream import BitstreamError, Corrupt, Section
from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders import CODERS, decode_section
from bitstream.coders.ans import TOTAL
from bitstream.coders.conditional import (
    MAX_KNOTS,
    MAX_MAGNITUDE,
    ConditionalDecoder,
    ConditionalEncoder,
    all_odds,
    class_count,
    class_log_odds,
    class_weights,
    flag_frequencies,
    frequencies_of_weights,
    share,
)
from bitstream.coders.conditional_bits import ConditionalBits

Integers = NDArray[Any]
KNOTS = np.array([[90, 40, 30, 20], [20, 10, 5, 0], [-30, -20, -25, -30]])

log_odds = st.tuples(*[edges(-1020, 1020)] * 4)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Integers, int, list[tuple[Integers, Integers]]]:
    """Knots, the largest magnitude, and passes of classes with symbols or flags."""
    knots = np.array(
        draw(st.lists(st.lists(edges(-255, 255), min_size=4, max_size=4), min_size=2, max_size=4))
    )
    bound = draw(edges(1, 40))
    number = edges(0, class_count(len(knots)) - 1)
    symbols = st.lists(st.tuples(number, st.just(0) | edges(-bound, bound)), max_size=12)
    flags = st.lists(st.tuples(number, st.booleans()), max_size=12)
    passes = [
        (
            np.array([number for number, _ in listed], dtype=np.int64),
            np.array([value for _, value in listed], dtype=kind),
        )
        for listed, kind in draw(
            st.lists(st.tuples(symbols, st.just(np.int32)) | st.tuples(flags, st.just(np.bool_)), max_size=4)
        )
    ]
    return knots, bound, passes


def encode(knots: Integers, bound: int, passes: list[tuple[Integers, Integers]]) -> bytes:
    encoder = ConditionalEncoder(knots, bound)
    for classes, symbols in passes:
        code = encoder.code_flags if symbols.dtype == np.bool_ else encoder.code
        assert code(classes, symbols) is symbols
    return encoder.getvalue()


def sample(count: int, seed: int = 0) -> list[tuple[Integers, Integers]]:
    """Passes of symbols whose magnitudes roughly follow their classes."""
    generator = np.random.default_rng(seed)
    passes = []
    for part in np.array_split(np.arange(count), 5):
        classes = generator.integers(0, class_count(len(KNOTS)), len(part))
        drawn = np.rint(generator.laplace(0, 0.2 + classes / 3)).astype(np.int32)
        passes.append((classes, np.clip(drawn, -7, 7)))
    return passes


@given(message=messages())
@steady
def test_round_trip_and_reference(message: tuple[Integers, int, list[tuple[Integers, Integers]]]) -> None:
    knots, bound, passes = message
    payload = encode(knots, bound, passes)
    decoder = ConditionalDecoder(knots, bound, payload)
    for classes, symbols in passes:
        code = decoder.code_flags if symbols.dtype == np.bool_ else decoder.code
        decoded = code(classes, None)
        assert decoded.dtype == symbols.dtype and np.array_equal(decoded, symbols)
    decoder.expect_end()
    listed = [classes.tolist() for classes, _ in passes]
    flags = [symbols.dtype == np.bool_ for _, symbols in passes]
    expected = [symbols.tolist() for _, symbols in passes]
    assert reference.contextual(payload, listed, knots.tolist(), bound, flags) == expected


def counted(knots: Integers, bound: int, passes: list[tuple[Integers, Integers]]) -> ConditionalBits:
    bits = ConditionalBits(knots, bound)
    for classes, symbols in passes:
        code = bits.code_flags if symbols.dtype == np.bool_ else bits.code
        assert code(classes, symbols) is symbols
    return bits


@given(message=messages())
@steady
def test_counted_bits_are_those_of_the_payload(
    message: tuple[Integers, int, list[tuple[Integers, Integers]]],
) -> None:
    knots, bound, passes = message
    # The coder's state begins with the last symbols. First symbols of an alphabet leave a state of zero as it
    # is and cost nothing, however rare they are. These flags, of which one kind is rare, raise the state.
    passes = [*passes, (np.zeros(8, dtype=np.int64), np.arange(8) % 2 == 0)]
    bits = counted(knots, bound, passes)
    assert abs(8 * len(encode(knots, bound, passes)) - bits.symbol_bits - bits.flag_bits) <= 64


def test_rare_first_symbols_at_the_end_cost_nothing() -> None:
    knots = np.full((4, 4), -255)
    passes = [(np.zeros(50, dtype=np.int64), np.zeros(50, dtype=np.bool_))]
    assert encode(knots, 1, passes) == b""
    assert counted(knots, 1, passes).flag_bits > 1000


def test_counted_bits_of_many_symbols_and_of_flags() -> None:
    passes = sample(20_000)
    bits = counted(KNOTS, 7, passes)
    assert bits.flag_bits == 0
    assert bits.symbol_bits == pytest.approx(8 * len(encode(KNOTS, 7, passes)), abs=64)
    flags = [(classes, symbols != 0) for classes, symbols in passes]
    assert counted(KNOTS, 7, flags).symbol_bits == 0
    assert counted(KNOTS, 7, flags).flag_bits == pytest.approx(8 * len(encode(KNOTS, 7, flags)), abs=64)
    both = counted(KNOTS, 7, passes + flags)
    assert both.symbol_bits == bits.symbol_bits and both.flag_bits == counted(KNOTS, 7, flags).flag_bits


def test_symbols_out_of_range_are_not_counted() -> None:
    bits, classes = ConditionalBits(KNOTS, 7), np.zeros(1, dtype=np.int32)
    for symbols in (None, np.zeros(2, dtype=np.int32), np.array([8], dtype=np.int32)):
        with pytest.raises(ValueError, match="expected"):
            bits.code(classes, symbols)
    with pytest.raises(ValueError, match="expected a flag"):
        bits.code_flags(classes, None)
    with pytest.raises(ValueError, match="expected classes below"):
        bits.code(classes + 9, classes)


def test_passes_have_any_shape() -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 9, (3, 4, 5))
    symbols = generator.integers(-7, 8, (5, 4, 3)).astype(np.int32).T
    decoder = ConditionalDecoder(KNOTS, 7, encode(KNOTS, 7, [(classes, symbols)]))
    assert np.array_equal(decoder.code(classes), symbols)
    decoder.expect_end()


def test_golden_payload() -> None:
    """Every later version must decode these bytes."""
    places = np.arange(60)
    classes, symbols = places * 7 % 9, (places * places % 11 - 5) * (places % 3 == 0)
    payload = bytes.fromhex("57 372bbf94 2d02fba3 2f00873b 00000dd4 ffff8cac 5a00280e 00008265")
    decoder = ConditionalDecoder(KNOTS, 6, payload)
    assert decoder.code(classes).tolist() == symbols.tolist()
    decoder.expect_end()
    assert encode(KNOTS, 6, [(classes, symbols.astype(np.int32))]) == payload


# Frequencies


def class_frequencies(log_odds: tuple[int, int, int, int], bound: int) -> NDArray[np.uint64]:
    """Frequencies of one class, (2 bound + 1,)."""
    return frequencies_of_weights(class_weights(np.array([log_odds]), bound)[:, 0])


@given(knots=arrays(np.int64, (20, 4), elements=edges(-255, 255)), bound=edges(1, 400))
@steady
def test_weights_of_all_classes_at_once_are_those_of_integers(knots: Integers, bound: int) -> None:
    weights = class_weights(class_log_odds(knots), bound)
    assert (weights.sum(axis=0) == 1 << 32).all()
    listed = knots.tolist()
    for number in range(0, weights.shape[1], 5):
        found = frequencies_of_weights(weights[:, number]).tolist()
        assert found == reference.contextual_frequencies(listed, number, bound)


def test_a_share_next_to_a_whole_number_is_exact() -> None:
    """The float of 1/3 of a weight that 3 divides may lie on either side of the whole number."""
    rng = np.random.default_rng(7)
    log_odds = rng.integers(-1020, 1021, (500, 4))
    weights = class_weights(log_odds, 700)
    for place, one in enumerate(log_odds):
        left = 1 << 32
        for magnitude in range(700):
            weight = share(left, int(one[min(magnitude, 3)]))
            assert weights[magnitude, place] == weight
            left -= weight


@given(log_odds=log_odds, bound=edges(1, 300))
@steady
def test_frequencies_are_exact(log_odds: tuple[int, int, int, int], bound: int) -> None:
    frequencies = class_frequencies(log_odds, bound)
    assert frequencies.dtype == np.uint64 and len(frequencies) == 2 * bound + 1
    assert int(frequencies.sum()) == TOTAL and int(frequencies.min()) >= 1
    assert np.array_equal(frequencies, frequencies[::-1])


@pytest.mark.parametrize("value", [-255, 255])
def test_frequencies_of_the_largest_alphabet(value: int) -> None:
    frequencies = class_frequencies((4 * value, 4 * value, 4 * value, 4 * value), MAX_MAGNITUDE)
    assert int(frequencies.sum()) == TOTAL and int(frequencies.min()) >= 1


@given(log_odds=log_odds, bound=edges(1, 30))
@steady
def test_frequencies_are_the_probabilities_of_the_decisions(
    log_odds: tuple[int, int, int, int], bound: int
) -> None:
    left, frequencies = 1.0, class_frequencies(log_odds, bound)
    for magnitude in range(bound + 1):
        end = 1 / (1 + math.exp(-log_odds[min(magnitude, 3)] / 64)) if magnitude < bound else 1
        found = int(frequencies[bound + magnitude]) * (2 if magnitude else 1)
        assert found / TOTAL == pytest.approx(left * end, abs=2 * (2 * bound + 2) / TOTAL)
        left *= 1 - end


@given(log_odds=log_odds)
@steady
def test_frequencies_of_flags_are_the_probabilities_of_the_first_decision(
    log_odds: tuple[int, int, int, int],
) -> None:
    zero, one = flag_frequencies(log_odds[0]).tolist()
    assert zero + one == TOTAL and min(zero, one) >= 1
    assert zero / TOTAL == pytest.approx(1 / (1 + math.exp(-log_odds[0] / 64)), abs=3 / TOTAL)


def test_odds_are_those_of_the_exponential_function() -> None:
    """The recurrence is normative; this catches a wrong constant."""
    for log_odds in range(1021):
        assert all_odds()[log_odds] / 2**32 == pytest.approx(math.exp(log_odds / 64), rel=1e-6)
    for log_odds in range(-1020, 1021):
        assert share(1 << 60, log_odds) / 2**60 == pytest.approx(1 / (1 + math.exp(-log_odds / 64)), rel=1e-6)


def test_classes_lie_between_knots() -> None:
    assert class_count(3) == 9
    assert tuple(class_log_odds(KNOTS)[0]) == (360, 160, 120, 80)
    assert tuple(class_log_odds(KNOTS)[3]) == (90 + 60, 40 + 30, 30 + 15, 20)
    assert tuple(class_log_odds(KNOTS)[4]) == (80, 40, 20, 0)
    assert tuple(class_log_odds(KNOTS)[8]) == (-120, -80, -100, -120)


def test_size_is_close_to_the_ideal() -> None:
    generator = np.random.default_rng(2)
    classes = generator.integers(0, 9, 200_000)
    symbols = np.empty(len(classes), dtype=np.int32)
    ideal_bits = 0.0
    for number in range(9):
        ends = 1 / (1 + np.exp(-class_log_odds(KNOTS)[number] / 64))[[0, 1, 2, *[3] * 17]]
        ends = np.append(ends, 1)
        magnitudes = ends * np.concatenate(([1], np.cumprod(1 - ends)[:-1]))
        both = np.concatenate((magnitudes[:0:-1] / 2, magnitudes[:1], magnitudes[1:] / 2))
        where = classes == number
        drawn = generator.choice(len(both), size=int(where.sum()), p=both / both.sum())
        symbols[where] = drawn - 20
        ideal_bits -= float(np.log2(both[drawn]).sum())
    payload = encode(KNOTS, 20, [(classes, symbols)])
    assert 0.999 * ideal_bits - 64 < 8 * len(payload) < 1.005 * ideal_bits + 64


# Invalid input


def decode(payload: bytes, passes: list[tuple[Integers, Integers]]) -> list[Integers]:
    decoder = ConditionalDecoder(KNOTS, 7, payload)
    decoded: list[Integers] = [decoder.code(classes) for classes, _ in passes]
    decoder.expect_end()
    return decoded


def test_damaged_payload_gives_other_symbols_or_an_error() -> None:
    passes = sample(200)
    payload = encode(KNOTS, 7, passes)
    damaged = [payload[:size] for size in range(len(payload))] + [payload + b"\x01", payload + b"\x00"]
    for at in range(len(payload)):
        for bit in range(8):
            damaged.append(payload[:at] + bytes([payload[at] ^ 1 << bit]) + payload[at + 1 :])
    for bad in damaged:
        try:
            decoded = decode(bad, passes)
        except BitstreamError as error:
            assert "coder contextual" in str(error)
            continue
        assert all(int(np.abs(part).max()) <= 7 for part in decoded)
        assert not all(
            np.array_equal(part, symbols) for part, (_, symbols) in zip(decoded, passes, strict=True)
        )


@given(payload=st.binary(max_size=60))
@steady
def test_arbitrary_payload_gives_symbols_or_an_error(payload: bytes) -> None:
    passes = sample(100)
    try:
        assert [part.shape for part in decode(payload, passes)] == [classes.shape for classes, _ in passes]
    except BitstreamError as error:
        assert "coder contextual" in str(error)


def test_what_follows_the_last_symbol_is_an_error() -> None:
    payload = encode(KNOTS, 7, sample(100))
    for tail in (b"\x00", b"\x01" * 8):
        with pytest.raises(Corrupt):
            decode(payload + tail, sample(100))
    with pytest.raises(Corrupt):
        decode(payload, sample(100)[:-1])


@pytest.mark.parametrize(
    ("knots", "bound"),
    [
        (KNOTS[:1], 7),
        (KNOTS[:, :3], 7),
        (KNOTS[0], 7),
        (KNOTS.astype(float), 7),
        (KNOTS + 200, 7),
        (KNOTS - 250, 7),
        (np.zeros((MAX_KNOTS + 1, 4), dtype=np.int64), 7),
        (KNOTS, 0),
        (KNOTS, MAX_MAGNITUDE + 1),
    ],
)
def test_knots_and_magnitude_are_checked(knots: Integers, bound: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        ConditionalEncoder(knots, bound)
    with pytest.raises(Corrupt, match="expected"):
        ConditionalDecoder(knots, bound, b"")


def test_passes_are_checked() -> None:
    classes, symbols = np.array([0, 8]), np.array([7, -7], dtype=np.int32)
    encoder = ConditionalEncoder(KNOTS, 7)
    for bad_classes, bad_symbols in (
        (classes + 1, symbols),
        (classes - 1, symbols),
        (classes, symbols + np.int32(1)),
        (classes, symbols - np.int32(1)),
        (classes, symbols[:1]),
        (classes, None),
    ):
        with pytest.raises(ValueError):
            encoder.code(bad_classes, bad_symbols)
    with pytest.raises(ValueError):
        ConditionalDecoder(KNOTS, 7, b"").code(classes, symbols)
    flags = symbols > 0
    for bad_classes, bad_flags in (
        (classes + 1, flags),
        (classes - 1, flags),
        (classes, flags[:1]),
        (classes, None),
    ):
        with pytest.raises(ValueError):
            encoder.code_flags(bad_classes, bad_flags)
    with pytest.raises(ValueError):
        ConditionalDecoder(KNOTS, 7, b"").code_flags(classes, flags)


# The wire id


def test_it_has_a_name_but_is_no_coder_of_tensors() -> None:
    assert CoderId.CONTEXTUAL == 7 and coder_name(7) == "contextual"
    assert CoderId.CONTEXTUAL not in CODERS
    with pytest.raises(Corrupt, match="expected a coder of"):
        decode_section(Section(CoderId.CONTEXTUAL, (), b"\x00\x00"), 1)
    with pytest.raises(Corrupt, match="expected a coder of"):
        coder_name(200)
    assert [coder_name(wire_id) for wire_id in CODERS] == [coder.name for coder in CODERS.values()]
