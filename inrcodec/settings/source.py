"""The part of a video to read: frames, crop, scale and stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SegmentRule = int | Literal["auto", "scene"]
"""How a video is cut into segments: a number of frames, or where memory needs it (`auto`), or at scene
changes too (`scene`)."""


@dataclass(frozen=True)
class FrameRange:
    """Frames `start` to `stop` (exclusive) of a video; None for `stop` means the end."""

    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Size:
    """Width and height of a frame, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class SourceSettings:
    """The part of the input video to encode: frames, then a centre crop, then scaling."""

    frames: FrameRange = FrameRange()
    crop: Size | None = None
    scale: Size | None = None
    bit_depth: int | None = None
    """8 reduces deeper sources to 8 bits per sample; None refuses them."""
    every: int = 1
    """N keeps only frames 0, N, 2N, ... of `frames`, at 1/N of the frame rate."""
    stream: int | None = None
    """Number of the video stream, from 0; None for the largest one with moving pictures."""
    audio: bool = True
    """Whether audio and subtitles are kept."""
