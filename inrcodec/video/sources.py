"""Opening a video source: a file that PyAV reads, a folder of images, or an image pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from inrcodec.errors import NotAVideo, UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.settings.source import FrameRange
from inrcodec.text import counted
from inrcodec.video.alpha import AlphaLayer
from inrcodec.video.cropping import NO_CROPPING, Cropping
from inrcodec.video.demuxer import check_size, demux, open_input
from inrcodec.video.frame_checks import AspectCheck
from inrcodec.video.geometry import TRANSPARENCY_NOTE
from inrcodec.video.listing import list_streams
from inrcodec.video.reordering import DisplayTimes
from inrcodec.video.stated import (
    GUESSED_TIMES,
    WITH_DURATIONS,
    has_header_duration,
    has_timestamps,
    stated_end,
    stated_rates,
)
from inrcodec.video.timeline import Timeline, read_timeline
from inrcodec.video.truncation import is_cut_off

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
IMAGE_FRAME_RATE = Fraction(25)
_NUMBER_FIELD = re.compile(r"%(0\d+)?d")
_STILL_CODECS = frozenset({"bmp", "gif", "mjpeg", "png", "tiff", "webp"})
"""Codecs of pictures that files carry beside a video: previews, and covers not marked as such."""


@dataclass
class Source:
    """An opened video: the properties its container states, and its frames in display order."""

    frames: Iterator[VideoFrame]
    frame_rates: Sequence[Fraction]
    """Rates in frames per second of which the times may be, the likeliest first."""
    time_base: Fraction
    """Unit of the timestamps, seconds."""
    sample_aspect_ratio: Fraction
    claimed_frame_count: int
    """Frame count stated by the container, unreliable; 0 where it states none."""
    estimated_frame_count: int
    """The claimed count, else one computed from the duration; 0 where neither is known."""
    hidden_frame_count: int = 0
    """Frames read so far that an edit list hides or that are empty: claimed, but not among the frames."""
    is_rate_assumed: bool = False
    """Whether nothing states the frame rate."""
    has_guessed_times: bool = False
    """Whether FFmpeg guesses the times of most frames, because the file has them for a few only."""
    has_durations: bool = False
    """Whether the durations of frames are stated, not guessed from the rate."""
    stated_end: Fraction | None = None
    """Time on the source's clock at which the container says that the video ends, or earlier, seconds."""
    is_cut_off: bool = False
    """Whether the file is shorter than its container says."""

    @property
    def frame_rate(self) -> Fraction:
        return self.frame_rates[0]

    cropping: Cropping = NO_CROPPING
    """Margins of the frames that are not shown."""


def number_field(name: str) -> re.Match[str] | None:
    """The `%d` or `%05d` in a file name."""
    return _NUMBER_FIELD.search(name)


@contextmanager
def open_source(path: str, progress: Progress, stream: int | None = None) -> Iterator[Source]:
    """Open `path` for reading; what cannot be carried is reported to `progress`.

    `stream` selects one of several videos, counted from 0; None selects the one with the largest pictures.
    Raises `UsageError` for a missing file, a missing `stream` or a folder without images, and `NotAVideo` for
    anything in which PyAV finds no video.
    """
    images = find_images(path)
    if images is not None and stream:
        raise UsageError(f"--stream {stream}: a series of images has only stream 0")
    if images is not None:
        progress.note(f"images have no frame rate; {IMAGE_FRAME_RATE} fps is assumed")
        count, unit = len(images), 1 / IMAGE_FRAME_RATE
        yield Source(_image_frames(images), [IMAGE_FRAME_RATE], unit, Fraction(1), count, count)
        return
    with open_input(path) as container:
        yield _container_source(container, path, progress, stream)


def find_images(path: str) -> list[Path] | None:
    """The images of a folder or of a numbered pattern in order, or None if `path` names neither.

    Raises `UsageError` if it names one without images.
    """
    target = Path(path)
    if target.is_dir():
        names = [
            entry
            for entry in target.iterdir()
            # macOS keeps attributes of 001.PNG in ._001.PNG on file systems that have none.
            if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
        ]
        if not names:
            raise UsageError(f"{path} is a folder without images")
        return sorted(names, key=_natural_order)
    field = number_field(target.name)
    if field is None or target.exists():
        return None
    head, tail = target.name[: field.start()], target.name[field.end() :]
    number = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist")
    matches = ((number.fullmatch(entry.name), entry) for entry in target.parent.iterdir())
    numbered = sorted((int(match.group(1)), entry) for match, entry in matches if match)
    if not numbered:
        raise UsageError(f"no file matches {path}")
    return [entry for _, entry in numbered]


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key under which 2.png comes before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", path.name)]


def _image_frames(images: list[Path]) -> Iterator[VideoFrame]:
    for image in images:
        try:
            with open_input(str(image)) as container:
                frame = next(container.decode(video=0), None)
        except (av.FFmpegError, IndexError) as error:
            raise NotAVideo(f"{image} cannot be read as an image") from error
        if frame is None:
            raise NotAVideo(f"{image} contains no picture")
        frame.pts = None
        yield frame


