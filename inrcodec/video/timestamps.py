"""When frames are shown: constant frame rates and timestamp tables of sources, files and outputs."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from bitstream.header import TIMESTAMP_BOUND
from bitstream.timestamps import duration, frame_time, times_fault
from inrcodec.errors import UsageError
from inrcodec.progress import Progress
from inrcodec.video.mending import Mended, apart, mended
from inrcodec.video.properties import LARGEST_TERM, VideoProperties, Window

_FINE_UNIT = Fraction(1, 500)
"""Seconds. Nobody sees times rounded to milliseconds or 1/600 s, but those rounded to 1/100 s (GIF)."""
_MOST_SPREAD = Fraction(17, 16)
"""Units between the errors of timestamps that were rounded to one unit, after a finer one."""
_LONGEST_STEP = (1 << 31) - 2
"""Units between two frames, one less than a file stores at most."""
_LARGEST_MISTAKE = Fraction(3, 2)
"""Ratio of a stated rate to that of the timestamps from which on it is taken as nonsense."""
ROUNDING = Fraction(1, 1_000_000)
"""Seconds by which a requested time may fall short of the frame it means."""


@dataclass(frozen=True)
class Timing:
    """Timing of a run of frames, as a file stores it."""

    start: Fraction
    """Time of the first frame on the source's clock, seconds."""
    frame_rate: Fraction
    """Frames per second; approximately the mean where there are timestamps."""
    time_base: Fraction
    """Unit of the timestamps, seconds."""
    timestamps: tuple[int, ...] | None = None
    """Timestamp of each frame, in units of the time base from 0 on; None at a constant rate."""
    last_duration: int | None = None
    """Duration of the last frame in units of the time base; None if it lasts 1 / `frame_rate`."""


def held_ratio(ratio: Fraction) -> Fraction:
    """The closest ratio whose terms FFmpeg and the stream header can hold."""
    if ratio > 1:
        return 1 / held_ratio(1 / ratio)
    return max(ratio.limit_denominator(LARGEST_TERM), Fraction(1, LARGEST_TERM))


def timing_of(
    stamps: Sequence[int | None],
    end: Fraction | None,
    time_base: Fraction,
    frame_rates: Sequence[Fraction],
    progress: Progress,
) -> Timing:
    """Timing of frames with timestamps `stamps`, the last shown until `end`, in units of `time_base`.

    `frame_rates` are those that the source may declare, the likeliest first. A table is kept only if none
    fits the times. Timestamps that are missing or do not rise are mended, with a note.
    """
    known = [(index, stamp) for index, stamp in enumerate(stamps) if stamp is not None]
    if not known:
        return Timing(Fraction(0), frame_rates[0], time_base)
    for rate in frame_rates:
        period = 1 / (rate * time_base)
        if is_regular(known, period, time_base):
            last = known[-1][1] + (len(stamps) - 1 - known[-1][0]) * period
            start = known[0][1] - known[0][0] * period
            return _constant(start, rate, time_base, None if end is None else end - last)
    frame_rate = frame_rates[0]
    period = 1 / (frame_rate * time_base)
    rising = mended(stamps, period)
    if rising is None:
        fault = "too many of them do not rise"
    else:
        end = None if end is None else end * rising.per_unit
        timing, fault = _of_rising(rising.times, time_base / rising.per_unit, end)
        if timing is not None:
            _note_mending(rising, timing, progress)
            return timing
    frame_rate = _credible(frame_rate, known, time_base)
    progress.note(
        f"timestamps are irregular and cannot be kept ({fault}); "
        f"a constant {float(frame_rate):.6g} fps replaces them"
    )
    start = known[0][1] - known[0][0] / (frame_rate * time_base)
    return Timing(start * time_base, frame_rate, time_base)


def is_regular(known: Sequence[tuple[int, int]], period: Fraction, time_base: Fraction) -> bool:
    """Whether timestamps by frame number are those of a constant rate, rounded to whole units.

    A frame lasts `period` units of `time_base` seconds. If that is a whole number, nothing was rounded. Else
    one rounding explains all timestamps if they are off by less than a unit from one another. A coarse unit
    may be what the times are meant to be, so that only a fine one is taken as rounded.
    """
    errors = [stamp - index * period for index, stamp in known]
    spread = max(errors) - min(errors)
    return spread == 0 or (period.denominator > 1 and time_base <= _FINE_UNIT and spread < _MOST_SPREAD)


def _credible(rate: Fraction, known: Sequence[tuple[int, int]], time_base: Fraction) -> Fraction:
    """The stated rate, or the nearest that the timestamps by frame number allow if it is far from these.

    Timestamps that go back may begin again, so that the video lasts as long as all steps forward together.
    """
    (first, _), (last, _) = known[0], known[-1]
    stamps = [stamp for _, stamp in known]
    shortest = max(stamps) - min(stamps)
    longest = max(shortest, sum(max(0, late - early) for early, late in pairwise(stamps)))
    if shortest == 0:
        return rate
    least, most = ((last - first) / (span * time_base) for span in (longest, shortest))
    if least / _LARGEST_MISTAKE <= rate <= most * _LARGEST_MISTAKE:
        return rate
    return held_ratio(min(max(rate, least), most))


