"""Selections of a source as numbers: times become frames, and relative sizes become pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av import VideoFrame

from bitstream.header import SourcePart, StreamHeader
from inrcodec.errors import NotAVideo, UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.settings.source import Crop, FrameRange, Size, SourceSettings, TimeRange
from inrcodec.text import counted
from inrcodec.video.geometry import display_turn
from inrcodec.video.sources import Source, open_source
from inrcodec.video.timestamps import ROUNDING


def settled(path: str, source: SourceSettings, progress: Progress | None = None) -> SourceSettings:
    """The same selection in frames and pixels: without `times`, `scale_share` and sides of -1.

    Reads the video at `path` up to the end of `times`; it must be readable again. Raises `UsageError` for a
    selection without frames, and as `read_clip` does.
    """
    is_relative = source.scale is not None and min(source.scale.width, source.scale.height) < 0
    if source.times is None and source.scale_share is None and not is_relative:
        return source
    try:
        with open_source(path, Silent(), source.stream) as opened:
            first = next(opened.frames, None)
            if first is None:
                raise NotAVideo(f"{path} is not a video: none of its frames can be decoded")
            size = _selected_size(first, opened, source)
            if source.times is None:
                return replace(source, scale=size, scale_share=None)
            frames = _frames_of(source.times, opened, first, progress or Silent())
    except av.FFmpegError as error:
        raise NotAVideo(f"{path} cannot be decoded: {error.strerror or error}") from error
    return replace(source, frames=frames, times=None, scale=size, scale_share=None)


def _selected_size(first: VideoFrame, opened: Source, source: SourceSettings) -> Size | None:
    """The size in pixels to which `source` scales its frames; None if it does not scale them."""
    height, width = opened.cropping.within(first.height, first.width).shape(first.height, first.width)
    try:
        is_sideways = display_turn(first)[1]
    except ValueError:
        is_sideways = False
    if is_sideways:
        height, width = width, height
    if source.crop is not None:
        height, width = source.crop.height, source.crop.width
    if source.scale_share is not None:
        share = Fraction(source.scale_share)
        return Size(max(1, round(width * share)), max(1, round(height * share)))
    if source.scale is None:
        return None
    wide, high = source.scale.width, source.scale.height
    if wide < 0:
        return Size(_side(wide, Fraction(high * width, height)), high)
    return Size(wide, _side(high, Fraction(wide * height, width))) if high < 0 else source.scale


def _side(rule: int, exact: Fraction) -> int:
    """The whole side nearest to the exact one; a multiple of 2 if the rule is -2."""
    return max(-rule, -rule * round(exact / -rule))


def _frames_of(times: TimeRange, opened: Source, first: VideoFrame, progress: Progress) -> FrameRange:
    """The numbers of the frames that begin in `times`; raises `UsageError` if there are none."""
    start = stop = None
    count = 0
    for count, seconds in enumerate(_seconds(opened, first), start=1):
        if start is None and seconds + ROUNDING >= times.start:
            start = count - 1
        if times.stop is not None and seconds + ROUNDING >= times.stop:
            stop = count - 1
            break
        progress.stage("looking up times", count, max(count, opened.estimated_frame_count))
    if start is None or start == stop:
        until = "" if times.stop is None else f"{float(times.stop):g}s"
        raise UsageError(
            f"no frame begins in {float(times.start):g}s:{until}; the video has {counted(count, 'frame')}"
        )
    return FrameRange(start, stop)


def _seconds(opened: Source, first: VideoFrame) -> Iterator[Fraction]:
    """Time of each frame in seconds from the first one; at the stated rate where times are missing."""
    begin, rate, number = first.pts, opened.frame_rate, 0
    frame: VideoFrame | None = first
    while frame is not None:
        if begin is None or frame.pts is None or opened.has_guessed_times:
            yield number / rate
        else:
            yield (frame.pts - begin) * Fraction(frame.time_base or opened.time_base)
        frame, number = next(opened.frames, None), number + 1


def part_of(source: SourceSettings) -> SourcePart | None:
    """The record by which a file says its settled selection; None for a whole source."""
    crop, scale = source.crop or Size(0, 0), source.scale or Size(0, 0)
    part = SourcePart(
        first_frame=source.frames.start,
        every=source.every,
        stream=0 if source.stream is None else source.stream + 1,
        bit_depth=source.bit_depth or 0,
        crop_width=crop.width,
        crop_height=crop.height,
        crop_x=crop.x + 1 if isinstance(crop, Crop) else 0,
        crop_y=crop.y + 1 if isinstance(crop, Crop) else 0,
        scale_width=scale.width,
        scale_height=scale.height,
    )
    is_whole = part == SourcePart() and source.frames.stop is None
    return None if is_whole else part


def selection_of(header: StreamHeader) -> SourceSettings:
    """The selection of the source whose frames a file holds; the whole source if it does not say."""
    part = header.part
    if part is None:
        return SourceSettings()
    crop = Size(part.crop_width, part.crop_height)
    if part.crop_x:
        crop = Crop(part.crop_width, part.crop_height, part.crop_x - 1, part.crop_y - 1)
    return SourceSettings(
        frames=FrameRange(part.first_frame, part.first_frame + (header.frame_count - 1) * part.every + 1),
        crop=crop if part.crop_width else None,
        scale=Size(part.scale_width, part.scale_height) if part.scale_width else None,
        bit_depth=part.bit_depth or None,
        every=part.every,
        stream=part.stream - 1 if part.stream else None,
    )
