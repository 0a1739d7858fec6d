"""Primitive fields and declared records: round trips, bounds and error messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from bitstream_samples import FLOAT32_MAX, HEADER, edges, rationals, steady
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BitstreamError, ColorTags, Corrupt, LimitExceeded, Limits, Quality, Section, Truncated
from bitstream.fields import Reader, Writer, to_float32
from bitstream.records import Record

MAX_U64 = (1 << 64) - 1


def written(action: Callable[[Writer], None]) -> bytes:
    writer = Writer()
    action(writer)
    return writer.getvalue()


def written_by(name: str, value: Any) -> bytes:
    return written(lambda writer: getattr(writer, name)(value))


@given(value=edges(0, MAX_U64))
@steady
def test_varint_round_trip(value: int) -> None:
    data = written(lambda writer: writer.varint(value))
    assert len(data) == max(1, -(-value.bit_length() // 7))
    reader = Reader(data)
    assert reader.varint() == value
    reader.expect_end()


@given(value=edges(-(1 << 63), (1 << 63) - 1))
@steady
def test_signed_varint_round_trip(value: int) -> None:
    assert Reader(written(lambda writer: writer.signed_varint(value))).signed_varint() == value


@given(value=rationals)
@steady
def test_rational_round_trip(value: Fraction) -> None:
    assert Reader(written(lambda writer: writer.rational(value))).rational() == value


@given(data=st.binary(max_size=300))
@steady
def test_blob_round_trip(data: bytes) -> None:
    assert Reader(written(lambda writer: writer.blob(data))).blob("max_extradata_bytes") == data


@pytest.mark.parametrize(("name", "bits"), [("u8", 8), ("u16", 16), ("u32", 32), ("u64", 64)])
def test_fixed_integers(name: str, bits: int) -> None:
    for value in (0, 1, (1 << bits) - 1):
        data = written_by(name, value)
        assert data == value.to_bytes(bits // 8, "little")
        assert getattr(Reader(data), name)() == value
    for value in (-1, 1 << bits):
        with pytest.raises(ValueError):
            getattr(Writer(), name)(value)


def test_floats_are_finite() -> None:
    values = (0.0, -1.5, FLOAT32_MAX)
    assert Reader(written_by("f32_array", values)).f32_array(3) == values
    for value in (math.inf, math.nan, 10 * FLOAT32_MAX):
        with pytest.raises(ValueError):
            Writer().f32_array((value,))
    with pytest.raises(Corrupt, match="finite"):
        Reader(b"\x00\x00\x80\x7f").f32_array(1)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_varint_out_of_range(value: int) -> None:
    with pytest.raises(ValueError):
        Writer().varint(value)
    with pytest.raises(ValueError):
        Writer().signed_varint(value * (1 << 63) - 1)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Truncated),
        (b"\x80", Truncated),
        (b"\x80\x00", Corrupt),
        (b"\xff\x80\x00", Corrupt),
        (b"\xff" * 9 + b"\x02", Corrupt),
        (b"\xff" * 10, Corrupt),
    ],
)
def test_bad_varints(data: bytes, kind: type[BitstreamError]) -> None:
    with pytest.raises(kind):
        Reader(data).varint()


@pytest.mark.parametrize("data", [b"\x02\x04", b"\x01\x00", b"\x00\x02", b"\x80\x80\x80\x80\x10\x01"])
def test_bad_rationals(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Reader(data).rational()


def test_errors_say_where_and_what() -> None:
    reader = Reader(b"\x01\x02", base_offset=40, block="STRM")
    reader.u8()
    with pytest.raises(Truncated) as caught:
        reader.u32()
    assert (caught.value.offset, caught.value.block) == (41, "STRM")
    assert str(caught.value) == "expected 4 more bytes, found 1 (block STRM, offset 41)"
    assert str(BitstreamError("plain")) == "plain"
    with pytest.raises(Corrupt, match="expected the end, found 1 more bytes"):
        reader.expect_end()
    with pytest.raises(LimitExceeded, match="expected at most max_extradata_bytes = 1, found 2"):
        Reader(b"\x02ab", limits=Limits(max_extradata_bytes=1)).blob("max_extradata_bytes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ColorTags(primaries=256),
        lambda: ColorTags(full_range=1),  # type: ignore[arg-type]
        lambda: ColorTags(transfer=True),
        lambda: ColorTags(matrix=1.0),  # type: ignore[arg-type]
        lambda: Quality(-0.001),
        lambda: Quality(math.nan),
        lambda: Quality(4294967.295),
        lambda: Section(-1, (), b""),
        lambda: Section(1, (0.0,), b""),
        lambda: Section(1, (math.nan,), b""),
        lambda: Section(1, (1e39,), b""),
        lambda: Section(1, (-1.0,), b""),
        lambda: Section(1, 3, b""),  # type: ignore[arg-type]
        lambda: Section(1, (), "text"),  # type: ignore[arg-type]
    ],
)
def test_records_refuse_what_the_format_cannot_hold(make: Callable[[], Record]) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": 21},
        {"height": 17},
        {"coded_width": 1 << 32},
        {"frame_count": 0},
        {"frame_rate": Fraction(0)},
        {"frame_rate": 25.0},
        {"time_base": Fraction(1, 1 << 32)},
        {"sample_aspect_ratio": Fraction(-1)},
        {"rotation": 45},
        {"bit_depth": 7},
        {"bit_depth": 17},
        {"color": None},
    ],
)
def test_headers_refuse_what_the_format_cannot_hold(change: dict[str, Any]) -> None:
    values = {name: getattr(HEADER, name) for name in HEADER.__dataclass_fields__}
    with pytest.raises(ValueError, match="StreamHeader"):
        type(HEADER)(**(values | change))


def test_floats_are_stored_as_float32() -> None:
    assert to_float32([0.1]) == (0.10000000149011612,)
    assert Section(1, (0.1,), b"").steps == (0.10000000149011612,)
    assert Quality(31.23456).psnr_db == 31.235
