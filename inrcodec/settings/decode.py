"""Settings of `inrc decode`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from inrcodec.errors import UsageError
from inrcodec.settings.source import FrameRange, TimeRange

if TYPE_CHECKING:
    from bitstream.limits import Limits

MOST_FPS_SCALE = 64
"""Largest factor on the frame rate: 24 fps become 1536."""


@dataclass(frozen=True)
class DecodeSettings:
    """The settings of `inrc decode`.

    The constructor raises `UsageError` for settings that contradict each other and for a bad `fps_scale`.
    """

    frames: FrameRange = FrameRange()
    at_seconds: Fraction | float | None = None
    """Only the frame shown at this time in seconds after the first frame; replaces `frames`."""
    times: TimeRange | None = None
    """Only the frames that begin in these times; replaces `frames`."""
    skip_damaged: bool = False
    """Decode the intact part of a damaged or unfinished file, with frozen frames for the rest."""
    device: str = "auto"
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`."""
    fps_scale: int = 1
    """K multiplies the frame rate by K: K - 1 frames are interpolated between two coded ones."""
    audio: bool = True
    """Whether audio and subtitles are copied into video files."""
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False
    limits: Limits | None = None
    """Limits on the work and memory that the file asks for; None for the defaults."""

    def __post_init__(self) -> None:
        if self.at_seconds is not None and (self.frames != FrameRange() or self.times is not None):
            raise UsageError("--at and --frames exclude each other; give one of them")
        if self.times is not None and self.frames != FrameRange():
            raise UsageError("frames are selected by number or by time, not by both")
        if self.at_seconds is not None and self.fps_scale != 1:
            raise UsageError(
                "--at gives one frame, and --fps-scale interpolates between several; give one of them"
            )
        if not 1 <= self.fps_scale <= MOST_FPS_SCALE:
            raise UsageError(
                f"--fps-scale: expected a whole number from 1 to {MOST_FPS_SCALE}, found {self.fps_scale}"
            )
