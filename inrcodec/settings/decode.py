"""Settings of `inrc decode`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from inrcodec.errors import UsageError
from inrcodec.settings.source import FrameRange

MOST_FPS_SCALE = 64
"""Most times the frames that a decode interpolates: 24 frames a second become 1536."""


@dataclass(frozen=True)
class DecodeSettings:
    """Everything `inrc decode` can be told.

    Making one raises `UsageError` for what contradicts itself, and for too many interpolated frames.
    """

    frames: FrameRange = FrameRange()
    at_seconds: Fraction | float | None = None
    """Only the frame that is shown at this time, counted from the first frame; in place of `frames`."""
    skip_damaged: bool = False
    """Decode what is intact of a damaged or unfinished file, with frozen frames for what is not."""
    device: str = "auto"
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`."""
    fps_scale: int = 1
    """K times as many frames a second: K - 1 are interpolated between two coded ones."""
    audio: bool = True
    """Sound and subtitles too, into video files."""
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.at_seconds is not None and self.frames != FrameRange():
            raise UsageError("--at and --frames exclude each other; give one of them")
        if self.at_seconds is not None and self.fps_scale != 1:
            raise UsageError(
                "--at gives one frame, and --fps-scale makes frames between several; give one of them"
            )
        if not 1 <= self.fps_scale <= MOST_FPS_SCALE:
            raise UsageError(
                f"--fps-scale: expected a whole number from 1 to {MOST_FPS_SCALE}, found {self.fps_scale}"
            )
