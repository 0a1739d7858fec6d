"""Sound, subtitles, chapters and tags into a video file, packet by packet, without re-encoding."""

from __future__ import annotations

import heapq
import io
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from bitstream import Extras, Packet, Track, TrackInfo, TrackKind
from inrcodec.progress import Progress


class _TimedTrack:
    """A track that was given a stream of the output."""

    def __init__(self, track: Track, stream: Stream) -> None:
        self.track = track
        self.stream = stream

    def timed_packets(self) -> Iterator[tuple[Fraction, int, Packet]]:
        """Decoding time in seconds, index of the stream and packet; times that fall are left out."""
        last: int | None = None
        for packet in self.track.packets:
            if packet.dts <= packet.pts and (last is None or packet.dts > last):
                yield packet.dts * self.track.info.time_base, self.stream.index, packet
                last = packet.dts


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
        self._tracks: dict[int, _TimedTrack] = {}
        for track in extras.tracks:
            try:
                stream = _add_stream(container, track.info)
            except (ValueError, OverflowError, av.FFmpegError):
                name = TrackKind(track.info.kind).name.lower()
                progress.note(f"a track of {track.info.codec} ({name}) is dropped: {target} cannot hold it")
                continue
            self._tracks[stream.index] = _TimedTrack(track, stream)
        self._packets = heapq.merge(
            *(track.timed_packets() for track in self._tracks.values()), key=lambda timed: timed[0]
        )
        self._next = next(self._packets, None)
        container.metadata.update(extras.tags)
        if extras.chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": chapter.start,
                        "end": chapter.end,
                        "time_base": chapter.time_base,
                        "metadata": dict(chapter.metadata),
                    }
                    for number, chapter in enumerate(extras.chapters, 1)
                ]
            )

    def mux_until(self, seconds: Fraction | None) -> None:
        """Mux the packets up to this time, or all that are left."""
        while self._next is not None and (seconds is None or self._next[0] <= seconds):
            _, index, packet = self._next
            timed = self._tracks[index]
            muxed: av.Packet[Stream] = av.Packet(packet.data)
            muxed.stream = timed.stream
            muxed.time_base = timed.track.info.time_base
            muxed.pts, muxed.dts, muxed.duration = packet.pts, packet.dts, packet.duration
            muxed.is_keyframe = packet.is_key
            self._container.mux_one(muxed)
            self._next = next(self._packets, None)


def _add_stream(container: OutputContainer, info: TrackInfo) -> Stream:
    """A stream for packets of the codec of `info`; `ValueError` where the container cannot hold them.

    PyAV muxes without an encoder only what has a template, so a stream that is thrown away is made first,
    and its copy then gets the parameters. A rehearsal writes the header of a file with this track alone,
    because a container that has a stream which it refuses cannot be written any more.
    """
    name = container.format.name
    with av.open(io.BytesIO(), "w", format=name) as scratch:
        template = scratch.add_stream(info.codec)
        if isinstance(template, AudioStream) != (info.kind == TrackKind.AUDIO):
            raise ValueError(f"{info.codec} is no codec of this kind of track")
        with av.open(io.BytesIO(), "w", format=name) as rehearsal:
            _set_parameters(rehearsal.add_stream_from_template(template, opaque=True), info)
            rehearsal.start_encoding()
        stream = container.add_stream_from_template(template, opaque=True)
    _set_parameters(stream, info)
    return stream


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
