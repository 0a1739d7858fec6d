"""Timestamps of the frames of a video file that is written."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from bitstream.timestamps import last_seconds
from inrcodec.video.mending import apart
from inrcodec.video.properties import LARGEST_TERM, VideoProperties

_FINEST_UNIT = Fraction(1, 1_000_000)
"""Seconds. Unit of an output whose own unit FFmpeg cannot hold, or that must be coarser."""
_MOST_UNITS = 1 << 30
"""Units that a frame may last: FFmpeg allows 2^31 between decoding times of an .mp4 and in VP9's encoder."""
_LONGEST_HOLD = _MOST_UNITS * Fraction(1, 1000)
"""Seconds that the last frame may last: 12 days. A longer one would need a unit too coarse for the others."""
_LEAST_TIMESCALE = 10_000
"""FFmpeg doubles the units per second of a video track in .mp4 until there are this many."""
_UNITS_PER_FRAME = 1000
"""Units of a frame at a constant rate whose last frame is held, if the source's unit cannot be used."""


class OutputClock:
    """Timestamps of an output's frames, in a time base that every container can hold.

    At a constant rate this is the source's time base if a frame lasts a whole number of its units, else one
    frame: a coarse time base (Matroska's milliseconds at 29.97 fps) would make the frames jitter. In a unit
    coarser than the source's, times are rounded, and those that would meet are a unit apart. Raises
    `OverflowError` for frames that last decades.
    """

    def __init__(self, properties: VideoProperties) -> None:
        unit, rate, times = properties.time_base, properties.frame_rate, properties.timestamps
        step = 1 / rate if times is None else _longest_step(times) * unit
        is_known = properties.last_duration is not None
        is_held = is_known and last_seconds(properties) <= max(step, _LONGEST_HOLD)
        self.loses_last_duration = is_known and not is_held
        """Whether the last frame lasts too long for a file that keeps the times of the others."""
        longest = max(step, last_seconds(properties) if is_held else 1 / rate)
        if times is None and not (_fits(unit, longest) and (1 / (rate * unit)).denominator == 1):
            unit = 1 / (rate * _UNITS_PER_FRAME) if is_held else 1 / rate
        self.track_timescale: int | None = None
        """Units per second that an .mp4 must be told, because it would choose more; None to let it choose."""
        if not _fits(unit, longest):
            unit = _coarser_unit(longest)
            self.track_timescale = unit.denominator
        self._period = 1 / (rate * unit)
        factor = properties.time_base / unit
        self._times = None if times is None else [*apart(round(time * factor) for time in times)]
        self.time_base = unit
        self.last_duration = max(1, round(last_seconds(properties) / unit)) if is_held else None
        """Duration of the last frame in units of `time_base`; None if it is not known or is lost."""

    def timestamp(self, index: int) -> int:
        """Timestamp of frame `index`, in units of `time_base`."""
        return round(index * self._period) if self._times is None else self._times[index]


def _longest_step(times: tuple[int, ...]) -> int:
    return max((later - early for early, later in pairwise(times)), default=0)


def _fits(unit: Fraction, longest: Fraction) -> bool:
    """Whether FFmpeg can hold the unit, and a frame that lasts `longest` seconds in it."""
    timescale = unit.denominator
    while timescale < _LEAST_TIMESCALE:
        timescale *= 2
    return max(unit.as_integer_ratio()) <= LARGEST_TERM and longest * timescale <= _MOST_UNITS


def _coarser_unit(longest: Fraction) -> Fraction:
    """The finest decimal unit, from microseconds to seconds, in which a frame may last `longest` seconds."""
    for microseconds in (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000):
        unit = microseconds * _FINEST_UNIT
        if longest <= unit * _MOST_UNITS:
            return unit
    raise OverflowError
