"""Data carried unchanged beside the video: audio and subtitle packets, chapters, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Self

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.records import (
    Blob,
    PositiveRational,
    Record,
    Sequence,
    Varint,
    read_count,
    record_bytes,
    require_within,
    wire,
)
from bitstream.texts import Text, Texts, read_texts, write_texts

EXTRA_TYPES = (b"tags", b"chap", b"vtag", b"trak", b"pads")
"""Ancillary block types that make up `Extras`."""
_TIME_BOUND = 1 << 60
"""Exclusive bound of timestamps and durations, so that sums of a few fit into 64 bits."""
_LEAST_PACKET_BYTES = 5


@dataclass(frozen=True)
class Time:
    """A signed timestamp with a magnitude below 2^60 units."""

    def check(self, value: Any) -> int:
        if not isinstance(value, int) or abs(value) >= _TIME_BOUND:
            raise ValueError(f"expected a time within 2^60 units, found {value!r}")
        return value

    def write(self, writer: Writer, value: int) -> None:
        writer.signed_varint(value)

    def read(self, reader: Reader) -> int:
        return reader.signed_varint()


class TrackKind(IntEnum):
    """The kind of a track; values are wire ids."""

    AUDIO = 0
    SUBTITLE = 1


@dataclass(frozen=True)
class TrackInfo(Record):
    """Codec parameters of a track, with FFmpeg's names and numbers."""

    kind: int = wire(Varint(0, max(TrackKind)))
    codec: str = wire(Text("max_metadata_bytes"))
    """Codec name such as `aac`, `opus`, `subrip`."""
    time_base: Fraction = wire(PositiveRational())
    """Unit of the packets' times, in seconds."""
    metadata: Mapping[str, str] = wire(Texts())
    """`language`, `title` and the like."""
    sample_rate: int = wire(Varint(), 0)
    """Hz; 0 for subtitles."""
    layout: str = wire(Text("max_metadata_bytes"), "")
    """Channel layout such as `stereo` or `5.1(side)`; empty for subtitles."""
    sample_format: str = wire(Text("max_metadata_bytes"), "")
    """Sample format of the decoded audio, such as `fltp`; empty for subtitles."""
    bit_rate: int = wire(Varint(), 0)
    """Bitrate in bits per second as the source declares it, else 0."""
    disposition: int = wire(Varint(), 0)
    """FFmpeg's flags: 1 default, 2 dub, 64 forced, ..."""
    extradata: bytes = wire(Blob("max_extradata_bytes"), b"")
    """The codec's global header."""


class Packet(NamedTuple):
    """One coded packet. Times are in units of the track's time base, from the start of the first frame."""

    pts: int
    dts: int
    duration: int
    is_key: bool
    data: bytes


@dataclass(frozen=True)
class Padding(Record):
    """Decoded samples of each channel that a player leaves out, as those that only fill the decoder."""

    start: int = wire(Varint(), 0)
    """Samples before the first one that is played."""
    end: int = wire(Varint(), 0)
    """Samples after the last one that is played."""


NO_PADDING = Padding()


@dataclass(frozen=True)
class PaddingList(Record):
    """The payload of a `pads` block."""

    paddings: tuple[Padding, ...] = wire(Sequence(Padding, "max_tracks", least_bytes=2))


