"""Video files written with PyAV: frames are encoded, extras are muxed as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
from av import VideoFrame
from av.codec import Codec
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from bitstream import Extras
from inrcodec.errors import OutputError
from inrcodec.progress import Progress
from inrcodec.samples import Samples
from inrcodec.video.color import frame_is_rgb, tags_as_yuv
from inrcodec.video.conversion import to_pixel_format
from inrcodec.video.deep import bits_of
from inrcodec.video.encoders import ENCODERS, LEAST_X265_WIDTH, encoded, encoder_name, pixel_format
from inrcodec.video.light import LIGHT, has_light, light_options, takes_light
from inrcodec.video.muxer import PLAY_FROM_FRAME_0, HeldPackets, TrackMuxer
from inrcodec.video.output_clock import OutputClock
from inrcodec.video.properties import VideoProperties

FORMATS: Mapping[str, str] = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}
"""FFmpeg's container name by file suffix."""
AnyExtras = Extras | Callable[[], Extras]
"""Extras of the output, or a function that returns them, called after the last frame."""


_WITH_B_FRAMES = ("libx264", "libx265")
_LEAST_X265_FRAMES = 3
"""Frames of a video from which on x265 may reorder them."""
_SVT_LOG_ERRORS = "1"
_PLAYED_TAGS = {("mp4", "libx265"): "hvc1", ("mov", "libx265"): "hvc1"}
"""Codec tags that players of Apple need; FFmpeg's default for H.265 is hev1, which they refuse."""
BEYOND_FFMPEG = "its frame rate, pixel aspect ratio or duration exceeds FFmpeg's limit (2^31-1); write .y4m"


def lost_last_duration(target: str) -> str:
    """A note that `target` does not keep how long the last frame lasts."""
    return f"the duration of the last frame is lost: {target} cannot store it"


