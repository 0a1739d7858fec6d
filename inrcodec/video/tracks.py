"""Audio, subtitles, chapters and tags of a source: copied without re-encoding, cut to the selected frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd

from av.container import InputContainer
from av.stream import Disposition

from bitstream import DEFAULT_LIMITS, Chapter, Extras, Packet, Padding, Track, TrackKind
from bitstream.extras import extras_blocks
from inrcodec.progress import Progress, Silent
from inrcodec.settings.source import SourceSettings
from inrcodec.text import counted
from inrcodec.video.demuxer import open_input
from inrcodec.video.properties import LARGEST_TERM, Window
from inrcodec.video.source_tracks import read_tracks
from inrcodec.video.sources import chosen_video, find_images
from inrcodec.video.tags import carried_tags, stream_tags

_OF_VIDEO = ("title", "language")
"""Tags of the video stream that are carried."""
_TITLES = "bin_data"
"""FFmpeg's codec name for the stream of chapter titles in an .mp4, which it also reads as chapters."""


def read_extras(path: str, source: SourceSettings, window: Window, progress: Progress) -> Extras:
    """Everything but the video of the source at `path`, cut to `window` and timed from its start.

    Nothing is decoded. Without `source.audio`, audio and subtitles are left out; images have no extras.
    Anything that cannot be carried is reported to `progress`.
    """
    if find_images(path) is not None:
        return Extras()
    tracks: list[Track] = []
    with open_input(path) as container:
        video = chosen_video(container, path, Silent(), source.stream)
        if source.audio:
            tracks = read_tracks(path, video.index, progress)
        else:
            progress.detail("audio and subtitles are left out")
        chapters = _chapters(container, progress)
        others = [stream for stream in container.streams if stream.type in ("data", "attachment")]
        if chapters:
            others = [stream for stream in others if stream.name != _TITLES]
        if any(stream.disposition & Disposition.attached_pic for stream in container.streams.video):
            progress.note("cover art is not carried")
        if others:
            progress.note(f"not carried: {counted(len(others), 'data or attachment stream')}")
        video_tags = {name: tag for name, tag in stream_tags(video.metadata).items() if name in _OF_VIDEO}
        whole = Extras(tuple(tracks), chapters, carried_tags(container.metadata), video_tags)
    return _within_limits(cut_extras(whole, window), progress)


def cut_extras(extras: Extras, window: Window) -> Extras:
    """The packets and chapters inside the window, with times counted from its start.

    Audio is cut between packets: none begins before a window that begins inside the video, and none after
    the window's end. Subtitles and chapters that cross a boundary are shortened.
    """
    tracks = tuple(_cut_track(track, window) for track in extras.tracks)
    chapters = (_cut_chapter(chapter, window) for chapter in extras.chapters)
    return replace(
        extras, tracks=tracks, chapters=tuple(chapter for chapter in chapters if chapter is not None)
    )


def _cut_track(stored: Track, window: Window) -> Track:
    track = _in_common_units(stored, window.start)
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
    return Track(track.info, tuple(packets), _cut_padding(track, packets))


def _in_common_units(track: Track, start: Fraction) -> Track:
    """The track in units that divide `start` as well; an .avi counts its audio in whole packets of MP3."""
    unit = track.info.time_base
    common = Fraction(
        gcd(unit.numerator * start.denominator, start.numerator * unit.denominator),
        unit.denominator * start.denominator,
    )
    if common == unit or max(common.as_integer_ratio()) > LARGEST_TERM:
        return track
    scale = int(unit / common)
    packets = (
        packet._replace(pts=packet.pts * scale, dts=packet.dts * scale, duration=packet.duration * scale)
        for packet in track.packets
    )
    return replace(track, info=replace(track.info, time_base=common), packets=tuple(packets))


def _cut_padding(track: Track, packets: Sequence[Packet]) -> Padding:
    """The padding that is left of a track that was cut to `packets`: that of packets that are still there."""
    if not packets:
        return Padding()
    starts, ends = (packets[at].data is track.packets[at].data for at in (0, -1))
    return Padding(track.padding.start if starts else 0, track.padding.end if ends else 0)


def _cut_chapter(chapter: Chapter, window: Window) -> Chapter | None:
    shift, limit = _in_units(window, chapter.time_base)
    start, end = chapter.start - shift, chapter.end - shift
    if (limit is not None and start >= limit) or (window.begins_inside and end <= 0):
        return None
    # A chapter may begin with sound that precedes the first frame of the video.
    start = max(start, 0) if window.begins_inside else start
    return replace(chapter, start=start, end=end if limit is None else min(end, limit))


def _in_units(window: Window, time_base: Fraction) -> tuple[int, int | None]:
    """Start of the window, and its length (None without an end), in units of `time_base`."""
    shift = round(window.start / time_base)
    return shift, None if window.stop is None else round(window.stop / time_base) - shift


def _chapters(container: InputContainer, progress: Progress) -> tuple[Chapter, ...]:
    chapters = []
    for chapter in container.chapters():
        time_base = chapter["time_base"] or Fraction(0)
        try:
            chapters.append(
                Chapter(time_base, chapter["start"], chapter["end"], carried_tags(chapter["metadata"]))
            )
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
    tags, video_tags = extras.tags, extras.video_tags
    if not _is_writable(Extras(tags=tags), "tags are not carried", progress):
        tags = {}
    if not _is_writable(Extras(video_tags=video_tags), "tags of the video are not carried", progress):
        video_tags = {}
    return Extras(tuple(tracks), chapters, tags, video_tags)


def _is_writable(extras: Extras, otherwise: str, progress: Progress) -> bool:
    """Whether a file can hold `extras`; if not, `otherwise` and the reason are noted."""
    try:
        for _ in extras_blocks(extras):
            pass
    except ValueError as error:
        progress.note(f"{otherwise}: {error}")
        return False
    return True
