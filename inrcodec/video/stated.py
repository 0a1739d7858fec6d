"""Reads what a container, or a raw stream itself, states about the times of a video."""

from __future__ import annotations

import re
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_NO_TIMESTAMPS = 0x0080
"""FFmpeg's flag AVFMT_NOTIMESTAMPS: a raw stream, whose timestamps the demuxer makes up."""
_PICTURES = "_pipe"
"""End of the names of FFmpeg's demuxers for single pictures."""
_MATROSKA, _MATROSKA_UNIT = "matroska", Fraction(1, 1000)
WITH_DURATIONS = (_MATROSKA, "gif", "apng")
"""Beginnings of the names of FFmpeg's demuxers for containers that state how long each frame is shown.

An .mp4 states how long it is until the next frame is decoded."""
GUESSED_TIMES = "mpeg"
"""FFmpeg's demuxer for program streams (VOB), which have a time at the start of a packet of 2,048 bytes."""
_WITH_ENDS = ("mov", "gif", "avi")
"""Beginnings of the names of demuxers for containers that state the duration of each stream."""
_DECIMAL_ERROR = Fraction(1, 10_000)
"""Share by which a rate may differ because it was written as a decimal; 24000/1001 and 24 differ by more."""
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def has_timestamps(container: InputContainer) -> bool:
    """Whether the container has timestamps: a raw stream has none, and those of its frames are made up."""
    return not container.format.flags & _NO_TIMESTAMPS


def has_header_duration(container: InputContainer) -> bool:
    """Whether the duration is that of the whole file, also where a part of it is missing."""
    return container.format.name.startswith(_MATROSKA)


def stated_rates(container: InputContainer, stream: VideoStream) -> list[Fraction]:
    """Frames per second that the container may state, or a raw stream itself, the likeliest first."""
    if not has_timestamps(container):
        rates: list[Fraction | None] = [stream.codec_context.framerate]
    elif container.format.name.endswith(_PICTURES):
        rates = []
    else:
        rates = [stream.average_rate, stream.guessed_rate]
    stated = [rate for rate in rates if rate and rate > 0]
    # An .flv states a decimal, 23.976, of which the ratio that FFmpeg guesses from the times is the meaning.
    is_decimal = len(stated) > 1 and abs(stated[1] / stated[0] - 1) < _DECIMAL_ERROR
    return stated[::-1] if is_decimal else stated


def stated_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Time at which the container says that the video ends, in seconds; None if it does not say."""
    end: Fraction | None = None
    if container.format.name.startswith(_WITH_ENDS) and stream.duration and stream.time_base:
        # Where an .mp4 consists of fragments, FFmpeg's duration is the end of the last.
        start = (stream.start_time or 0) if stream.frames else 0
        end = (start + stream.duration) * stream.time_base
    elif container.format.name.startswith(_MATROSKA):
        whole = Fraction(container.duration or 0, av.time_base)
        written = _clock_seconds(stream.metadata.get("DURATION", ""))
        # A tag that was copied from another file may exceed this one's duration.
        if written is not None and written <= whole + _MATROSKA_UNIT:
            end = written
        elif len(container.streams) == 1:
            end = whole
    return end


def _clock_seconds(text: str) -> Fraction | None:
    """Seconds of a time such as 00:00:03.023000000."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
