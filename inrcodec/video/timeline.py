"""One clock for a file whose times begin again or jump: recordings that were joined, packet after packet."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from heapq import heappush, heappushpop
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from bitstream import Packet
from inrcodec.video.demuxer import demux, open_input
from inrcodec.video.listing import list_streams

_JOINED_FORMATS = ("flv", "live_flv", "mpeg", "mpegts")
"""Formats whose files can be joined by writing one after the other, and whose clocks may start anew."""
_CLOCK = 90_000
"""Units per second of the clock on which all times below are."""
_LARGEST_STEP_BACK = _CLOCK // 10
"""A decoding time that is this much earlier than the last of its stream is of another part."""
_LARGEST_GAP = 10 * _CLOCK
"""Gap after the end of all streams that a part may have, as in FFmpeg; more where frames last long."""
_FRAMES_PER_GAP = 3
_LARGEST_OVERLAP = _CLOCK // 10
"""Time by which the sound of a part may begin before that of the last part ends."""
_REORDERED_PACKETS = 4096
"""Packets among which those of one part may come out of the demuxer after those of the next."""


class _Span(NamedTuple):
    """A packet on its stream's clock."""

    position: int
    """Byte of the file."""
    number: int
    """Place in the order of the demuxer."""
    stream: int
    begin: int
    end: int
    decoded: int


@dataclass
class _Part:
    """A run of packets on one clock."""

    position: int
    video: int
    """Number of the video's stream."""
    begins: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    decoded: dict[int, int] = field(default_factory=dict)
    """Last decoding time of each stream."""
    longest_frame: int | None = None
    """Longest time between two frames; None before the second."""

    def holds(self, span: _Span) -> bool:
        """Whether the packet continues the clock of this part."""
        last = self.decoded.get(span.stream)
        if last is None:
            return True
        if span.stream == self.video and self.longest_frame is None and span.decoded > last:
            return True
        gap = max(_LARGEST_GAP, _FRAMES_PER_GAP * (self.longest_frame or 0))
        return last - _LARGEST_STEP_BACK <= span.decoded <= max(self.ends.values()) + gap

    def add(self, span: _Span) -> None:
        if span.stream == self.video and span.stream in self.decoded:
            step = span.decoded - self.decoded[span.stream]
            self.longest_frame = max(step, self.longest_frame or 0)
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


def read_timeline(container: InputContainer, path: str, video: int) -> Timeline:
    """The parts of the file at `path`, by the times of stream number `video` and of the sound beside it.

    Only a file whose format, which the opened `container` tells, allows parts is read, and the last one only
    again if it changed. Raises as `open_input` does.
    """
    if container.format.name not in _JOINED_FORMATS:
        return Timeline()
    status = os.stat(path)
    return _timeline_of(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns), video)


@lru_cache(maxsize=1)
def _timeline_of(path: str, version: tuple[int, ...], video: int) -> Timeline:
    """The parts of the file in this `version`, which a whole pass finds out."""
    parts = [_Part(0, video)]
    with open_input(path) as container:
        for span in _in_file_order(_spans(container, video)):
            if not parts[-1].holds(span):
                parts.append(_Part(span.position, video))
            parts[-1].add(span)
    if len(parts) == 1:
        return Timeline()
    steps = [_step(before, part, video) for before, part in pairwise(parts)]
    length = sum(part.ends[video] - part.begins[video] for part in parts if video in part.ends)
    return Timeline(
        [part.position for part in parts],
        [Fraction(offset, _CLOCK) for offset in accumulate(steps, initial=0)],
        Fraction(length, _CLOCK),
    )


def _in_file_order(spans: Iterable[_Span]) -> Iterator[_Span]:
    """The packets by their places in the file, of which a demuxer's order differs a little."""
    waiting: list[_Span] = []
    for span in spans:
        if len(waiting) < _REORDERED_PACKETS:
            heappush(waiting, span)
        else:
            yield heappushpop(waiting, span)
    yield from sorted(waiting)


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
            if 0 <= delay * packet.time_base * _CLOCK <= _LARGEST_GAP:
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
        for number, (packet, position) in enumerate(_placed(demux(container, *streams))):
            begin = packet.dts if packet.pts is None else packet.pts
            if packet.size and begin is not None and packet.time_base is not None:
                decoded = begin if packet.dts is None else packet.dts
                times = (begin, begin + max(0, packet.duration or 0), decoded)
                over, under = (packet.time_base * _CLOCK).as_integer_ratio()
                units = (time * over // under for time in times)
                yield _Span(position, number, packet.stream_index, *units)
    except av.FFmpegError:
        # Whoever reads the packets themselves says that the file is damaged.
        return


def _step(before: _Part, part: _Part, video: int) -> int:
    """Time to add to the times of `part`, whose predecessor keeps its own.

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
