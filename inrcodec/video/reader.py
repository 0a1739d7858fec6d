"""Reading the frames to be fitted from a path: select, convert to RGB, turn, crop, scale."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av import VideoFrame

from bitstream.timestamps import duration
from inrcodec.errors import NotAVideo, UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.samples import DEPTHS, Samples, coded_depth
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.text import counted
from inrcodec.video.color import assume_matrix, color_tags
from inrcodec.video.conversion import rgb_pixels
from inrcodec.video.cropping import Cropping
from inrcodec.video.deep import bits_of
from inrcodec.video.frame_checks import FrameChecks
from inrcodec.video.geometry import Frame, Turn, cropped, scale
from inrcodec.video.mending import on_grid
from inrcodec.video.planes import Picture, picture_of
from inrcodec.video.properties import Clip, VideoProperties, Window
from inrcodec.video.selection import settled
from inrcodec.video.sources import Source, open_source
from inrcodec.video.timestamps import Timing, held_ratio, timing_of


def read_clip(path: str, source: SourceSettings, progress: Progress | None = None) -> Clip:
    """Decode the frames of the video at `path` that `source` selects, as RGB (T, height, width, 3).

    Each frame is converted by its own matrix and range, cut as its container says, turned as its display
    matrix says, cropped and scaled before the next is decoded, so memory holds only the
    selected frames. Anything the clip cannot carry (alpha, fields, timestamps that do not increase) is
    reported to `progress` in one line each.

    Raises `UsageError` for a request that cannot be met and `NotAVideo` for an input without usable frames.
    """
    reading = FrameReading(path, source, progress, is_held=True)
    pixels = list(reading)
    return Clip(stacked(pixels), reading.properties, reading.window)


class FrameReading:
    """Yields the frames of `read_clip` one by one, each (height, width, 3), without holding them.

    `properties` and `window` (see `Clip`) are known once the pass is over. Iterating raises what `read_clip`
    raises; with `is_held` also `UsageError` if all frames together would not fit in memory.
    """

    def __init__(
        self, path: str, source: SourceSettings, progress: Progress | None = None, is_held: bool = False
    ) -> None:
        self._path, self._source, self._progress = path, source, progress or Silent()
        self._is_held = is_held
        self.frame_rate: Fraction
        """Frames per second as the container states them, once a frame was read."""
        self.properties: VideoProperties
        self.window: Window

    def __iter__(self) -> Generator[Frame, None, None]:
        with closing(self.pictures()) as pictures:
            for picture in pictures:
                yield picture.pixels

    def pictures(self) -> Generator[Picture, None, None]:
        """Yield the same frames, each also with the luma and chroma that the video stores."""
        source = settled(self._path, self._source, self._progress)
        check_source(source)
        with open_source(self._path, self._progress, source.stream) as opened:
            self.frame_rate = _kept_rate(opened.frame_rate, source.every)
            try:
                self.properties, self.window = yield from _read(
                    self._path, opened, source, self._progress, self._is_held
                )
            except av.FFmpegError as error:
                raise NotAVideo(f"{self._path} cannot be decoded: {error.strerror or error}") from error


def check_source(source: SourceSettings) -> None:
    """Raise `UsageError` for settings that no video could meet."""
    frames = source.frames
    if frames.start < 0 or (frames.stop is not None and frames.stop <= frames.start):
        raise UsageError(f"--frames {range_text(frames)} is empty")
    if source.every < 1:
        raise UsageError(f"--every: expected a whole number from 1, found {source.every}")
    for name, size in (("--crop", source.crop), ("--scale", source.scale)):
        if size is not None and (size.width < 1 or size.height < 1):
            raise UsageError(f"{name} {size.width}x{size.height} has no pixels")
    if source.bit_depth not in (None, *DEPTHS):
        raise UsageError(f"--bit-depth {source.bit_depth}: frames are coded with 8 or 10 bits per sample")


def range_text(frames: FrameRange) -> str:
    """The range as written on the command line: `a:b`."""
    return f"{frames.start}:{'' if frames.stop is None else frames.stop}"


def _read(
    path: str, opened: Source, source: SourceSettings, progress: Progress, is_held: bool
) -> Generator[Picture, None, tuple[VideoProperties, Window]]:
    """Yield the frames; return their common properties and where they lie in the source."""
    count = 0
    first: VideoFrame | None = None
    checks = FrameChecks(path, source, progress)
    timestamps: list[int | None] = []
    last: VideoFrame | None = None
    following: VideoFrame | None = None
    total = _expected_count(opened, source)
    with closing(_selected_frames(opened, source.frames)) as frames:
        for index, frame in enumerate(frames):
            if source.frames.stop == source.frames.start + index:
                following = frame
                break
            last = frame
            assume_matrix(frame)
            if first is None:
                first = frame
                depth = _depth_of(frame, source)
                if is_held:
                    _check_memory(opened, frame, source, depth)
            turn, is_sideways = checks.check(source.frames.start + index, frame)
            timestamps.append(frame.pts)
            if index % source.every:
                continue
            cropping = opened.cropping.within(frame.height, frame.width)
            pixels = _fitted(frame, depth, cropping, turn, source)
            picture = picture_of(frame, pixels, turn, is_sideways, source, cropping)
            height, width = picture.pixels.shape[:2]
            count += 1
            progress.stage("reading", count, max(total, count))
            yield picture
    if first is None or last is None:
        raise NotAVideo(_no_frames(path, source.frames, opened.is_cut_off))
    time_base = first.time_base or opened.time_base
    kept_rates = [_kept_rate(rate, source.every) for rate in opened.frame_rates]
    end = _end_of(opened, last, following, time_base)
    stamps = timestamps[:: source.every]
    if opened.has_guessed_times:
        stamps = on_grid(stamps, 1 / (kept_rates[0] * time_base))
    timing = timing_of(stamps, end, time_base, kept_rates, progress)
    _note_what_is_missing(opened, len(timestamps), timing.start, source.frames, progress)
    ratio = 1 / opened.sample_aspect_ratio if is_sideways else opened.sample_aspect_ratio
    properties = VideoProperties(
        width=width,
        height=height,
        frame_count=count,
        frame_rate=timing.frame_rate,
        time_base=timing.time_base,
        sample_aspect_ratio=_scaled_ratio(ratio, first, is_sideways, source, cropping),
        bit_depth=depth,
        color=color_tags(first),
        timestamps=timing.timestamps,
        last_duration=None if _is_thinned(timing, source.every) else timing.last_duration,
        mastering_display=checks.light.mastering_display,
        content_light=checks.light.content_light,
    )
    stop = None if following is None else timing.start + duration(properties)
    return properties, Window(timing.start, source.frames.start > 0, stop)


def _selected_frames(opened: Source, frames: FrameRange) -> Generator[VideoFrame, None, None]:
    """The selected frames and the one after them, which tells how long the last of them is shown."""
    yield from islice(opened.frames, frames.start, None if frames.stop is None else frames.stop + 1)


def _is_thinned(timing: Timing, every: int) -> bool:
    """Whether the last kept frame only lasts less than the others because frames after it are missing."""
    last = timing.last_duration
    is_shorter = last is not None and last * timing.time_base < 1 / timing.frame_rate
    return every > 1 and timing.timestamps is None and is_shorter


def _end_of(
    opened: Source, last: VideoFrame, following: VideoFrame | None, time_base: Fraction
) -> Fraction | None:
    """When the last frame ends, in units of `time_base`; None if the source does not say."""
    if following is not None:
        return None if following.pts is None else Fraction(following.pts)
    if last.pts is None:
        return None
    ends = [Fraction(last.pts + last.duration)] if opened.has_durations else []
    if opened.stated_end is not None and not opened.is_cut_off:
        ends.append(opened.stated_end / time_base)
    end = max(ends, default=Fraction(last.pts))
    return end if end > last.pts else None


def _expected_count(opened: Source, source: SourceSettings) -> int:
    """Number of frames that will be kept, if the container's count is right; 0 if unknown."""
    frames = source.frames
    stops = [stop for stop in (frames.stop, opened.claimed_frame_count or None) if stop is not None]
    return len(range(frames.start, min(stops), source.every)) if stops else 0


