"""What is known about a video besides its pixels, and a run of frames with it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bitstream.header import ColorTags, StreamHeader

LARGEST_TERM = 2**31 - 1
"""Of a fraction in FFmpeg; those of a stream header go to 2^32-1."""


@dataclass(frozen=True)
class VideoProperties:
    """Size, timing and colour of a video, as the stream header keeps them."""

    width: int
    """Display width, pixels."""
    height: int
    """Display height, pixels."""
    frame_count: int
    frame_rate: Fraction
    """Frames a second."""
    time_base: Fraction
    """The unit of the source's timestamps, seconds."""
    sample_aspect_ratio: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    rotation: int = 0
    """Degrees clockwise to turn a frame for display; 0 here, because frames are turned as they are read."""
    bit_depth: int = 8
    color: ColorTags = field(default_factory=ColorTags)
    timestamps: tuple[int, ...] | None = None
    """Of each frame, in units of the time base from 0 on; None where the frame rate is constant."""


@dataclass(frozen=True)
class Window:
    """The stretch of a video that selected frames cover, in seconds on the video's own clock."""

    start: Fraction = Fraction(0)
    """When the first selected frame is shown; it becomes time 0."""
    begins_inside: bool = False
    """Whether there are frames before it."""
    stop: Fraction | None = None
    """When the frame after the last is shown; None where the video ends with the last."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Decoded frames in display order."""

    frames: NDArray[np.uint8]
    """RGB, (T, height, width, 3)."""
    properties: VideoProperties
    window: Window = Window()
    """Where the frames lie in the source."""
    keep: NDArray[np.bool_] | None = None
    """False in the holes of a mask, (1 or T, height, width); None where all pixels count."""

    @property
    def masked_share(self) -> float:
        """Share of the pixels of all frames that are in holes."""
        return 0.0 if self.keep is None else 1.0 - float(self.keep.mean())

    def keep_of(self, frames: slice | NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """`keep` of the given frames, (B, height, width)."""
        return None if self.keep is None else np.broadcast_to(self.keep, self.frames.shape[:3])[frames]


def part_properties(properties: VideoProperties, frames: range) -> VideoProperties:
    """Those of `frames` as one segment of several; times of frames are kept of the whole video only."""
    if len(frames) == properties.frame_count:
        return properties
    return replace(properties, frame_count=len(frames), timestamps=None)


def properties_of(header: StreamHeader) -> VideoProperties:
    """What a file says about its video."""
    return VideoProperties(**{one.name: getattr(header, one.name) for one in fields(VideoProperties)})


def header_of(properties: VideoProperties, coded_size: tuple[int, int]) -> StreamHeader:
    """The stream header of a video whose network renders frames of `coded_size` (width, height) pixels."""
    common = {one.name: getattr(properties, one.name) for one in fields(VideoProperties)}
    return StreamHeader(coded_width=coded_size[0], coded_height=coded_size[1], **common)


def displayed(properties: VideoProperties) -> VideoProperties:
    """The properties of frames that were turned upright: a quarter turn swaps width and height."""
    if properties.rotation % 180 == 0:
        return replace(properties, rotation=0)
    ratio = properties.sample_aspect_ratio
    return replace(
        properties,
        width=properties.height,
        height=properties.width,
        sample_aspect_ratio=1 / ratio if ratio else ratio,
        rotation=0,
    )
