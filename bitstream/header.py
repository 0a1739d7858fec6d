"""The records of a file: stream header, segments, sections, index and quality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from bitstream.extras import EXTRA_TYPES, Extras
from bitstream.fields import MAX_U32, MAX_U64, Reader, Writer
from bitstream.light import ContentLight, MasteringDisplay
from bitstream.records import (
    U64,
    Blob,
    Byte,
    Flag,
    Nested,
    PositiveRational,
    QuarterTurns,
    Record,
    Sequence,
    Steps,
    Varint,
    wire,
)

KNOWN_ANCILLARY_TYPES = (b"qual", b"meta", b"last", b"part", b"mdcv", b"clli")
TIMESTAMP_BOUND = 1 << 60
"""Exclusive bound of timestamps, in units of the time base."""


def is_block_type(name: bytes) -> bool:
    """Whether this is a block type: four ASCII letters."""
    return len(name) == 4 and name.isalpha() and name.isascii()


def is_ancillary(name: bytes) -> bool:
    """Whether a reader may skip a block of this type: its first letter is lower case."""
    return name[:1].islower()


@dataclass(frozen=True)
class ColorTags(Record):
    """Colour code points of ITU-T H.273; 2 is "unspecified"."""

    primaries: int = wire(Byte(), 2)
    transfer: int = wire(Byte(), 2)
    matrix: int = wire(Byte(), 2)
    full_range: bool = wire(Flag(), False)


@dataclass(frozen=True)
class SourcePart(Record):
    """The part of the source that the frames are. Frame `i` is frame `first_frame + i * every` of it.

    Its frames were cropped, then scaled. Sizes and offsets are in pixels.
    """

    first_frame: int = wire(Varint(), 0)
    every: int = wire(Varint(1), 1)
    stream: int = wire(Varint(), 0)
    """0 for the video stream with the largest pictures, else 1 + the number of the stream."""
    bit_depth: int = wire(Byte(0, 16), 0)
    """Bits per component to which the source was reduced; 0 if it was not."""
    crop_width: int = wire(Varint(), 0)
    """0 if the frames were not cropped."""
    crop_height: int = wire(Varint(), 0)
    crop_x: int = wire(Varint(), 0)
    """0 for the centre, else 1 + the number of columns left of the crop."""
    crop_y: int = wire(Varint(), 0)
    """0 for the centre, else 1 + the number of rows above the crop."""
    scale_width: int = wire(Varint(), 0)
    """0 if the frames were not scaled."""
    scale_height: int = wire(Varint(), 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for pair in ("crop_width crop_height", "crop_x crop_y", "scale_width scale_height"):
            one, other = pair.split()
            if (getattr(self, one) == 0) != (getattr(self, other) == 0):
                raise ValueError(f"SourcePart: expected {one} and {other} both 0 or both above 0")


@dataclass(frozen=True)
class StreamHeader(Record):
    """The video as a whole. Sizes are in pixels, `rotation` is in degrees clockwise for display.

    Frame `i` is shown at `i / frame_rate` seconds or, with `timestamps`, at `timestamps[i] * time_base`.
    `time_base` is the source's unit of time, in seconds. The network puts out frames of the coded size; the
    display frame is the top left part.
    """

    width: int = wire(Varint(1, limit="max_dimension"))
    height: int = wire(Varint(1, limit="max_dimension"))
    coded_width: int = wire(Varint(1, limit="max_dimension"))
    coded_height: int = wire(Varint(1, limit="max_dimension"))
    frame_count: int = wire(Varint(1, limit="max_frames"))
    frame_rate: Fraction = wire(PositiveRational())
    time_base: Fraction = wire(PositiveRational())
    sample_aspect_ratio: Fraction = wire(PositiveRational(), Fraction(1))
    rotation: int = wire(QuarterTurns(), 0)
    bit_depth: int = wire(Byte(8, 16), 8)
    color: ColorTags = wire(Nested(ColorTags), ColorTags())
    timestamps: tuple[int, ...] | None = None
    """One per frame, rising from 0, stored in the TIME block; None for a constant frame rate."""
    last_duration: int | None = None
    """Duration of the last frame in units of `time_base`, stored in `last`; None means 1 / `frame_rate`."""
    part: SourcePart | None = None
    """The part of the source, stored in `part`; None for the whole source, or if it is unknown."""
    mastering_display: MasteringDisplay | None = None
    """Stored in `mdcv`; None if it is unknown."""
    content_light: ContentLight | None = None
    """Stored in `clli`; None if it is unknown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last_duration is not None and not 1 <= self.last_duration < TIMESTAMP_BOUND:
            raise ValueError(f"StreamHeader: expected a duration below 2^60, found {self.last_duration}")
        times = self.timestamps
        if times is not None and (len(times) != self.frame_count or times[0] != 0):
            raise ValueError(f"StreamHeader: expected {self.frame_count} times from 0, found {len(times)}")
        if self.coded_width < self.width or self.coded_height < self.height:
            raise ValueError(
                f"StreamHeader: expected a coded size of at least {self.width}x{self.height}, "
                f"found {self.coded_width}x{self.coded_height}"
            )


