"""Reads the audio and subtitles of a source: which streams, their parameters, and their packets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from bitstream import DEFAULT_LIMITS, Packet, Track, TrackInfo, TrackKind
from inrcodec.progress import Progress
from inrcodec.text import counted
from inrcodec.video.demuxer import demux, open_input
from inrcodec.video.layouts import plain_layout
from inrcodec.video.listing import Listing, list_streams
from inrcodec.video.packets import PacketCollector
from inrcodec.video.tags import stream_tags
from inrcodec.video.timeline import Timeline, read_timeline, rising

_RENUMBERED = ("mpegts", "mpeg")
"""Formats whose streams may change their numbers midway."""
_LEAST_RUN = 8
"""Packets of a stream between two of another that it goes on in."""
_MOST_PROBED_BYTES = 1 << 30
"""Part of a file that is searched for streams where some appear late; FFmpeg holds its packets in memory."""


@dataclass
class _Reading:
    """The tracks read in one pass over a source."""

    tracks: list[Track] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    late: int = 0
    """Streams that were found only after opening."""
    silent: int = 0
    """Streams of audio in which no sound was found before opening."""


def read_tracks(path: str, video: int, progress: Progress) -> list[Track]:
    """All audio and subtitles that belong to the video with the stream index `video`.

    Streams that appear later than FFmpeg looks for them are found by a second pass, which looks further.
    Anything that cannot be carried is reported to `progress`. Raises as `open_source` does.
    """
    with open_input(path) as container:
        reading, size = _read(container, path, video), min(container.size, _MOST_PROBED_BYTES)
    if reading.late or reading.silent:
        with open_input(path, probed_bytes=size) as container:
            reading = _read(container, path, video)
    if reading.late:
        reading.notes.append(f"not carried: {counted(reading.late, 'stream')} beginning late in the file")
    if reading.silent:
        reading.notes.append(
            f"not carried: {counted(reading.silent, 'audio stream')} in which no sound was found"
        )
    for note in reading.notes:
        progress.note(note)
    return reading.tracks


def _read(container: InputContainer, path: str, video: int) -> _Reading:
    reading = _Reading()
    listing = list_streams(container)
    infos: dict[int, TrackInfo] = {}
    streams = _streams_beside(container, video, listing, reading)
    for stream in streams[: DEFAULT_LIMITS.max_tracks]:
        is_known = stream.codec_context is not None
        if is_known and isinstance(stream, AudioStream) and stream.index not in listing.layouts:
            reading.silent += 1
            continue
        try:
            infos[stream.index] = _info(stream, listing)
        except ValueError as error:
            reading.notes.append(f"one {stream.type} stream is not carried: {error}")
    if len(streams) > DEFAULT_LIMITS.max_tracks:
        reading.notes.append(
            f"only the first {DEFAULT_LIMITS.max_tracks} of {len(streams)} tracks are carried"
        )
    timeline = read_timeline(container, path, video)
    reading.tracks = _packed(container, infos, timeline, reading)
    reading.late = max(0, list_streams(container).stream_count - len(container.streams))
    return reading


def _streams_beside(
    container: InputContainer, video: int, listing: Listing, reading: _Reading
) -> list[Stream]:
    """Audio, then subtitles; of several programmes, only of those with the video."""
    streams: list[Stream] = [*container.streams.audio, *container.streams.subtitles]
    others = listing.other_programs(video)
    kept = [stream for stream in streams if stream.index not in others]
    if len(kept) < len(streams):
        reading.notes.append(
            "not carried: "
            f"{counted(len(streams) - len(kept), 'audio or subtitle stream')} of other programmes"
        )
    return kept


def _packed(
    container: InputContainer, infos: dict[int, TrackInfo], timeline: Timeline, reading: _Reading
) -> list[Track]:
    """The tracks of these streams, by stream index, with their packets in file order."""
    collectors = {index: PacketCollector(info) for index, info in infos.items()}
    try:
        # All streams are read, because only a whole pass shows whether further ones appear.
        for packet in timeline.move(demux(container, *container.streams)):
            if packet.stream_index in collectors:
                collectors[packet.stream_index].add(packet)
    except av.FFmpegError:
        reading.notes.append("the input is damaged: its audio or subtitles end early")
    lost = sum(collector.lost for collector in collectors.values())
    if lost:
        reading.notes.append(f"{lost} audio or subtitle packets have no timestamp and are not carried")
    tracks = [collector.track() for collector in collectors.values()]
    if timeline.is_joined:
        tracks = [
            replace(track, packets=tuple(rising(track.packets)))
            if track.info.kind == TrackKind.AUDIO
            else track
            for track in tracks
        ]
    return list(_continued(tracks)) if container.format.name in _RENUMBERED else tracks


def _continued(tracks: list[Track]) -> Iterator[Track]:
    """The tracks, where audio that goes on in a stream of another number is one: broadcasts renumber them."""
    waiting = list(tracks)
    while waiting:
        track = waiting.pop(0)
        for other in list(waiting):
            packets = _taking_turns(track, other) if _is_alike(track.info, other.info) else None
            if packets is not None:
                track = replace(track, packets=tuple(rising(packets)))
                waiting.remove(other)
        yield track


def _is_alike(one: TrackInfo, other: TrackInfo) -> bool:
    """Whether packets of both can be in one track of audio."""
    alike = replace(
        other, bit_rate=one.bit_rate, sample_format=one.sample_format, disposition=one.disposition
    )
    return one == alike and one.kind == TrackKind.AUDIO


def _taking_turns(one: Track, other: Track) -> list[Packet] | None:
    """The packets of both if they follow one another in long runs; None if they are side by side.

    A run may reach into the next one by two packets.
    """
    now, later = deque(one.packets), deque(other.packets)
    packets: list[Packet] = []
    turns = 0
    while now or later:
        if not now or (later and now[0].dts - later[0].dts > 2 * now[0].duration):
            now, later = later, now
            turns += 1
        packets.append(now.popleft())
    return packets if turns <= min(len(one.packets), len(other.packets)) // _LEAST_RUN else None


def _info(stream: Stream, listing: Listing) -> TrackInfo:
    """The parameters of a stream. Raises `ValueError` if they are unknown."""
    context = stream.codec_context
    if context is None or stream.time_base is None:
        raise ValueError("its codec is unknown")
    info = TrackInfo(
        TrackKind.AUDIO if isinstance(stream, AudioStream) else TrackKind.SUBTITLE,
        context.codec.canonical_name,
        stream.time_base,
        stream_tags(stream.metadata),
        disposition=int(stream.disposition),
        extradata=context.extradata or b"",
    )
    if not isinstance(stream, AudioStream):
        return info
    audio = stream.codec_context
    return replace(
        info,
        sample_rate=audio.sample_rate,
        layout=plain_layout(listing.layouts[stream.index]),
        sample_format=audio.format.name if audio.format else "",
        bit_rate=audio.bit_rate or 0,
    )