class ContainerWriter:
    """Encodes frames into an open file and muxes the extras without re-encoding.

    If `extras` is a function, it is called after the last frame. Until then packets wait in a temporary file
    beside the target, because a container must know its streams before the first packet.

    As a context manager it finishes the file, or gives it up after an exception.
    """

    def __init__(
        self,
        file: BinaryIO,
        target: str,
        properties: VideoProperties,
        codec: str | None,
        crf: int | None,
        extras: AnyExtras,
        progress: Progress,
    ) -> None:
        self._target = target
        self._extras = extras
        self._progress = progress
        self._count = 0
        suffix = "." + target.rsplit(".", 1)[-1].lower()
        name = encoder_name(suffix, codec, properties)
        if name == "libx265" and properties.width < LEAST_X265_WIDTH:
            raise OutputError(
                f"cannot write {target}: x265 needs frames at least {LEAST_X265_WIDTH} pixels wide; "
                "use the default codec"
            )
        self._pixel_format = pixel_format(
            Codec(name, "w"), properties.width, properties.height, properties.bit_depth
        )
        if properties.bit_depth > 8 and bits_of(VideoFormat(self._pixel_format)) == 8:
            progress.note(f"frames of 10 bits are written with 8: {name} takes no more; use hevc or av1")
        if has_light(properties) and not takes_light(name):
            progress.note(f"{LIGHT} are lost: {name} does not write them; use h264, hevc or av1")
        self._properties = properties
        self._tags = tags_as_yuv(properties.color, can_be_tagged=True)
        with self._errors():
            self._clock = OutputClock(properties)
            if self._clock.loses_last_duration:
                progress.note(lost_last_duration(target))
            self._container = av.open(file, "w", format=FORMATS[suffix], options=self._muxer_options(suffix))
            self._stream = self._add_stream(name, properties, crf)
            self._tracks = None if callable(extras) else self._track_muxer(extras)
            self._held = HeldPackets(Path(target).resolve().parent) if callable(extras) else None

    def _muxer_options(self, suffix: str) -> dict[str, str]:
        timescale = self._clock.track_timescale
        is_told = timescale is not None and FORMATS[suffix] in PLAY_FROM_FRAME_0
        return {"video_track_timescale": str(timescale)} if is_told else {}

    def _track_muxer(self, extras: Extras) -> TrackMuxer:
        return TrackMuxer(self._container, self._target, extras, self._progress)

    def _add_stream(self, name: str, properties: VideoProperties, crf: int | None) -> VideoStream:
        options: dict[str, str] = {}
        if (defaults := ENCODERS.get(name)) is not None:
            options = {**defaults.options, "crf": str(defaults.crf if crf is None else crf)}
        options = light_options(name, properties, options)
        if name == "libsvtav1":
            # SVT-AV1 logs to stderr itself, and only this variable limits that.
            os.environ.setdefault("SVT_LOG", _SVT_LOG_ERRORS)
        stream = self._container.add_stream(name, rate=properties.frame_rate, options=options)
        if not isinstance(stream, VideoStream):
            raise OutputError(f"cannot write {self._target}: {name} does not encode video")
        context = stream.codec_context
        context.width, context.height = properties.width, properties.height
        context.pix_fmt = self._pixel_format
        context.time_base = self._clock.time_base
        stream.time_base = self._clock.time_base
        context.framerate = properties.frame_rate
        context.sample_aspect_ratio = properties.sample_aspect_ratio
        context.color_primaries = self._tags.primaries
        context.color_trc = self._tags.transfer
        if not frame_is_rgb(self._pixel_format):
            context.colorspace = self._tags.matrix
            context.color_range = int(ColorRange.JPEG if self._tags.full_range else ColorRange.MPEG)
        context.thread_type = "AUTO"
        if (tag := _PLAYED_TAGS.get((self._container.format.name, name))) is not None:
            context.codec_tag = tag
        # An .mp4 stores durations in decoding order: the last frame must be the last there too.
        is_last_held = self._clock.last_duration is not None and name.startswith(_WITH_B_FRAMES)
        # x265 gives one or two frames random decoding times.
        if is_last_held or (name == "libx265" and properties.frame_count < _LEAST_X265_FRAMES):
            context.max_b_frames = 0
        return stream

    def write(self, frame: Samples) -> None:
        """Append one RGB frame (height, width, 3). Raises `OutputError`."""
        with self._errors():
            picture = to_pixel_format(frame, self._pixel_format, self._tags)
            picture.time_base = self._clock.time_base
            picture.pts = self._clock.timestamp(self._count)
            packets = self._encoded(picture)
            if self._held is not None:
                self._held.add(packets)
            elif self._tracks is not None:
                self._container.mux(packets)
                self._tracks.mux_until(picture.pts * self._clock.time_base)
        self._count += 1

    def _encoded(self, picture: VideoFrame | None) -> list[av.Packet[VideoStream]]:
        """Packets that the encoder puts out for a picture, or at the end for None."""
        packets = encoded(self._stream, picture)
        if self._clock.last_duration is not None:
            final = self._clock.timestamp(self._properties.frame_count - 1)
            for packet in packets:
                if packet.pts == final:
                    packet.duration = self._clock.last_duration
        return packets

    def _finish(self) -> None:
        """Flush the encoder and mux the packets that waited for the extras."""
        packets = self._encoded(None)
        tracks = self._tracks
        if callable(self._extras) and self._held is not None:
            self._held.add(packets)
            tracks = self._track_muxer(self._extras())
            self._held.mux(self._container, self._stream, tracks)
        else:
            self._container.mux(packets)
        if tracks is not None:
            tracks.mux_until(None)
        self._container.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self._target}: {error.strerror or error}") from error
        except OverflowError as error:
            raise OutputError(f"cannot write {self._target}: {BEYOND_FFMPEG}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_finished = False
        try:
            if kind is None:
                with self._errors():
                    self._finish()
                is_finished = True
        finally:
            if not is_finished:
                self._give_up()
            if self._held is not None:
                self._held.close()

    def _give_up(self) -> None:
        try:
            # The file is discarded, so errors of the muxer no longer matter.
            self._container.close()
        except (av.FFmpegError, OSError):
            pass