def _container_source(container: InputContainer, path: str, progress: Progress, number: int | None) -> Source:
    stream = chosen_video(container, path, progress, number)
    # With frame threads, FFmpeg conceals damage differently each time it reads a damaged stream.
    stream.thread_type = "SLICE"
    rates, is_cut = stated_rates(container, stream), bool(is_cut_off(path))
    frame_rate = rates[0] if rates else IMAGE_FRAME_RATE
    # An .avi counts the pauses between frames too.
    is_claim = is_cut or container.format.name != "avi"
    claimed = max(0, stream.frames) if is_claim else 0
    source = Source(
        frames=iter(()),
        frame_rates=rates or [frame_rate],
        time_base=stream.time_base or 1 / frame_rate,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        claimed_frame_count=claimed,
        estimated_frame_count=claimed or round(_duration_seconds(container, stream) * frame_rate),
        is_rate_assumed=not rates,
        has_guessed_times=container.format.name == GUESSED_TIMES,
        has_durations=container.format.name.startswith(WITH_DURATIONS),
        stated_end=None if is_cut and not has_header_duration(container) else stated_end(container, stream),
        is_cut_off=is_cut,
        cropping=list_streams(container).croppings.get(stream.index, NO_CROPPING),
    )
    timeline = read_timeline(container, path, stream.index)
    if timeline.is_joined:
        source.estimated_frame_count = round(timeline.video_seconds * frame_rate)
        progress.note(
            f"times begin again or jump {counted(len(timeline.positions) - 1, 'time')}: "
            "the parts follow one another"
        )
    source.frames = _container_frames(container, stream, timeline, source, progress)
    return source


def _duration_seconds(container: InputContainer, stream: VideoStream) -> Fraction:
    """Duration of the video stated by its container; 0 where it states none."""
    if stream.duration is not None and stream.time_base is not None:
        return max(Fraction(0), stream.duration * stream.time_base)
    return max(Fraction(0), Fraction(container.duration or 0, av.time_base))


def chosen_video(container: InputContainer, path: str, progress: Progress, number: int | None) -> VideoStream:
    """Video `number`, or the one with the largest pictures; cover art of an audio file does not count."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        found = "only audio" if container.streams.audio else "no video stream"
        raise NotAVideo(f"{path} is not a video: it contains {found}")
    tiles = sum(bool(s.disposition & Disposition.dependent) for s in videos)
    if tiles and container.format.name.startswith("mov"):
        raise NotAVideo(f"{path} is a picture made of {tiles} tiles, which are not joined; convert it to PNG")
    if number is not None and not 0 <= number < len(videos):
        raise UsageError(
            f"--stream {number}: {path} has {counted(len(videos), 'video stream')}, numbered from 0"
        )
    stream = max(videos, key=_worth) if number is None else videos[number]
    if number is None and len(videos) > 1:
        chosen = videos.index(stream)
        progress.note(
            f"{len(videos)} video streams: number {chosen} is used, "
            "--stream (in Python, stream) selects another"
        )
    if stream.codec_context is None:
        raise NotAVideo(f"{path} cannot be decoded: its codec is unknown")
    check_size(path, stream.codec_context.width, stream.codec_context.height)
    return stream


def _worth(stream: VideoStream) -> tuple[bool, int, bool]:
    """Sort key for choosing among videos: moving pictures, then their size, then the file's default flag.

    FFmpeg itself compares bitrates, where the container states them.
    """
    context = stream.codec_context
    if context is None:
        return False, 0, False
    is_film = context.codec.canonical_name not in _STILL_CODECS and stream.frames != 1
    is_default = bool(stream.disposition & Disposition.default)
    return is_film, context.width * context.height, is_default


def _container_frames(
    container: InputContainer, stream: VideoStream, timeline: Timeline, source: Source, progress: Progress
) -> Iterator[VideoFrame]:
    """Frames in display order; damaged packets are skipped and reported once, hidden frames are counted."""
    damaged = 0
    alpha: AlphaLayer | None = AlphaLayer(stream)
    is_raw = not has_timestamps(container)
    times = DisplayTimes(container, stream)
    ratios = AspectCheck(progress)
    packets = timeline.move(demux(container, stream))
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            damaged += 1
            break
        if packet is None:
            break
        # A packet without data repeats a frame, except the one without a time that ends the stream.
        is_repeat = not packet.size and packet.dts is not None
        source.hidden_frame_count += packet.is_discard or is_repeat
        if is_repeat:
            continue
        if alpha is not None and alpha.is_transparent(packet):
            progress.note(TRANSPARENCY_NOTE)
            alpha = None
        times.sent(packet)
        try:
            decoded = stream.decode(packet)
        except av.error.EOFError:
            break
        except av.FFmpegError:
            # Each decoder raises its own kind of error for damaged data.
            damaged += 1
            times.failed(packet)
            continue
        for frame in decoded:
            times.shown(frame)
            if is_raw:
                frame.pts = None
            yield frame
        if decoded:
            ratios.check(stream.codec_context.sample_aspect_ratio)
    if damaged:
        progress.note(f"the input is damaged: {damaged} of its packets could not be decoded")


def first_frames(path: str, seconds: float, stream: int | None = None) -> FrameRange:
    """The frame range of the first `seconds` of a video, or of all frames if it is not longer.

    Relies on the frame rate and length stated by the container. Raises as `open_source` does.
    """
    with open_source(path, Silent(), stream) as opened:
        count = max(1, round(seconds * opened.frame_rate))
        is_longer = not opened.estimated_frame_count or opened.estimated_frame_count > count
        return FrameRange(0, count) if is_longer else FrameRange()
