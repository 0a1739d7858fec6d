"""Video files written with PyAV: frames are encoded, extras are muxed as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av import VideoFrame
from av.codec import Codec
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from bitstream import Extras
from inrcodec.errors import OutputError, UsageError
from inrcodec.progress import Progress
from inrcodec.video.color import frame_is_rgb, tags_as_yuv
from inrcodec.video.conversion import to_pixel_format
from inrcodec.video.muxer import PLAY_FROM_FRAME_0, HeldPackets, TrackMuxer
from inrcodec.video.output_clock import OutputClock
from inrcodec.video.properties import VideoProperties

FORMATS: Mapping[str, str] = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}
"""FFmpeg's container name by file suffix."""
AnyExtras = Extras | Callable[[], Extras]
"""Extras of the output, or a function that returns them, called after the last frame."""


@dataclass(frozen=True)
class EncoderDefaults:
    """Quality and options of an encoder: visually lossless, and fast enough to keep up with decoding."""

    crf: int
    options: Mapping[str, str] = field(default_factory=dict)


_ENCODERS: Mapping[str, EncoderDefaults] = {
    "libx264": EncoderDefaults(12, {"preset": "veryfast"}),
    "libx264rgb": EncoderDefaults(12, {"preset": "veryfast"}),
    "libx265": EncoderDefaults(12, {"preset": "veryfast", "x265-params": "log-level=none"}),
    "libvpx-vp9": EncoderDefaults(12, {"b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "1"}),
    "libsvtav1": EncoderDefaults(15, {"preset": "8"}),
    "libaom-av1": EncoderDefaults(15, {"b": "0", "cpu-used": "6", "row-mt": "1"}),
}
_ALIASES: Mapping[str, str] = {
    "h264": "libx264",
    "hevc": "libx265",
    "h265": "libx265",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
}
_WITH_B_FRAMES = ("libx264", "libx265")
_RGB_FORMATS = ("gbrp", "bgr0", "rgb24", "rgb0")
_SVT_LOG_ERRORS = "1"
LEAST_X265_WIDTH = 64
"""Pixels. At 40x32 and 48x64, x265 4.1 writes out of bounds and the process aborts."""
BEYOND_FFMPEG = "its frame rate, pixel aspect ratio or duration exceeds FFmpeg's limit (2^31-1); write .y4m"


def lost_last_duration(target: str) -> str:
    """A note that `target` does not keep how long the last frame lasts."""
    return f"the duration of the last frame is lost: {target} cannot store it"


def encoder_name(suffix: str, codec: str | None) -> str:
    """FFmpeg's encoder for a file suffix and the value of `--codec`."""
    if codec is None:
        return "libvpx-vp9" if suffix == ".webm" else "libx264"
    return _ALIASES.get(codec, codec)


def check_codec(suffix: str, codec: str | None, crf: int | None) -> None:
    """Raise `UsageError` unless the codec exists, encodes video, fits the container and supports `crf`."""
    name = encoder_name(suffix, codec)
    try:
        encoder = Codec(name, "w")
    except (av.error.LookupError, ValueError) as error:
        raise UsageError(
            f"--codec {codec}: PyAV has no encoder of this name; libx264 is the default"
        ) from error
    if encoder.type != "video":
        raise UsageError(f"--codec {codec} does not encode video")
    if suffix == ".webm" and encoder.canonical_name not in ("vp8", "vp9", "av1"):
        raise UsageError(f"a .webm file cannot hold {encoder.canonical_name}; use vp9 or av1, or write .mkv")
    if name not in _ENCODERS and not is_lossless(encoder):
        # Other lossy encoders default to a low bitrate, and each has its own quality option.
        raise UsageError(f"--codec {codec} is not supported; use {', '.join(_ENCODERS)} or ffv1")
    if crf is not None and name not in _ENCODERS:
        known = ", ".join(_ENCODERS)
        raise UsageError(f"--crf does not apply to {name}, which is lossless; it applies to {known}")
    if crf is not None and not 0 <= crf <= 63:
        raise UsageError(f"--crf {crf} is out of range; give 0 (best) to 51 (63 for vp9 and av1)")


def is_lossless(encoder: Codec) -> bool:
    """Whether the encoder has no lossy mode, so that its frames come back unchanged."""
    return encoder.lossless and not encoder.lossy


def pixel_format(encoder: Codec, width: int, height: int) -> str:
    """4:2:0, which every player supports, for even sizes, else full-resolution chroma; RGB if lossless.

    Raises `UsageError` for an encoder that supports none of these formats.
    """
    supported = [known.name for known in encoder.video_formats or []]
    whole = (*_RGB_FORMATS, "yuv444p") if is_lossless(encoder) else ("yuv444p", *_RGB_FORMATS)
    can_halve = width % 2 == height % 2 == 0 and not is_lossless(encoder)
    for name in ("yuv420p", *whole) if can_halve else whole:
        if name in supported:
            return name
    raise UsageError(f"--codec {encoder.name} cannot encode 8-bit frames of {width}x{height}; use libx264")


def loses_aspect_ratio(suffix: str, codec: str | None, properties: VideoProperties) -> bool:
    """Whether the file cannot store that pixels are not square.

    PyAV passes the ratio to the encoder only, not to the muxer, and among these codecs only H.264 and H.265
    store it in their own headers.
    """
    name = encoder_name(suffix, codec)
    return properties.sample_aspect_ratio != 1 and not name.startswith(("libx264", "libx265"))


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
        name = encoder_name(suffix, codec)
        if name == "libx265" and properties.width < LEAST_X265_WIDTH:
            raise OutputError(
                f"cannot write {target}: x265 needs frames at least {LEAST_X265_WIDTH} pixels wide; "
                "use the default codec"
            )
        self._pixel_format = pixel_format(Codec(name, "w"), properties.width, properties.height)
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
        if (defaults := _ENCODERS.get(name)) is not None:
            options = {**defaults.options, "crf": str(defaults.crf if crf is None else crf)}
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
        if self._clock.last_duration is not None and name.startswith(_WITH_B_FRAMES):
            # An .mp4 stores durations in decoding order: the last frame must be the last there too.
            context.max_b_frames = 0
        return stream

    def write(self, frame: NDArray[np.uint8]) -> None:
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
        packets = self._stream.encode(picture)
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
