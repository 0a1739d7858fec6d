"""When frames are shown: constant frame rates and timestamp tables of sources, files and outputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from bitstream.timestamps import times_fault
from inrcodec.errors import UsageError
from inrcodec.progress import Progress
from inrcodec.video.properties import LARGEST_TERM, VideoProperties, Window

_FALLBACK_TIME_BASE = Fraction(1, 1_000_000)
_ROUNDING = Fraction(1, 1_000_000)
"""Seconds by which a requested time may fall short of the frame it means."""


@dataclass(frozen=True)
class Timing:
    """Timing of a run of frames, as a file stores it."""

    frame_rate: Fraction
    """Frames per second; approximately the mean where there are timestamps."""
    time_base: Fraction
    """Unit of the timestamps, seconds."""
    timestamps: tuple[int, ...] | None = None
    """Timestamp of each frame, in units of the time base from 0 on; None at a constant rate."""


def held_ratio(ratio: Fraction) -> Fraction:
    """The closest ratio whose terms FFmpeg and the stream header can hold."""
    if ratio > 1:
        return 1 / held_ratio(1 / ratio)
    return max(ratio.limit_denominator(LARGEST_TERM), Fraction(1, LARGEST_TERM))


def timing_of(
    stamps: Sequence[int | None], time_base: Fraction, frame_rate: Fraction, progress: Progress
) -> Timing:
    """Timing of frames with timestamps `stamps` in a source that declares `frame_rate`.

    A table is kept only if the rate is not constant. Containers round timestamps to their time base, so if a
    frame does not last a whole number of units, timestamps within one unit of a constant rate are regular.
    Missing timestamps, or ones that do not increase, are replaced by regular ones, with a note.
    """
    known = [(index, stamp) for index, stamp in enumerate(stamps) if stamp is not None]
    if not known or is_regular(known, 1 / (frame_rate * time_base)):
        return Timing(frame_rate, time_base)
    first = known[0][1]
    times = tuple(stamp - first for _, stamp in known)
    steps = {late - early for early, late in zip(times, times[1:], strict=False)}
    is_complete = len(known) == len(stamps)
    if is_complete and len(steps) == 1 and min(steps) > 0:
        return Timing(held_ratio(1 / (min(steps) * time_base)), time_base)
    fault = times_fault(times) if is_complete else "some are missing"
    if fault is not None:
        progress.note(
            f"timestamps are irregular and cannot be kept ({fault}); "
            f"a constant {float(frame_rate):.6g} fps replaces them"
        )
        return Timing(frame_rate, time_base)
    mean_rate = held_ratio((len(times) - 1) / (times[-1] * time_base))
    progress.detail(f"timestamps are irregular and kept in a table, mean {float(mean_rate):.6g} fps")
    return Timing(mean_rate, time_base, times)


def is_regular(known: Sequence[tuple[int, int]], ticks_per_frame: Fraction) -> bool:
    """Whether timestamps by frame number fit a constant rate, up to rounding to whole ticks."""
    first_index, first_stamp = known[0]
    slack = 0 if ticks_per_frame.denominator == 1 else 1
    return all(
        abs(stamp - first_stamp - (index - first_index) * ticks_per_frame) <= slack for index, stamp in known
    )


def frame_time(properties: VideoProperties, index: int) -> Fraction:
    """Time at which a frame is shown, in seconds from the first frame."""
    if properties.timestamps is None:
        return index / properties.frame_rate
    return properties.timestamps[index] * properties.time_base


def frame_shown_at(properties: VideoProperties, seconds: Fraction | float) -> int:
    """Number of the frame shown at a time in seconds from the first frame; raises `UsageError` for none.

    The last frame lasts for the mean frame duration. A time up to a microsecond before a frame counts as the
    frame's own, because times are often rounded.
    """
    last = frame_time(properties, properties.frame_count - 1)
    end = last + 1 / properties.frame_rate
    if not 0 <= seconds < end:
        raise UsageError(
            f"no frame is shown at {float(seconds):.6g} s: the video runs from 0 to {float(end):.6g} s, "
            f"its last frame begins at {float(last):.6g} s"
        )
    # The decimal as written: 0.12 means 3/25, and the nearest float falls short of it.
    moment = (seconds if isinstance(seconds, Fraction) else Fraction(repr(float(seconds)))) + _ROUNDING
    if properties.timestamps is None:
        return min(int(moment * properties.frame_rate), properties.frame_count - 1)
    return bisect_right(properties.timestamps, moment / properties.time_base) - 1


def window_of(properties: VideoProperties, frames: range) -> Window:
    """Stretch of a decoded video that `frames` cover."""
    is_cut = frames.stop < properties.frame_count
    stop = frame_time(properties, frames.stop) if is_cut else None
    return Window(frame_time(properties, frames.start), frames.start > 0, stop)


def selected_properties(properties: VideoProperties, frames: range, scale: int) -> VideoProperties:
    """Properties of an output with `frames` and `scale` - 1 interpolated ones between any two."""
    frame_rate = properties.frame_rate * scale
    if properties.timestamps is None:
        return replace(properties, frame_rate=frame_rate)
    times = properties.timestamps[frames.start : frames.stop]
    scaled = [scale * (time - times[0]) for time in times]
    between = [
        early + (late - early) * step // scale
        for early, late in zip(scaled, scaled[1:], strict=False)
        for step in range(scale)
    ]
    return replace(
        properties,
        frame_rate=frame_rate,
        time_base=properties.time_base / scale,
        timestamps=(*between, scaled[-1]),
    )


class OutputClock:
    """Timestamps of an output's frames, in a time base that FFmpeg can hold.

    At a constant rate this is the source's time base if a frame lasts a whole number of its units, else one
    frame: a coarse time base (Matroska's milliseconds at 29.97 fps) would make the frames jitter.
    """

    def __init__(self, properties: VideoProperties) -> None:
        self._times = properties.timestamps
        self._unit = properties.time_base
        self._ticks = 1 / (properties.frame_rate * properties.time_base)
        fits = max(properties.time_base.as_integer_ratio()) <= LARGEST_TERM
        if self._times is not None:
            self.time_base = properties.time_base if fits else _FALLBACK_TIME_BASE
        elif fits and self._ticks.denominator == 1 and self._ticks >= 1:
            self.time_base = properties.time_base
        else:
            self.time_base, self._ticks = 1 / properties.frame_rate, Fraction(1)

    def timestamp(self, index: int) -> int:
        """Timestamp of frame `index`, in units of `time_base`."""
        if self._times is None:
            return round(index * self._ticks)
        return round(self._times[index] * self._unit / self.time_base)
