"""Audio, subtitles, chapters and tags of a source: copied without re-encoding, cut to the selected frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from bitstream import DEFAULT_LIMITS, Chapter, Extras, Packet, Track, TrackInfo, TrackKind
from bitstream.extras import extras_blocks
from inrcodec.progress import Progress
from inrcodec.settings.source import SourceSettings
from inrcodec.video.properties import Window
from inrcodec.video.sources import find_images

_OF_THE_CONTAINER = frozenset(
    {"encoder", "software", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id"}
    | {"duration", "uid", "generation_uid", "company_name", "application_platform", "operational_pattern_ul"}
    | {"material_package_umid", "file_package_umid", "modification_date"}
)
"""Tags that describe the container itself and must not be copied into another one."""
_TITLES = "bin_data"
"""FFmpeg's codec name for the stream of chapter titles in an .mp4, which it also reads as chapters."""
_STATISTICS = ("_statistics_", "bps", "number_of_", "product_", "toolkit_")
"""Prefixes of the tags that mkvmerge computes and of those that name the program that wrote an MXF."""


def read_extras(path: str, source: SourceSettings, window: Window, progress: Progress) -> Extras:
    """Everything but the video of the source at `path`, cut to `window` and timed from its start.

    Nothing is decoded. Without `source.audio`, audio and subtitles are left out; images have no extras.
    Anything that cannot be carried is reported to `progress`.
    """
    if find_images(path) is not None:
        return Extras()
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        tracks: Iterable[Track] = ()
        if source.audio:
            tracks = _tracks(container, progress)
        else:
            progress.detail("audio and subtitles are left out")
        chapters = _chapters(container, progress)
        others = [stream for stream in container.streams if stream.type in ("data", "attachment")]
        if chapters:
            others = [stream for stream in others if stream.name != _TITLES]
        if others:
            progress.note(f"{len(others)} data or attachment stream(s) are not carried")
        whole = Extras(tuple(tracks), chapters, _tags(container.metadata))
    return _within_limits(cut_extras(whole, window), progress)


def cut_extras(extras: Extras, window: Window) -> Extras:
    """The packets and chapters inside the window, with times counted from its start.

    Audio is cut between packets: none begins before a window that begins inside the video, and none after
    the window's end. Subtitles and chapters that cross a boundary are shortened.
    """
    tracks = tuple(_cut_track(track, window) for track in extras.tracks)
    chapters = (_cut_chapter(chapter, window) for chapter in extras.chapters)
    return Extras(tracks, tuple(chapter for chapter in chapters if chapter is not None), extras.tags)


def _cut_track(track: Track, window: Window) -> Track:
    shift, limit = _in_units(window, track.info.time_base)
    packets: list[Packet] = []
    for packet in track.packets:
        begin, end = packet.pts - shift, packet.pts - shift + packet.duration
        if limit is not None and begin >= limit:
            continue
        if track.info.kind == TrackKind.AUDIO:
            if begin >= 0 or not window.begins_inside:
                packets.append(packet._replace(pts=begin, dts=packet.dts - shift))
            continue
        if window.begins_inside and begin < 0:
            if end <= 0:
                continue
            begin = 0
        if limit is not None:
            end = min(end, limit)
        dts = min(packet.dts - shift, begin) if begin else begin
        packets.append(packet._replace(pts=begin, dts=dts, duration=end - begin))
    return Track(track.info, tuple(packets))


def _cut_chapter(chapter: Chapter, window: Window) -> Chapter | None:
    shift, limit = _in_units(window, chapter.time_base)
    start, end = chapter.start - shift, chapter.end - shift
    if (limit is not None and start >= limit) or end < 0 or (window.begins_inside and end == 0):
        return None
    return replace(chapter, start=max(start, 0), end=end if limit is None else min(end, limit))


def _in_units(window: Window, time_base: Fraction) -> tuple[int, int | None]:
    """Start of the window, and its length (None without an end), in units of `time_base`."""
    shift = round(window.start / time_base)
    return shift, None if window.stop is None else round(window.stop / time_base) - shift


