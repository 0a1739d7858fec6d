"""When each frame is shown, for videos whose frames do not come at a constant rate: the block `TIME`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitstream.blocks import Block
from bitstream.coders import decode_section, encode_smallest
from bitstream.errors import Corrupt, LimitExceeded
from bitstream.fields import Writer
from bitstream.header import TIMESTAMP_BOUND, Section, StreamHeader
from bitstream.limits import DEFAULT_LIMITS, Limits

_LARGEST_SYMBOL = (1 << 31) - 1


def times_fault(times: tuple[int, ...]) -> str | None:
    """Why a table of times (units of the time base, from 0 on) cannot be stored, or None if it can."""
    if not 2 <= len(times) <= DEFAULT_LIMITS.max_timestamps:
        return f"expected 2 to {DEFAULT_LIMITS.max_timestamps} times, found {len(times)}"
    steps = np.diff(np.array(times, dtype=np.int64))
    if times[0] != 0 or int(steps.min()) < 1 or times[-1] >= TIMESTAMP_BOUND:
        return "expected times that start at 0 and rise"
    unit = int(np.gcd.reduce(steps))
    if int(steps.max()) // unit > _LARGEST_SYMBOL:
        return f"expected frames at most {_LARGEST_SYMBOL} units apart, found {int(steps.max()) // unit}"
    return None


def encode_times(times: tuple[int, ...]) -> bytes:
    """The payload of a `TIME` block; ValueError where `times_fault` finds one."""
    fault = times_fault(times)
    if fault is not None:
        raise ValueError(fault)
    steps = np.diff(np.array(times, dtype=np.int64))
    unit = int(np.gcd.reduce(steps))
    coder, payload = encode_smallest((steps // unit).astype(np.int32))
    writer = Writer()
    writer.varint(unit)
    writer.u8(coder)
    writer.blob(payload)
    return writer.getvalue()


def with_times(header: StreamHeader, block: Block, limits: Limits = DEFAULT_LIMITS) -> StreamHeader:
    """The header with the times of a `TIME` block; raises `BitstreamError` for one that is not intact."""
    reader = block.reader(limits)
    allowed = limits.max_timestamps
    if header.frame_count > allowed:
        raise reader.fault(LimitExceeded, f"expected at most {allowed} times, found {header.frame_count}")
    if header.frame_count < 2:
        raise reader.fault(Corrupt, "expected no times for a single frame")
    unit = reader.varint(TIMESTAMP_BOUND)
    section = Section(reader.u8(), (), reader.blob(limits.max_block_bytes))
    reader.expect_end()
    steps = decode_section(section, header.frame_count - 1, limits).astype(np.int64)
    if unit < 1 or int(steps.min()) < 1 or unit * int(steps.sum()) >= TIMESTAMP_BOUND:
        raise reader.fault(Corrupt, "expected times that rise and stay below 2^60", block.offset)
    if int(np.gcd.reduce(steps)) != 1:
        raise reader.fault(Corrupt, "expected steps without a common factor", block.offset)
    times = (0, *(unit * np.cumsum(steps)).tolist())
    return replace(header, timestamps=times)