def _constant(start: Fraction, rate: Fraction, time_base: Fraction, last: Fraction | None) -> Timing:
    """Timing at a constant rate; `start` and the duration of the last frame are in units of the time base."""
    period = 1 / (rate * time_base)
    rounding = 0 if period.denominator == 1 else 1
    is_held = last is not None and abs(last - period) > rounding
    return Timing(start * time_base, rate, time_base, None, _stored(last) if is_held else None)


def _of_rising(
    times: tuple[int, ...], time_base: Fraction, end: Fraction | None
) -> tuple[Timing | None, str]:
    """Timing of frames with rising timestamps, or None and why a file cannot store it."""
    steps = {late - early for early, late in pairwise(times)}
    start, last = Fraction(times[0]), None if end is None else end - times[-1]
    if len(steps) == 1:
        return _constant(start, held_ratio(1 / (min(steps) * time_base)), time_base, last), ""
    coarser = math.ceil(Fraction(max(steps), math.gcd(*steps) * _LONGEST_STEP))
    stored = tuple(apart((time - times[0]) // coarser for time in times))
    unit = coarser * time_base
    fault = times_fault(stored)
    if fault is None and max(unit.as_integer_ratio()) > LARGEST_TERM:
        fault = "their unit is out of range"
    if fault is not None:
        return None, fault
    rate = held_ratio((len(stored) - 1) / (stored[-1] * unit))
    is_held = last is not None and last / coarser != 1 / (rate * unit)
    lasting = _stored(last / coarser) if is_held and last is not None else None
    return Timing(start * time_base, rate, unit, stored, lasting), ""


def _stored(duration: Fraction | None) -> int | None:
    """A duration in whole units, or None for one that a file cannot store."""
    whole = 0 if duration is None else round(duration)
    return whole if 1 <= whole < TIMESTAMP_BOUND else None


def _note_mending(rising: Mended, timing: Timing, progress: Progress) -> None:
    count = len(rising.times)
    if rising.moved:
        is_are = "is" if rising.moved == 1 else "are"
        progress.note(
            f"{rising.moved} of {count} timestamps repeat or go back and {is_are} moved, the others are kept"
        )
    if rising.missing:
        progress.note(f"{rising.missing} of {count} frames have no timestamp: they are spread evenly")
    if timing.timestamps is not None:
        mean = float(timing.frame_rate)
        progress.detail(f"timestamps are irregular and kept in a table, mean {mean:.6g} fps")


def frame_shown_at(properties: VideoProperties, seconds: Fraction | float) -> int:
    """Number of the frame shown at a time in seconds from the first frame; raises `UsageError` for none.

    A time up to a microsecond before a frame counts as the frame's own, because times are often rounded.
    """
    last = frame_time(properties, properties.frame_count - 1)
    end = duration(properties)
    if not 0 <= seconds < end:
        raise UsageError(
            f"no frame is shown at {float(seconds):.6g} s: the video runs from 0 to {float(end):.6g} s, "
            f"its last frame begins at {float(last):.6g} s"
        )
    # The decimal as written: 0.12 means 3/25, and the nearest float falls short of it.
    moment = (seconds if isinstance(seconds, Fraction) else Fraction(repr(float(seconds)))) + ROUNDING
    if properties.timestamps is None:
        return min(int(moment * properties.frame_rate), properties.frame_count - 1)
    return bisect_right(properties.timestamps, moment / properties.time_base) - 1


def frames_beginning_in(
    properties: VideoProperties, start: Fraction | float, stop: Fraction | float | None
) -> range:
    """Numbers of the frames that begin at `start` seconds or later, and before `stop` if there is one.

    Raises `UsageError` if there are none.
    """
    count = properties.frame_count
    first, end = (
        bisect_left(range(count), moment, key=lambda index: frame_time(properties, index) + ROUNDING)
        for moment in (start, math.inf if stop is None else stop)
    )
    if first >= end:
        until = "" if stop is None else f"{float(stop):g}s"
        raise UsageError(
            f"no frame begins in {float(start):g}s:{until}; the video ends at "
            f"{float(duration(properties)):.6g} s"
        )
    return range(first, end)


def window_of(properties: VideoProperties, frames: range) -> Window:
    """Stretch of a decoded video that `frames` cover."""
    is_cut = frames.stop < properties.frame_count
    stop = frame_time(properties, frames.stop) if is_cut else None
    return Window(frame_time(properties, frames.start), frames.start > 0, stop)


def selected_properties(properties: VideoProperties, frames: range, scale: int) -> VideoProperties:
    """Properties of an output with `frames` and `scale` - 1 interpolated ones between any two."""
    is_cut = frames.stop < properties.frame_count
    last = properties.last_duration
    selected = replace(
        properties, frame_count=(len(frames) - 1) * scale + 1, frame_rate=properties.frame_rate * scale
    )
    if properties.timestamps is None:
        return replace(selected, last_duration=None if is_cut else last)
    if is_cut:
        last = properties.timestamps[frames.stop] - properties.timestamps[frames.stop - 1]
    times = properties.timestamps[frames.start : frames.stop]
    scaled = [scale * (time - times[0]) for time in times]
    between = [
        early + (late - early) * step // scale
        for early, late in zip(scaled, scaled[1:], strict=False)
        for step in range(scale)
    ]
    return replace(
        selected,
        time_base=properties.time_base / scale,
        timestamps=(*between, scaled[-1]),
        last_duration=None if last is None else scale * last,
    )
