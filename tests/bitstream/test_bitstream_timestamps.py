"""Tables of timestamps in the container: exact, compact, and checked."""

from __future__ import annotations

import dataclasses
import io
from itertools import accumulate

import pytest
from bitstream_samples import HEADER, MINIMAL, edges, steady
from hypothesis import given
from hypothesis import strategies as st

from bitstream import (
    BitstreamError,
    Corrupt,
    ForwardReader,
    LimitExceeded,
    Limits,
    SalvageReader,
    Segment,
    Stream,
    StreamReader,
    UnsupportedVersion,
    dump,
    load,
)
from bitstream.blocks import encode_block
from bitstream.header import TIMESTAMP_BOUND
from bitstream.timestamps import duration, encode_times, frame_time, times_fault


def timed(times: tuple[int, ...]) -> Stream:
    header = dataclasses.replace(HEADER, frame_count=len(times), timestamps=times)
    return Stream(header, (Segment(0, len(times), 0, 0, b"", ()),))


steps = st.lists(edges(1, (1 << 31) - 1) | st.integers(1, 60), min_size=1, max_size=30)


@steady
@given(steps, st.sampled_from((1, 3, 1001, (1 << 20) + 7)))
def test_times_come_back_exactly(gaps: list[int], unit: int) -> None:
    stream = timed(tuple(accumulate((unit * gap for gap in gaps), initial=0)))
    data = dump(stream)
    assert load(data) == stream
    assert StreamReader(io.BytesIO(data)).header == stream.header


def test_a_table_of_few_steps_takes_few_bits() -> None:
    times = tuple(accumulate([3003, 6006, 3003, 3003, 9009] * 200, initial=0))
    entropy_bits = 1000 * 1.371
    assert 8 * len(encode_times(times)) < 1.05 * entropy_bits + 100
    assert len(encode_times(tuple(range(0, 90000, 90)))) < 12


def test_what_cannot_be_stored_is_said() -> None:
    assert times_fault((0, 5, 5)) is not None
    assert times_fault((1, 5)) is not None
    assert times_fault((0,)) is not None
    assert times_fault((0, 1, (1 << 31) + 1)) is not None
    assert times_fault((0, 1, (1 << 31))) is None
    with pytest.raises(ValueError, match="rise"):
        encode_times((0, 5, 5))
    with pytest.raises(ValueError, match="expected 1 times"):
        dataclasses.replace(MINIMAL.header, timestamps=(0, 1))


def spliced(payload: bytes) -> bytes:
    """A file of three frames whose table has this payload."""
    data = dump(timed((0, 40, 100)))
    at = data.index(b"TIME")
    end = data.index(b"SEGM")
    return data[:at] + encode_block(b"TIME", payload) + data[end:]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\x01\x02\x04\x00",  # unit 0
        b"\x01\x01\x02\x00\x00",  # steps of 0
        b"\x01\x01\x02\x04\x00",  # a common factor that belongs in the unit
        b"\x01\x63\x00",  # unknown coder
        b"\x01\x01\x02\x02\x00\x00",  # a byte too many
    ],
)
def test_damaged_tables_are_errors_in_both_readers(payload: bytes) -> None:
    with pytest.raises(BitstreamError):
        load(spliced(payload))
    with pytest.raises(BitstreamError):
        StreamReader(io.BytesIO(spliced(payload)))


def test_the_table_stands_right_after_the_header_and_once() -> None:
    data = dump(timed((0, 40, 100)))
    at, end = data.index(b"TIME"), data.index(b"SEGM")
    with pytest.raises(Corrupt, match="right after STRM"):
        load(data[:end] + data[at:end] + data[end:])
    with pytest.raises((Corrupt, UnsupportedVersion)):
        StreamReader(io.BytesIO(data[:end] + data[at:end] + data[end:]))


def test_the_number_of_times_is_limited() -> None:
    data = dump(timed((0, 40, 100)))
    with pytest.raises(LimitExceeded):
        load(data, Limits(max_timestamps=2))


@steady
@given(edges(1, TIMESTAMP_BOUND - 1), st.sampled_from((None, (0, 40, 100))))
def test_the_duration_of_the_last_frame_comes_back(last: int, times: tuple[int, ...] | None) -> None:
    stream = timed((0, 40, 100))
    header = dataclasses.replace(stream.header, timestamps=times, last_duration=last)
    data = dump(dataclasses.replace(stream, header=header))
    assert load(data).header == StreamReader(io.BytesIO(data)).header == header
    assert ForwardReader(io.BytesIO(data)).header == header
    assert duration(header) == frame_time(header, 2) + last * header.time_base


def test_a_damaged_duration_of_the_last_frame_is_left_out() -> None:
    stream = timed((0, 40, 100))
    header = dataclasses.replace(stream.header, last_duration=7)
    data = bytearray(dump(dataclasses.replace(stream, header=header)))
    data[data.index(b"last") + 8] ^= 1
    with pytest.raises(Corrupt):
        load(bytes(data))
    with SalvageReader(io.BytesIO(bytes(data))) as reader:
        assert reader.header == stream.header
        assert [loss.what for loss in reader.losses()] == ["the duration of the last frame"]
