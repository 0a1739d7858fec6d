"""Properties of a video besides its pixels, and decoded clips that carry them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bitstream.header import ColorTags, SourcePart, StreamHeader
from bitstream.light import ContentLight, MasteringDisplay
from inrcodec.samples import Samples, coded_depth

LARGEST_TERM = 2**31 - 1
"""Largest numerator or denominator of a fraction in FFmpeg; a stream header allows 2^32-1."""


@dataclass(frozen=True)
class VideoProperties:
    """Size, timing and colour of a video, as stored in the stream header."""

    width: int
    """Display width, pixels."""
    height: int
    """Display height, pixels."""
    frame_count: int
    frame_rate: Fraction
    """Frames per second."""
    time_base: Fraction
    """Unit of the source's timestamps, seconds."""
    sample_aspect_ratio: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    rotation: int = 0
    """Degrees clockwise to turn a frame for display; 0 for sources, whose frames are turned when read."""
    bit_depth: int = 8
    """Bits per sample of the frames: 8 or 10."""
    color: ColorTags = field(default_factory=ColorTags)
    timestamps: tuple[int, ...] | None = None
    """Timestamp of each frame, in units of the time base from 0 on; None at a constant frame rate."""
    last_duration: int | None = None
    """Duration of the last frame in units of the time base; None if it lasts 1 / `frame_rate`."""
    part: SourcePart | None = None
    """The part of the source that the frames are; None for the whole source, or if it is unknown."""
    mastering_display: MasteringDisplay | None = None
    """The display on which an HDR video was graded; None if it is unknown."""
    content_light: ContentLight | None = None
    """Light levels of an HDR video; None if they are unknown."""


@dataclass(frozen=True)
class Window:
    """The stretch of a video that selected frames cover, in seconds on the video's own clock."""

    start: Fraction = Fraction(0)
    """Time of the first selected frame, which becomes time 0."""
    begins_inside: bool = False
    """Whether the video has frames before it."""
    stop: Fraction | None = None
    """Time of the frame after the last selected one; None if the video ends with that one."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Decoded frames in display order."""

    frames: Samples
    """RGB, (T, height, width, 3), uint8 or of 10 bits as uint16."""
    properties: VideoProperties
    window: Window = Window()
    """Where the frames lie in the source."""
    keep: NDArray[np.bool_] | None = None
    """False in the holes of a mask, (1 or T, height, width); None without a mask."""

    @property
    def masked_share(self) -> float:
        """Share of all pixels that lie in holes, 0 to 1."""
        return 0.0 if self.keep is None else 1.0 - float(self.keep.mean())

    def keep_of(self, frames: slice | NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """`keep` of the given frames, (B, height, width)."""
        return None if self.keep is None else np.broadcast_to(self.keep, self.frames.shape[:3])[frames]


def part_properties(properties: VideoProperties, frames: range) -> VideoProperties:
    """Properties of the segment `frames`; its times are kept only if it is the whole video."""
    if len(frames) == properties.frame_count:
        return properties
    return replace(
        properties,
        frame_count=len(frames),
        timestamps=None,
        last_duration=None,
        part=None,
        mastering_display=None,
        content_light=None,
    )


def properties_of(header: StreamHeader) -> VideoProperties:
    """The video properties stored in a stream header."""
    found = VideoProperties(**{one.name: getattr(header, one.name) for one in fields(VideoProperties)})
    return replace(found, bit_depth=coded_depth(header.bit_depth))


def header_of(properties: VideoProperties, coded_size: tuple[int, int]) -> StreamHeader:
    """The stream header of a video whose network renders frames of `coded_size` (width, height) pixels."""
    common = {one.name: getattr(properties, one.name) for one in fields(VideoProperties)}
    return StreamHeader(coded_width=coded_size[0], coded_height=coded_size[1], **common)


def displayed(properties: VideoProperties) -> VideoProperties:
    """Properties of the frames turned upright: a quarter turn swaps width and height."""
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