def _tracks(container: InputContainer, progress: Progress) -> list[Track]:
    infos: dict[int, TrackInfo] = {}
    streams: list[Stream] = [*container.streams.audio, *container.streams.subtitles]
    for stream in streams[: DEFAULT_LIMITS.max_tracks]:
        if stream.codec_context is None or stream.time_base is None:
            progress.note(f"one {stream.type} stream is not carried: its codec is unknown")
            continue
        try:
            infos[stream.index] = _info(stream)
        except ValueError as error:
            progress.note(f"one {stream.type} stream is not carried: {error}")
    if len(streams) > DEFAULT_LIMITS.max_tracks:
        progress.note(f"only the first {DEFAULT_LIMITS.max_tracks} of {len(streams)} tracks are carried")
    packets = _packets(container, [stream for stream in streams if stream.index in infos], progress)
    return [Track(infos[index], tuple(packets[index])) for index in infos]


def _packets(container: InputContainer, streams: list[Stream], progress: Progress) -> dict[int, list[Packet]]:
    """Packets by stream index, in file order."""
    packets: dict[int, list[Packet]] = {stream.index: [] for stream in streams}
    lost = 0
    try:
        for packet in container.demux(*streams) if streams else ():
            pts = packet.dts if packet.pts is None else packet.pts
            data = bytes(packet)
            if data and pts is not None:
                dts = pts if packet.dts is None else packet.dts
                duration = max(packet.duration or 0, 0)
                packets[packet.stream_index].append(Packet(pts, dts, duration, packet.is_keyframe, data))
            elif data:
                lost += 1
    except av.FFmpegError:
        progress.note("the input is damaged: its audio or subtitles end early")
    if lost:
        progress.note(f"{lost} audio or subtitle packets have no timestamp and are not carried")
    return packets


def _info(stream: Stream) -> TrackInfo:
    context = stream.codec_context
    kind = TrackKind.AUDIO if isinstance(stream, AudioStream) else TrackKind.SUBTITLE
    info = TrackInfo(
        kind,
        context.codec.canonical_name,
        stream.time_base or Fraction(1, av.time_base),
        _tags(stream.metadata),
        disposition=int(stream.disposition),
        extradata=context.extradata or b"",
    )
    if not isinstance(stream, AudioStream):
        return info
    audio = stream.codec_context
    return replace(
        info,
        sample_rate=audio.sample_rate or 0,
        layout=audio.layout.name,
        sample_format=audio.format.name if audio.format else "",
        bit_rate=audio.bit_rate or 0,
    )


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that stay true in another container."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OF_THE_CONTAINER
        and not key.lower().startswith(_STATISTICS)
        and (key, value) != ("language", "und")
    }


def _chapters(container: InputContainer, progress: Progress) -> tuple[Chapter, ...]:
    chapters = []
    for chapter in container.chapters():
        time_base = chapter["time_base"] or Fraction(0)
        try:
            chapters.append(Chapter(time_base, chapter["start"], chapter["end"], _tags(chapter["metadata"])))
        except ValueError as error:
            progress.note(f"a chapter is not carried: {error}")
    return tuple(chapters)


def _within_limits(extras: Extras, progress: Progress) -> Extras:
    """Drop, with a note, what exceeds the limits of every reader."""
    tracks: list[Track] = []
    room = DEFAULT_LIMITS.max_packets
    for track in extras.tracks:
        name = f"a track of {track.info.codec}"
        if len(track.packets) > room:
            progress.note(
                f"{name} is not carried: a file holds at most {DEFAULT_LIMITS.max_packets:,} packets"
            )
        elif _is_writable(Extras((track,)), f"{name} is not carried", progress):
            tracks.append(track)
            room -= len(track.packets)
    chapters = extras.chapters[: DEFAULT_LIMITS.max_chapters]
    if chapters != extras.chapters:
        progress.note(f"only the first {len(chapters)} of {len(extras.chapters)} chapters are carried")
    if not _is_writable(Extras(chapters=chapters), "chapters are not carried", progress):
        chapters = ()
    tags = extras.tags
    if not _is_writable(Extras(tags=tags), "tags are not carried", progress):
        tags = {}
    return Extras(tuple(tracks), chapters, tags)


def _is_writable(extras: Extras, otherwise: str, progress: Progress) -> bool:
    """Whether a file can hold `extras`; if not, `otherwise` and the reason are noted."""
    try:
        for _ in extras_blocks(extras):
            pass
    except ValueError as error:
        progress.note(f"{otherwise}: {error}")
        return False
    return True