@dataclass(frozen=True)
class Section(Record):
    """One transmitted tensor: wire id of its coder, quantisation steps and coded symbols.

    `steps` are float32: empty for integer-valued tensors, else one per tensor or one per row.
    """

    coder: int = wire(Byte())
    steps: tuple[float, ...] = wire(Steps("max_steps"))
    payload: bytes = wire(Blob("max_block_bytes"))


@dataclass(frozen=True)
class Segment(Record):
    """A run of frames and the network that renders them; it decodes without any other segment.

    `family` is the wire id of the model family (0 is for examples and tests). Only that family reads
    `config`.
    """

    first_frame: int = wire(Varint(limit="max_frames"))
    frame_count: int = wire(Varint(1, limit="max_frames"))
    family: int = wire(Byte())
    seed: int = wire(U64())
    config: bytes = wire(Blob("max_config_bytes"))
    sections: tuple[Section, ...] = wire(Sequence(Section, "max_sections", least_bytes=3))


@dataclass(frozen=True)
class IndexEntry(Record):
    """Offset and length in bytes of a segment's block, and the frames of the segment."""

    offset: int = wire(Varint(maximum=MAX_U64))
    length: int = wire(Varint(maximum=MAX_U64))
    first_frame: int = wire(Varint(limit="max_frames"))
    frame_count: int = wire(Varint(1, limit="max_frames"))


@dataclass(frozen=True)
class Index(Record):
    """One entry per segment in the order of the file."""

    entries: tuple[IndexEntry, ...] = wire(Sequence(IndexEntry, "max_segments", least_bytes=4))


@dataclass(frozen=True)
class Millidecibels:
    """Decibels as a u32 of thousandths; 2^32-1 stands for infinity (a lossless file).

    The width is fixed because the value is written after the file was decoded and must not change
    the file's size.
    """

    def check(self, value: float) -> float:
        if value == math.inf:
            return math.inf
        if not 0 <= value * 1000 <= MAX_U32 - 1:
            raise ValueError(f"expected 0..4294967.294 dB or infinity, found {value!r}")
        return round(value * 1000) / 1000

    def write(self, writer: Writer, value: float) -> None:
        writer.u32(MAX_U32 if value == math.inf else round(value * 1000))

    def read(self, reader: Reader) -> float:
        stored = reader.u32()
        return math.inf if stored == MAX_U32 else stored / 1000


@dataclass(frozen=True)
class Quality(Record):
    """The PSNR in decibels that the encoder measured on the decoded file."""

    psnr_db: float = wire(Millidecibels())


@dataclass(frozen=True)
class Stream:
    """A whole file: what `load` returns and `dump` writes.

    `ancillary` holds blocks of unknown ancillary types as (type, payload), in the order of the
    file; `load` keeps them and `dump` writes them back.
    """

    header: StreamHeader
    segments: tuple[Segment, ...]
    quality: Quality | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    ancillary: tuple[tuple[bytes, bytes], ...] = ()
    extras: Extras = field(default_factory=Extras)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        object.__setattr__(
            self, "ancillary", tuple((bytes(name), bytes(data)) for name, data in self.ancillary)
        )
        fault = tiling_fault([(s.first_frame, s.frame_count) for s in self.segments], self.header.frame_count)
        if fault is not None:
            raise ValueError(f"Stream.segments: {fault}")
        for name, _ in self.ancillary:
            is_known = name in (*KNOWN_ANCILLARY_TYPES, *EXTRA_TYPES)
            if not is_block_type(name) or not is_ancillary(name) or is_known:
                raise ValueError(f"Stream.ancillary: expected an unknown ancillary type, found {name!r}")


def tiling_fault(runs: list[tuple[int, int]], frame_count: int) -> str | None:
    """Why runs of (first frame, frames) do not cover 0..frame_count exactly, or None if they do."""
    expected_first = 0
    for number, (first_frame, frames) in enumerate(runs):
        if first_frame != expected_first:
            return f"expected segment {number} to start at frame {expected_first}, found {first_frame}"
        expected_first += frames
    if expected_first != frame_count:
        return f"expected segments for {frame_count} frames, found {expected_first}"
    return None


def read_stream_header(reader: Reader) -> StreamHeader:
    """Read the payload of a STRM block to its end, within the reader's limits."""
    start = reader.offset
    header = StreamHeader.read(reader)
    reader.check_limit("max_pixels", header.coded_width * header.coded_height, start)
    reader.expect_end()
    return header