@dataclass(frozen=True)
class Track:
    """An audio or subtitle stream, with its packets in the order of the source."""

    info: TrackInfo
    packets: tuple[Packet, ...]
    padding: Padding = NO_PADDING
    """Stored in a `pads` block."""

    def write(self, writer: Writer) -> None:
        """Append the payload of a `trak` block. Raises ValueError for bad packets or beyond the limits."""
        begin = len(writer)
        require_within("max_packets", len(self.packets))
        require_within("max_block_bytes", sum(len(packet.data) for packet in self.packets))
        self.info.write(writer)
        writer.varint(len(self.packets))
        expected, last_duration = 0, 0
        for packet in self.packets:
            times = (packet.pts, packet.dts, packet.duration)
            if not packet.data or packet.duration < 0 or max(map(abs, times)) >= _TIME_BOUND:
                raise ValueError(f"expected a packet with data and times within 2^60, found {times}")
            writer.signed_varint(packet.pts - expected)
            writer.signed_varint(packet.pts - packet.dts)
            writer.signed_varint(packet.duration - last_duration)
            writer.varint(2 * len(packet.data) + packet.is_key)
            writer.raw(packet.data)
            expected, last_duration = packet.pts + packet.duration, packet.duration
        require_within("max_block_bytes", len(writer) - begin)

    @classmethod
    def read(cls, reader: Reader, counted_packets: int = 0) -> Self:
        """Read the payload of a `trak` block to its end. Raises `BitstreamError`.

        `counted_packets` are those of the file's earlier tracks.
        """
        info = TrackInfo.read(reader)
        packets: list[Packet] = []
        expected, last_duration = 0, 0
        for _ in range(read_count(reader, "max_packets", _LEAST_PACKET_BYTES, counted_packets)):
            start = reader.offset
            pts = expected + reader.signed_varint()
            # Equal numbers share one object, because there may be millions of packets.
            delay, longer = reader.signed_varint(), reader.signed_varint()
            dts = pts - delay if delay else pts
            duration = last_duration + longer if longer else last_duration
            size, is_key = divmod(reader.varint(), 2)
            if size == 0 or duration < 0 or max(abs(pts), abs(dts), duration) >= _TIME_BOUND:
                raise reader.fault(Corrupt, "expected a packet with data and times within 2^60", start)
            packets.append(Packet(pts, dts, duration, bool(is_key), bytes(reader.raw(size))))
            expected, last_duration = pts + duration, duration
        reader.expect_end()
        return cls(info, tuple(packets))


@dataclass(frozen=True)
class Chapter(Record):
    """A chapter from `start` to `end`, in units of its time base from the start of the first frame."""

    time_base: Fraction = wire(PositiveRational())
    start: int = wire(Time())
    end: int = wire(Time())
    metadata: Mapping[str, str] = wire(Texts())


@dataclass(frozen=True)
class ChapterList(Record):
    """The payload of a `chap` block."""

    chapters: tuple[Chapter, ...] = wire(Sequence(Chapter, "max_chapters", least_bytes=5))


@dataclass(frozen=True)
class Extras:
    """Everything carried beside the video."""

    tracks: tuple[Track, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the whole file: `title`, `artist` and the like."""
    video_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the video stream: `title` and `language`."""

    @cached_property
    def payload_sizes(self) -> tuple[int, ...]:
        """Payload bytes of each block that stores these extras. Raises ValueError beyond the limits."""
        return tuple(len(payload) for _, payload in extras_blocks(self))


def extras_blocks(extras: Extras) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and payload of each block that stores `extras`. Raises ValueError beyond the limits."""
    require_within("max_tracks", len(extras.tracks))
    require_within("max_packets", sum(len(track.packets) for track in extras.tracks))
    if extras.tags:
        yield b"tags", encode_metadata(extras.tags)
    if extras.chapters:
        yield b"chap", record_bytes(ChapterList(extras.chapters))
    if extras.video_tags:
        yield b"vtag", encode_metadata(extras.video_tags)
    for track in extras.tracks:
        writer = Writer()
        track.write(writer)
        yield b"trak", writer.getvalue()
    if any(track.padding != NO_PADDING for track in extras.tracks):
        yield b"pads", record_bytes(PaddingList(tuple(track.padding for track in extras.tracks)))


def read_chapters(reader: Reader) -> tuple[Chapter, ...]:
    """Read the payload of a `chap` block to its end."""
    chapters = ChapterList.read(reader).chapters
    reader.expect_end()
    return chapters


def read_paddings(reader: Reader) -> tuple[Padding, ...]:
    """Read the payload of a `pads` block to its end."""
    paddings = PaddingList.read(reader).paddings
    reader.expect_end()
    return paddings


def encode_metadata(metadata: Mapping[str, str]) -> bytes:
    """Return keys and texts as the payload of a `meta` block. Raises ValueError beyond the limits."""
    writer = Writer()
    write_texts(writer, metadata)
    check_metadata(metadata, len(writer))
    return writer.getvalue()


def check_metadata(metadata: Mapping[str, str], size: int, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raise ValueError for a `meta` block that a reader may refuse; `size` is its payload in bytes."""
    if len(metadata) > limits.max_metadata_entries or size > limits.max_metadata_bytes:
        raise ValueError(
            f"expected at most {limits.max_metadata_entries} entries and {limits.max_metadata_bytes} bytes "
            f"of metadata, found {len(metadata)} and {size}"
        )


def read_metadata(reader: Reader) -> dict[str, str]:
    """Read the payload of a `meta` block to its end."""
    reader.check_limit("max_metadata_bytes", reader.remaining)
    metadata = read_texts(reader)
    reader.expect_end()
    return metadata
