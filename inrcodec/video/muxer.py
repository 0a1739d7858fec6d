"""Sound, subtitles, chapters and tags into a video file, packet by packet, without re-encoding."""

from __future__ import annotations

import heapq
import io
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from bitstream import Chapter, Extras, Packet, Track, TrackInfo, TrackKind
from inrcodec.errors import OutputError
from inrcodec.progress import Progress

_TS_NONSTRICT = 0x20000
"""FFmpeg's flag of the containers whose decoding times may repeat."""
_PLAY_FROM_FRAME_0 = ("mp4", "mov")
"""Containers whose edit lists begin with the first frame; in the others it comes later."""
_PRIMING_SECONDS = Fraction(1, 10)
"""Sound before the first frame that may be the priming samples of a codec, which nobody hears."""
_MOST_INT32 = (1 << 31) - 1


class _TimedTrack:
    """A track that was given a stream of the output."""

    def __init__(self, track: Track, stream: Stream, written_base: Fraction | None) -> None:
        """`written_base` is the output's time base if its times must grow, else None."""
        self._step = 0 if written_base is None else math.ceil(written_base / track.info.time_base)
        self.track = track
        self.stream = stream

        self.dropped = 0
        """Packets that were left out so far."""

    def timed_packets(self) -> Iterator[tuple[Fraction, int, Packet]]:
        """Decoding time in seconds, index of the stream and packet; times that fall are left out.

        Subtitles may begin together in every container, sound in Matroska only; elsewhere FFmpeg wants
        times that grow, and a packet that has the time of the one before comes a unit later.
        """
        last: int | None = None
        least = -math.inf
        for packet in self.track.packets:
            if packet.dts > packet.pts or (last is not None and packet.dts < last):
                self.dropped += 1
                continue
            last = packet.dts
            if packet.dts < least:
                dts = int(least)
                packet = packet._replace(dts=dts, pts=max(packet.pts, dts))
            least = packet.dts + self._step
            yield packet.dts * self.track.info.time_base, self.stream.index, packet


class HeldPackets:
    """Packets of an encoder that wait, in a file, until the tracks beside them are known."""

    def __init__(self, folder: Path) -> None:
        """Raises `OSError`."""
        self._file = tempfile.TemporaryFile(dir=folder)
        self._heads: list[tuple[int, int | None, int | None, int | None, bool, Fraction]] = []

    def add(self, packets: list[av.Packet[VideoStream]]) -> None:
        """Take over the next packets. Raises `OSError`."""
        for packet in packets:
            times = (packet.pts, packet.dts, packet.duration)
            self._heads.append(
                (self._file.write(bytes(packet)), *times, packet.is_keyframe, packet.time_base)
            )

    def mux(self, container: OutputContainer, stream: VideoStream, tracks: TrackMuxer) -> None:
        """Mux all of them as packets of `stream`, and the tracks among them."""
        self._file.seek(0)
        for size, pts, dts, duration, is_key, time_base in self._heads:
            packet: av.Packet[Stream] = av.Packet(self._file.read(size))
            packet.stream, packet.time_base = stream, time_base
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            packet.is_keyframe = is_key
            container.mux_one(packet)
            tracks.mux_until(None if dts is None else dts * time_base)

    def close(self) -> None:
        """Drop the file."""
        self._file.close()


class TrackMuxer:
    """Adds tracks to a container that was opened for writing and muxes their packets among the frames.

    What the container cannot hold is told to `progress` and left out. Everything must be set up before the
    first packet of any stream is muxed.
    """

    def __init__(self, container: OutputContainer, target: str, extras: Extras, progress: Progress) -> None:
        self._container = container
        self._target = target
        self._progress = progress
        may_repeat = bool(container.format.flags & _TS_NONSTRICT)
        self._tracks: dict[int, _TimedTrack] = {}
        for track in extras.tracks:
            try:
                stream, written_base = _add_stream(container, track)
            except (ValueError, OverflowError, av.FFmpegError):
                progress.note(f"a track of {_name(track.info)} is dropped: {target} cannot hold it")
                continue
            self._tracks[stream.index] = _TimedTrack(
                track, stream, None if may_repeat or track.info.kind == TrackKind.SUBTITLE else written_base
            )
        self._packets = heapq.merge(
            *(track.timed_packets() for track in self._tracks.values()), key=lambda timed: timed[0]
        )
        self._next = next(self._packets, None)
        container.metadata.update(extras.tags)
        chapters = [chapter for chapter in extras.chapters if _is_possible(chapter)]
        if len(chapters) < len(extras.chapters):
            progress.note(
                f"{len(extras.chapters) - len(chapters)} chapters are dropped: they end before they begin, "
                "or later than FFmpeg can say"
            )
        if chapters:
            container.set_chapters([_as_pyav(number, chapter) for number, chapter in enumerate(chapters, 1)])
        self._note_what_is_not_played()

    def _note_what_is_not_played(self) -> None:
        """Say how much sound comes before the first frame in a container that does not play it."""
        if self._container.format.name not in _PLAY_FROM_FRAME_0:
            return
        for timed in self._tracks.values():
            info, first = timed.track.info, timed.track.packets[:1]
            if info.kind == TrackKind.AUDIO and first and -first[0].pts * info.time_base > _PRIMING_SECONDS:
                seconds = float(-first[0].pts * info.time_base)
                self._progress.note(
                    f"{seconds:.2f} s of {_name(info)} come before the first frame, which players of "
                    f"{self._target} leave out; .mkv keeps them"
                )

    def mux_until(self, seconds: Fraction | None) -> None:
        """Mux the packets up to this time, or all that are left. Raises `OutputError`."""
        while self._next is not None and (seconds is None or self._next[0] <= seconds):
            _, index, packet = self._next
            timed = self._tracks[index]
            try:
                self._container.mux_one(_muxed(packet, timed.stream, timed.track.info.time_base))
            except (av.FFmpegError, OverflowError) as error:
                raise OutputError(
                    f"cannot write {self._target}: at a packet of {_name(timed.track.info)}: "
                    f"{getattr(error, 'strerror', None) or error}; --no-audio leaves sound and subtitles out"
                ) from error
            self._next = next(self._packets, None)
        if seconds is None:
            for timed in self._tracks.values():
                if timed.dropped:
                    name = _name(timed.track.info)
                    self._progress.note(f"{timed.dropped} packets of {name} are dropped: their times fall")


