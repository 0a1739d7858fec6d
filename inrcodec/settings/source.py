"""Which part of a video is read: frames, crop, scale, stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SegmentRule = int | Literal["auto", "scene"]
"""How a video is cut: into so many frames, where memory needs it, or where scenes change too."""


@dataclass(frozen=True)
class FrameRange:
    """Frames `start` to `stop` (exclusive) of a video; `stop` None means to the end."""

    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Size:
    """Width and height of a frame, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class SourceSettings:
    """Which part of the input video is encoded: frames, then a centre crop, then a scale."""

    frames: FrameRange = FrameRange()
    crop: Size | None = None
    scale: Size | None = None
    bit_depth: int | None = None
    """8 reduces a deeper source; None refuses it."""
    every: int = 1
    """Only frames 0, N, 2N, ... of `frames`, at an N-th of the frame rate."""
    stream: int | None = None
    """Which of several video streams, from 0; None for the best."""
    audio: bool = True
    """Whether sound and subtitles are carried."""
