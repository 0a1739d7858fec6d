"""One clock for a file whose times begin again or jump: recordings that were joined, packet after packet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from bitstream import Packet
from inrcodec.video.demuxer import demux, open_input
from inrcodec.video.listing import list_streams

_JOINED_FORMATS = ("mpeg", "mpegts")
"""Formats whose files can be joined by writing one after the other, and whose clocks may start anew."""
_LARGEST_STEP_BACK = Fraction(1, 10)
"""Seconds. A decoding time that is this much earlier than the last of its stream is of another part."""
_LARGEST_GAP = Fraction(10)
"""Seconds by which a decoding time of the same part may exceed the end of all streams, as in FFmpeg."""
_LARGEST_OVERLAP = Fraction(1, 10)
"""Seconds by which the sound of a part may begin before that of the last part ends."""


class _Span(NamedTuple):
    """A packet on its stream's clock; times are in seconds."""

    position: int
    """Byte of the file."""
    stream: int
    begin: Fraction
    end: Fraction
    decoded: Fraction


@dataclass
class _Part:
    """A run of packets on one clock."""

    position: int
    begins: dict[int, Fraction] = field(default_factory=dict)
    ends: dict[int, Fraction] = field(default_factory=dict)
    decoded: dict[int, Fraction] = field(default_factory=dict)
    """Last decoding time of each stream."""

    def holds(self, span: _Span) -> bool:
        """Whether the packet continues the clock of this part."""
        last = self.decoded.get(span.stream)
        if last is None:
            return True
        latest = max(self.ends.values())
        return last - _LARGEST_STEP_BACK <= span.decoded <= latest + _LARGEST_GAP

    def add(self, span: _Span) -> None:
        self.begins[span.stream] = min(span.begin, self.begins.get(span.stream, span.begin))
        self.ends[span.stream] = max(span.end, self.ends.get(span.stream, span.end))
        self.decoded[span.stream] = span.decoded


@dataclass(frozen=True)
class Timeline:
    """Where the parts of a file begin, and by how much each is moved to follow the one before it.

    The same seconds are added to the times of all streams, so that picture and sound stay in step.
    """

    positions: Sequence[int] = (0,)
    """Byte of the file at which each part begins."""
    offsets: Sequence[Fraction] = (Fraction(0),)
    """Seconds added to the times of each part."""
    video_seconds: Fraction = Fraction(0)
    """Duration of the video without the jumps, if there are any."""

    @property
    def is_joined(self) -> bool:
        return len(self.positions) > 1

    def move(self, packets: Iterable[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        """The packets in the order of the file, with times on one clock."""
        if not self.is_joined:
            yield from packets
            return
        for packet, position in _placed(packets):
            offset = self.offsets[bisect_right(self.positions, position) - 1]
            if offset and packet.time_base:
                ticks = round(offset / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts + ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
            yield packet


def read_timeline(path: str, video: int) -> Timeline:
    """The parts of the file at `path`, by the times of stream number `video` and of the sound beside it.

    Only files whose format allows it are read. Raises as `open_input` does.
    """
    with open_input(path) as container:
        if container.format.name not in _JOINED_FORMATS:
            return Timeline()
        spans = sorted(_spans(container, video), key=lambda span: span.position)
    parts = [_Part(0)]
    for span in spans:
        if not parts[-1].holds(span):
            parts.append(_Part(span.position))
        parts[-1].add(span)
    if len(parts) == 1:
        return Timeline()
    offsets = [Fraction(0)]
    for before, part in zip(parts, parts[1:], strict=False):
        offsets.append(offsets[-1] + _step(before, part, video))
    seconds = sum(part.ends[video] - part.begins[video] for part in parts if video in part.ends)
    return Timeline([part.position for part in parts], offsets, Fraction(seconds))


def _placed(packets: Iterable[av.Packet[Any]]) -> Iterator[tuple[av.Packet[Any], int]]:
    """Packets and their places in the file, in bytes.

    To the last frame of a part FFmpeg may give the time of the next part's first one. Such a frame is shown
    as soon after its decoding as the soonest of its stream.
    """
    positions: dict[int, int] = {}
    delays: dict[int, int] = {}
    for packet in packets:
        index = packet.stream_index
        positions[index] = positions.get(index, 0) if packet.pos is None else packet.pos
        if packet.pts is not None and packet.dts is not None and packet.time_base:
            delay = packet.pts - packet.dts
            if 0 <= delay * packet.time_base <= _LARGEST_GAP:
                delays[index] = min(delay, delays.get(index, delay))
            else:
                packet.pts = packet.dts + delays.get(index, 0)
        yield packet, positions[index]


def _spans(container: InputContainer, video: int) -> Iterator[_Span]:
    others = list_streams(container).other_programs(video)
    streams: list[VideoStream | AudioStream] = [
        *(stream for stream in container.streams.video if stream.index == video),
        *(stream for stream in container.streams.audio if stream.index not in others),
    ]
    try:
        for packet, position in _placed(demux(container, *streams)):
            unit, begin = packet.time_base, packet.dts if packet.pts is None else packet.pts
            if packet.size and begin is not None and unit is not None:
                decoded = begin if packet.dts is None else packet.dts
                end = begin + max(0, packet.duration or 0)
                yield _Span(position, packet.stream_index, begin * unit, end * unit, decoded * unit)
    except av.FFmpegError:
        # Whoever reads the packets themselves says that the file is damaged.
        return


def _step(before: _Part, part: _Part, video: int) -> Fraction:
    """Seconds to add to the times of `part`, whose predecessor keeps its own.

    The video goes on with its next frame. Only where the sound of the last part would be covered by more than
    a moment, the part begins later.
    """
    steps = [
        before.ends[stream] - begin - (0 if stream == video else _LARGEST_OVERLAP)
        for stream, begin in part.begins.items()
        if stream in before.ends
    ]
    return max(steps, default=max(before.ends.values()) - min(part.begins.values()))


def rising(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Packets of sound, each decoded after the one before it, where the parts of a file overlap."""
    last: int | None = None
    for packet in packets:
        late = 0 if last is None else max(0, last + 1 - packet.dts)
        last = packet.dts + late
        yield packet._replace(pts=packet.pts + late, dts=last) if late else packet