def _depth_of(first: VideoFrame, source: SourceSettings) -> int:
    """Bits per sample of the frames of a video, which are those of its first one or fewer."""
    return min(coded_depth(bits_of(first.format)), source.bit_depth or DEPTHS[-1])


def _check_memory(opened: Source, first: VideoFrame, source: SourceSettings, depth: int) -> None:
    """Raise `UsageError` if the selected frames, by their estimated number, do not fit in memory."""
    memory_bytes = physical_memory_bytes()
    if not opened.estimated_frame_count or memory_bytes is None:
        return
    stop = opened.estimated_frame_count if source.frames.stop is None else source.frames.stop
    count = len(range(source.frames.start, min(stop, opened.estimated_frame_count), source.every))
    height, width = opened.cropping.within(first.height, first.width).shape(first.height, first.width)
    size = source.scale or source.crop or Size(width, height)
    needed_bytes = count * size.width * size.height * 3 * (1 if depth == 8 else 2)
    if needed_bytes > memory_bytes:
        raise UsageError(
            f"{counted(count, 'frame')} of {size.width}x{size.height} take {needed_bytes / 1e9:.1f} GB, this "
            f"machine has {memory_bytes / 1e9:.1f} GB; select fewer with --frames or shrink them with --scale"
        )


def physical_memory_bytes() -> int | None:
    """Physical memory of the machine, or None where the system does not report it (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _no_frames(path: str, frames: FrameRange, is_cut_off: bool) -> str:
    reason = "; the file is cut off" if is_cut_off else ""
    if frames == FrameRange():
        return f"{path} is not a video: none of its frames can be decoded{reason}"
    return f"{path} has no frames in {range_text(frames)}{reason}"


def _fitted(
    frame: VideoFrame, bit_depth: int, cropping: Cropping, turn: Turn, source: SourceSettings
) -> Frame:
    """RGB pixels of one frame, cut by `cropping`, turned, cropped and scaled, in their own memory."""
    pixels: Frame = turn(cropping.cut(rgb_pixels(frame, bit_depth)))
    if source.crop is not None:
        pixels = cropped(pixels, source.crop)
    if source.scale is not None:
        pixels = scale(np.ascontiguousarray(pixels), source.scale)
    # A view would keep the whole decoded frame alive.
    return pixels if pixels.base is None else pixels.copy()


def stacked(pixels: list[Frame]) -> Samples:
    """All frames as one array (T, height, width, 3); empties `pixels` so that each is held only once."""
    frames = np.empty((len(pixels), *pixels[0].shape), dtype=pixels[0].dtype)
    for index in reversed(range(len(pixels))):
        frames[index] = pixels.pop()
    return frames


def _scaled_ratio(
    ratio: Fraction, first: VideoFrame, is_sideways: bool, source: SourceSettings, cropping: Cropping
) -> Fraction:
    """Sample aspect ratio after scaling, so that the picture is displayed with the same shape."""
    if source.scale is None:
        return ratio
    height, width = cropping.shape(first.height, first.width)
    if is_sideways:
        height, width = width, height
    if source.crop is not None:
        width, height = source.crop.width, source.crop.height
    return held_ratio(ratio * Fraction(width * source.scale.height, height * source.scale.width))


def _kept_rate(rate: Fraction, every: int) -> Fraction:
    """Frame rate in fps when one frame in `every` is kept."""
    return rate if every == 1 else held_ratio(rate / every)


def _note_what_is_missing(
    opened: Source, count: int, start: Fraction, frames: FrameRange, progress: Progress
) -> None:
    """Note what the container promises beyond `count` frames, the first of them at `start` seconds."""
    if opened.is_rate_assumed and count > 1:
        progress.note(f"nothing states the frame rate; {opened.frame_rate} fps is assumed")
    if frames.stop is not None and count < frames.stop - frames.start:
        progress.note(f"the video ends at frame {frames.start + count}, before {frames.stop}")
    promised = opened.claimed_frame_count - opened.hidden_frame_count
    if frames.stop is None and count + frames.start < promised:
        progress.note(f"the container declares {promised} frames, {count + frames.start} can be decoded")
    elif frames.stop is None and opened.is_cut_off:
        rest = Fraction(0) if opened.stated_end is None else (opened.stated_end - start) * opened.frame_rate
        whole = f" of about {frames.start + round(rest)}" if rest > count else ""
        progress.note(f"the input is cut off: {frames.start + count}{whole} frames can be decoded")
