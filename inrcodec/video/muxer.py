"""Muxes audio, subtitles, chapters and tags into a video file, packet by packet, without re-encoding."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from bitstream import Chapter, Extras, Packet, Track, TrackInfo, TrackKind
from inrcodec.errors import OutputError
from inrcodec.progress import Progress
from inrcodec.video.output_tracks import add_stream, lasting, muxed_packet, timed_by_samples
from inrcodec.video.packets import PRIMED_CODECS
from inrcodec.video.tags import named_tags, needs_named_tags

_TS_NONSTRICT = 0x20000
"""FFmpeg's flag AVFMT_TS_NONSTRICT: the container allows equal decoding timestamps."""
PLAY_FROM_FRAME_0 = ("mp4", "mov")
"""Containers whose edit lists start playback at the first frame; the others also play what precedes it."""
_PRIMING_PACKETS = 2
"""Packets before the first frame that may only fill the decoder, where the source does not say."""
_UNHEARD_SECONDS = Fraction(1, 100)
"""A shift between sound and picture that nobody notices."""
_MATROSKA_UNIT = Fraction(1, 1000)
"""Seconds in which FFmpeg writes .mkv and .webm."""
_MOST_INT32 = (1 << 31) - 1


class _TimedTrack:
    """A track and its stream in the output."""

    def __init__(self, track: Track, stream: Stream, written_base: Fraction | None) -> None:
        """`written_base` is the output's time base if its timestamps must increase strictly, else None."""
        self._step = 0 if written_base is None else math.ceil(written_base / track.info.time_base)
        self.track = track
        self.stream = stream

        self.dropped = 0
        """Packets dropped so far."""

    def timed_packets(self) -> Iterator[tuple[Fraction, int, Packet, int]]:
        """Decoding time in seconds, stream index, packet, and how many of its last samples are not played.

        Packets whose dts decreases or exceeds their pts are dropped.

        Equal timestamps are allowed for subtitles in every container and for audio in Matroska. Elsewhere
        FFmpeg requires them to increase, so a packet that repeats one is moved a unit later.
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
            unplayed = self.track.padding.end if packet.data is self.track.packets[-1].data else 0
            yield packet.dts * self.track.info.time_base, self.stream.index, packet, unplayed


class HeldPackets:
    """Encoder packets that wait in a temporary file until the tracks beside them are known."""

    def __init__(self, folder: Path) -> None:
        """Create the file in `folder`. Raises `OSError`."""
        self._file = tempfile.TemporaryFile(dir=folder)
        self._heads: list[tuple[int, int | None, int | None, int | None, bool, Fraction]] = []

    def add(self, packets: list[av.Packet[VideoStream]]) -> None:
        """Append packets. Raises `OSError`."""
        for packet in packets:
            times = (packet.pts, packet.dts, packet.duration)
            self._heads.append(
                (self._file.write(bytes(packet)), *times, packet.is_keyframe, packet.time_base)
            )

    def mux(self, container: OutputContainer, stream: VideoStream, tracks: TrackMuxer) -> None:
        """Mux all packets into `stream`, interleaved with those of the tracks."""
        self._file.seek(0)
        for size, pts, dts, duration, is_key, time_base in self._heads:
            packet: av.Packet[Stream] = av.Packet(self._file.read(size))
            packet.stream, packet.time_base = stream, time_base
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            packet.is_keyframe = is_key
            container.mux_one(packet)
            tracks.mux_until(None if dts is None else dts * time_base)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


class TrackMuxer:
    """Adds tracks to a container opened for writing and muxes their packets between those of the video.

    Anything the container cannot hold is left out and reported to `progress`. Make it before the first packet
    of any stream is muxed.
    """

    def __init__(self, container: OutputContainer, target: str, extras: Extras, progress: Progress) -> None:
        self._container = container
        self._target = target
        self._progress = progress
        may_repeat = bool(container.format.flags & _TS_NONSTRICT)
        self._tracks: dict[int, _TimedTrack] = {}
        container.streams.video[0].metadata.update(extras.video_tags)
        is_quicktime = container.format.name in PLAY_FROM_FRAME_0
        for stored in extras.tracks:
            track = timed_by_samples(lasting(stored), _UNHEARD_SECONDS if is_quicktime else Fraction(0))
            try:
                stream, written_base = add_stream(container, track)
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
        is_named = needs_named_tags(extras.tags, container.format.name)
        container.metadata.update(named_tags(extras.tags) if is_named else extras.tags)
        if is_named:
            cast(Any, container).container_options["movflags"] = "use_metadata_tags"
        self._add_chapters(extras.chapters)
        self._note_what_is_not_played()

    def _add_chapters(self, chapters: Iterable[Chapter]) -> None:
        """Add chapters to the container, which stay with their frames."""
        moved = [_chapter_later(chapter, self._lead()) for chapter in chapters]
        possible = [chapter for chapter in moved if _is_possible(chapter)]
        if len(possible) < len(moved):
            self._progress.note(
                f"{len(moved) - len(possible)} chapters are dropped: they end before they begin, "
                "or beyond the range of FFmpeg's timestamps"
            )
        if possible:
            self._container.set_chapters(
                [_as_pyav(number, chapter) for number, chapter in enumerate(possible, 1)]
            )

    def _lead(self) -> Fraction:
        """Seconds by which the container delays all packets because a track begins before the first frame."""
        if self._container.format.name in PLAY_FROM_FRAME_0:
            return Fraction(0)
        begins = [_heard_from(timed.track) for timed in self._tracks.values() if timed.track.packets]
        return max(Fraction(0), -round(min(begins, default=Fraction(0)) / _MATROSKA_UNIT) * _MATROSKA_UNIT)

    def _note_what_is_not_played(self) -> None:
        """Note how much audio precedes the first frame in a container that does not play it."""
        if self._container.format.name not in PLAY_FROM_FRAME_0:
            return
        for timed in self._tracks.values():
            info, seconds = timed.track.info, _early_seconds(timed.track)
            if info.kind == TrackKind.AUDIO and seconds > _MATROSKA_UNIT:
                self._progress.note(
                    f"{float(seconds):.3f} s of {_name(info)} come before the first frame, and players skip "
                    f"them in {self._target}; .mkv keeps them"
                )

    def mux_until(self, seconds: Fraction | None) -> None:
        """Mux the packets up to this time, or all that remain for None. Raises `OutputError`."""
        while self._next is not None and (seconds is None or self._next[0] <= seconds):
            _, index, packet, unplayed = self._next
            timed = self._tracks[index]
            try:
                self._container.mux_one(
                    muxed_packet(packet, timed.stream, timed.track.info.time_base, unplayed)
                )
            except (av.FFmpegError, OverflowError) as error:
                raise OutputError(
                    f"cannot write {self._target}: failed at a packet of {_name(timed.track.info)}: "
                    f"{getattr(error, 'strerror', None) or error}; --no-audio leaves audio and subtitles out"
                ) from error
            self._next = next(self._packets, None)
        if seconds is None:
            for timed in self._tracks.values():
                if timed.dropped:
                    name = _name(timed.track.info)
                    self._progress.note(
                        f"{timed.dropped} packets of {name} are dropped: their timestamps decrease"
                    )


def _name(info: TrackInfo) -> str:
    return f"{info.codec} ({TrackKind(info.kind).name.lower()})"


def _heard_from(track: Track) -> Fraction:
    """Time of the first sample that is played, in seconds."""
    begin = track.packets[0].pts * track.info.time_base
    return begin + Fraction(track.padding.start, max(1, track.info.sample_rate))


def _early_seconds(track: Track) -> Fraction:
    """Length of what is played before the first frame."""
    if not track.packets:
        return Fraction(0)
    first, seconds = track.packets[0], -_heard_from(track)
    is_primed = track.info.codec in PRIMED_CODECS and not track.padding.start
    priming = _PRIMING_PACKETS * first.duration * track.info.time_base if is_primed else Fraction(0)
    return seconds if seconds > priming else Fraction(0)


def _is_possible(chapter: Chapter) -> bool:
    """Whether it does not end before it begins, or after 2^31 s: FFmpeg counts nanoseconds in 64 bits."""
    return 0 <= chapter.start <= chapter.end and chapter.end * chapter.time_base <= _MOST_INT32


def _chapter_later(chapter: Chapter, lead: Fraction) -> Chapter:
    """The chapter some seconds later; what lies before the start of the output is cut off."""
    unit, start, end = chapter.time_base, chapter.start, chapter.end
    if lead:
        unit = Fraction(1, av.time_base)
        start, end = (round((time * chapter.time_base + lead) / unit) for time in (start, end))
    return replace(chapter, time_base=unit, start=max(0, start) if end >= 0 else start, end=end)


def _as_pyav(number: int, chapter: Chapter) -> Any:
    """A chapter for PyAV, in microseconds if its time base exceeds FFmpeg's 32 bits."""
    time_base, start, end = chapter.time_base, chapter.start, chapter.end
    if max(time_base.as_integer_ratio()) > _MOST_INT32:
        start, end = (round(time * time_base * av.time_base) for time in (start, end))
        time_base = Fraction(1, av.time_base)
    times = {"start": start, "end": end, "time_base": time_base}
    return {"id": number, **times, "metadata": dict(chapter.metadata)}