def _name(info: TrackInfo) -> str:
    return f"{info.codec} ({TrackKind(info.kind).name.lower()})"


def _is_possible(chapter: Chapter) -> bool:
    """Whether it ends after it begins, within 2^31 seconds: FFmpeg counts nanoseconds in 64 bits."""
    return 0 <= chapter.start <= chapter.end and chapter.end * chapter.time_base <= _MOST_INT32


def _as_pyav(number: int, chapter: Chapter) -> Any:
    """A chapter as PyAV has it; in microseconds if its time base is beyond FFmpeg's 32 bits."""
    time_base, start, end = chapter.time_base, chapter.start, chapter.end
    if max(time_base.as_integer_ratio()) > _MOST_INT32:
        start, end = (round(time * time_base * av.time_base) for time in (start, end))
        time_base = Fraction(1, av.time_base)
    times = {"start": start, "end": end, "time_base": time_base}
    return {"id": number, **times, "metadata": dict(chapter.metadata)}


def _muxed(packet: Packet, stream: Stream, time_base: Fraction) -> av.Packet[Stream]:
    """The packet as PyAV has it, for a stream of the output."""
    muxed: av.Packet[Stream] = av.Packet(packet.data)
    muxed.stream, muxed.time_base = stream, time_base
    muxed.pts, muxed.dts, muxed.duration = packet.pts, packet.dts, packet.duration
    muxed.is_keyframe = packet.is_key
    return muxed


def _add_stream(container: OutputContainer, track: Track) -> tuple[Stream, Fraction]:
    """A stream for packets of `track`, and the time base that they get in the file.

    Raises `ValueError`, `OverflowError` or an error of PyAV where the container refuses them.

    PyAV muxes without an encoder only what has a template, so a stream that is thrown away is made first,
    and its copy then gets the parameters. A rehearsal writes a file of this track's first packet alone,
    because a container that has a stream which it refuses cannot be written any more.
    """
    name, info = container.format.name, track.info
    with av.open(io.BytesIO(), "w", format=name) as scratch:
        template = scratch.add_stream(info.codec)
        if template.type != TrackKind(info.kind).name.lower():
            raise ValueError(f"{info.codec} is no codec of this kind of track")
        with av.open(io.BytesIO(), "w", format=name) as rehearsal:
            stream = rehearsal.add_stream_from_template(template, opaque=True)
            _set_parameters(stream, info)
            rehearsal.start_encoding()
            written_base = stream.time_base or info.time_base
            for packet in track.packets[:1]:
                first = packet._replace(dts=min(packet.pts, packet.dts))
                rehearsal.mux_one(_muxed(first, stream, info.time_base))
        stream = container.add_stream_from_template(template, opaque=True)
    _set_parameters(stream, info)
    return stream, written_base


def _set_parameters(stream: Stream, info: TrackInfo) -> None:
    """Raises `ValueError` or `OverflowError` for what FFmpeg does not know."""
    stream.time_base = info.time_base
    stream.disposition = Disposition(info.disposition)
    stream.metadata.update(info.metadata)
    context = stream.codec_context
    context.time_base = info.time_base
    context.bit_rate = info.bit_rate
    context.extradata = info.extradata or None
    if isinstance(stream, AudioStream):
        audio = stream.codec_context
        audio.sample_rate = info.sample_rate
        if info.layout:
            audio.layout = info.layout
        if info.sample_format:
            audio.format = info.sample_format
