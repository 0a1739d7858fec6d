"""When frames are shown: the table `TIME` of an irregular rate, and `last`, how long the last frame lasts."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from bitstream.blocks import Block
from bitstream.errors import Corrupt
from bitstream.fields import Writer
from bitstream.header import TIMESTAMP_BOUND, Section, StreamHeader
from bitstream.limits import DEFAULT_LIMITS, TIMESTAMP_BYTES, Limits

_LARGEST_SYMBOL = (1 << 31) - 1


class Timed(Protocol):
    """The fields of a `StreamHeader` that say when its frames are shown."""

    @property
    def frame_count(self) -> int: ...
    @property
    def frame_rate(self) -> Fraction: ...
    @property
    def time_base(self) -> Fraction: ...
    @property
    def timestamps(self) -> tuple[int, ...] | None: ...
    @property
    def last_duration(self) -> int | None: ...


def frame_time(video: Timed, index: int) -> Fraction:
    """Time at which a frame is shown, in seconds from the first frame."""
    if video.timestamps is None:
        return index / video.frame_rate
    return video.timestamps[index] * video.time_base


def last_seconds(video: Timed) -> Fraction:
    """How long the last frame is shown, in seconds."""
    if video.last_duration is None:
        return 1 / video.frame_rate
    return video.last_duration * video.time_base


def duration(video: Timed) -> Fraction:
    """Time from the first frame to the end of the last, in seconds."""
    return frame_time(video, video.frame_count - 1) + last_seconds(video)


def times_fault(times: tuple[int, ...]) -> str | None:
    """Return why timestamps (in units of the time base, from 0 on) cannot be stored, or None if they can."""
    if not 2 <= len(times) <= DEFAULT_LIMITS.max_timestamps:
        return f"expected 2 to {DEFAULT_LIMITS.max_timestamps} times, found {len(times)}"
    steps = _steps(times)
    if times[0] != 0 or min(steps) < 1 or times[-1] >= TIMESTAMP_BOUND:
        return "expected times that start at 0 and rise"
    longest = max(steps) // math.gcd(*steps)
    if longest > _LARGEST_SYMBOL:
        return f"expected frames at most {_LARGEST_SYMBOL} units apart, found {longest}"
    return None


def _steps(times: tuple[int, ...]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(times)]


def encode_times(times: tuple[int, ...]) -> bytes:
    """Return the payload of a `TIME` block. Raises ValueError for a fault that `times_fault` finds."""
    import numpy as np

    from bitstream.coders import encode_smallest

    fault = times_fault(times)
    if fault is not None:
        raise ValueError(fault)
    steps = _steps(times)
    unit = math.gcd(*steps)
    coder, payload = encode_smallest((np.array(steps, dtype=np.int64) // unit).astype(np.int32))
    writer = Writer()
    writer.varint(unit)
    writer.u8(coder)
    writer.blob(payload)
    return writer.getvalue()


def with_times(header: StreamHeader, block: Block, limits: Limits = DEFAULT_LIMITS) -> StreamHeader:
    """Return the header with the timestamps of a `TIME` block. Raises `BitstreamError` if it is invalid."""
    # Imported here because most files have no such block, and then need no NumPy.
    import numpy as np

    from bitstream.coders import decode_section

    reader, count = block.reader(limits), header.frame_count
    reader.check_limit("max_timestamps", count)
    reader.check_limit("max_memory", TIMESTAMP_BYTES * count)
    if count < 2:
        raise reader.fault(Corrupt, "expected no times for a single frame")
    unit = reader.varint(TIMESTAMP_BOUND)
    section = Section(reader.u8(), (), reader.blob("max_block_bytes"))
    reader.expect_end()
    # Sums of at most 2^22 symbols of 32 bits; larger counts, which only a person allows, would wrap at 2^32.
    times = np.zeros(count, dtype=np.int64)
    steps = decode_section(section, count - 1, limits)
    np.cumsum(steps, out=times[1:], dtype=np.int64)
    if unit < 1 or int(steps.min()) < 1 or unit * int(times[-1]) >= TIMESTAMP_BOUND:
        raise reader.fault(Corrupt, "expected times that rise and stay below 2^60", block.offset)
    if int(np.gcd.reduce(steps)) != 1:
        raise reader.fault(Corrupt, "expected steps without a common factor", block.offset)
    times *= unit
    return replace(header, timestamps=tuple(times.tolist()))


def encode_last(duration: int) -> bytes:
    """Return the payload of a `last` block for a duration in units of the time base."""
    writer = Writer()
    writer.varint(duration)
    return writer.getvalue()


def read_last(block: Block, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return the duration of the last frame, in units of the time base. Raises `BitstreamError`."""
    reader = block.reader(limits)
    found = reader.varint(TIMESTAMP_BOUND - 1)
    reader.expect_end()
    if found < 1:
        raise reader.fault(Corrupt, "expected a duration above 0", block.offset)
    return found
