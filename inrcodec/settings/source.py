"""The part of a video to read: frames, crop, scale and stream."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from inrcodec.errors import UsageError

SegmentRule = int | Literal["auto", "scene"]
"""How a video is cut into segments: a number of frames, or where memory needs it (`auto`), or at scene
changes too (`scene`)."""


@dataclass(frozen=True)
class FrameRange:
    """Frames `start` to `stop` (exclusive) of a video; None for `stop` means the end."""

    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class TimeRange:
    """Frames that begin at `start` seconds or later, and before `stop`; None for `stop` means the end.

    Times count from the first frame of the video.
    """

    start: Fraction | float = 0
    stop: Fraction | float | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            stop = "" if self.stop is None else f"{float(self.stop):g}s"
            raise UsageError(f"the range of times {float(self.start):g}s:{stop} is empty")


@dataclass(frozen=True)
class Size:
    """Width and height of a frame, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Crop(Size):
    """A rectangle of a frame: its size, and the pixels left of it (`x`) and above it (`y`)."""

    x: int
    y: int


@dataclass(frozen=True)
class SourceSettings:
    """The part of the input video to encode: frames, then a crop, then scaling.

    The constructor raises `UsageError` for settings that exclude each other.
    """

    frames: FrameRange = FrameRange()
    crop: Size | None = None
    """A `Size` keeps the centre of each frame, a `Crop` any other rectangle."""
    scale: Size | None = None
    """A width or height of -1 follows from the other one, so that pixels keep their shape; -2 also makes it
    even."""
    scale_share: Fraction | float | None = None
    """Scales both sides by this factor; replaces `scale`."""
    times: TimeRange | None = None
    """Selects frames by time; replaces `frames`."""
    bit_depth: int | None = None
    """The most bits per sample that are coded, 8 or 10; None is 10. Deeper sources are reduced."""
    every: int = 1
    """N keeps only frames 0, N, 2N, ... of `frames`, at 1/N of the frame rate."""
    stream: int | None = None
    """Number of the video stream, from 0; None for the largest one with moving pictures."""
    audio: bool = True
    """Whether audio and subtitles are kept."""

    def __post_init__(self) -> None:
        if self.times is not None and self.frames != FrameRange():
            raise UsageError("frames are selected by number or by time, not by both")
        if self.scale_share is not None and self.scale is not None:
            raise UsageError("frames are scaled to a size or by a factor, not by both")
