"""The encoders of video files: names, defaults, and the pixel formats in which they take frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import av
from av import VideoFrame
from av.codec import Codec
from av.video.stream import VideoStream

from inrcodec.errors import UsageError
from inrcodec.system.priority import ordinary_priority
from inrcodec.video.properties import VideoProperties


@dataclass(frozen=True)
class EncoderDefaults:
    """Quality and options of an encoder: visually lossless, and fast enough to keep up with decoding."""

    crf: int
    options: Mapping[str, str] = field(default_factory=dict)


ENCODERS: Mapping[str, EncoderDefaults] = {
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
_RGB_FORMATS = ("gbrp", "bgr0", "rgb24", "rgb0")
_DEEP_RGB_FORMATS = ("gbrp10le",)
LEAST_X265_WIDTH = 64
"""Pixels. At 40x32 and 48x64, x265 4.1 writes out of bounds and the process aborts."""
_LEAST_SIDE = 64
"""Pixels. SVT-AV1 never ends at 2000x16, and x265 refuses frames of 2 rows."""


def encoder_name(suffix: str, codec: str | None, properties: VideoProperties | None = None) -> str:
    """FFmpeg's encoder for a file suffix and the value of `--codec`.

    Frames of 10 bits are written by default with the codecs that players expect then: H.265, or AV1 in WebM.
    Sizes that these cannot encode are written as frames of 8 bits are.
    """
    if codec is not None:
        return _ALIASES.get(codec, codec)
    is_webm = suffix == ".webm"
    if properties is not None and properties.bit_depth > 8:
        width, height = properties.width, properties.height
        deep = "libsvtav1" if is_webm else "libx265"
        is_possible = min(width, height) >= _LEAST_SIDE and (width % 2 == height % 2 == 0 or not is_webm)
        if is_possible and deep in av.codecs_available:
            return deep
    return "libvpx-vp9" if is_webm else "libx264"


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
    if name not in ENCODERS and not is_lossless(encoder):
        # Other lossy encoders default to a low bitrate, and each has its own quality option.
        raise UsageError(f"--codec {codec} is not supported; use {', '.join(ENCODERS)} or ffv1")
    if crf is not None and name not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise UsageError(f"--crf does not apply to {name}, which is lossless; it applies to {known}")
    if crf is not None and not 0 <= crf <= 63:
        raise UsageError(f"--crf {crf} is out of range; give 0 (best) to 51 (63 for vp9 and av1)")


def is_lossless(encoder: Codec) -> bool:
    """Whether the encoder has no lossy mode, so that its frames come back unchanged."""
    return encoder.lossless and not encoder.lossy


def pixel_format(encoder: Codec, width: int, height: int, bit_depth: int = 8) -> str:
    """4:2:0, which every player supports, for even sizes, else full-resolution chroma; RGB if lossless.

    It has 10 bits if frames do and the encoder takes them. Raises `UsageError` for an encoder that supports
    none of these formats.
    """
    supported: set[str] = {known.name for known in encoder.video_formats or []}
    can_halve = width % 2 == height % 2 == 0 and not is_lossless(encoder)
    for end in ("10le", "") if bit_depth > 8 else ("",):
        full, colours = f"yuv444p{end}", _DEEP_RGB_FORMATS if end else _RGB_FORMATS
        whole = (*colours, full) if is_lossless(encoder) else (full, *colours)
        for name in (f"yuv420p{end}", *whole) if can_halve else whole:
            if name in supported:
                return str(name)
    raise UsageError(f"--codec {encoder.name} cannot encode frames of {width}x{height}; use libx264")


def encoded(stream: VideoStream, picture: VideoFrame | None) -> list[av.Packet[VideoStream]]:
    """Packets that the encoder puts out for a picture, or at the end for None; the first picture opens it."""
    if stream.codec_context.is_open:
        return stream.encode(picture)
    with ordinary_priority():
        return stream.encode(picture)


def loses_aspect_ratio(suffix: str, codec: str | None, properties: VideoProperties) -> bool:
    """Whether the file cannot store that pixels are not square.

    PyAV passes the ratio to the encoder only, not to the muxer, and among these codecs only H.264 and H.265
    store it in their own headers.
    """
    name = encoder_name(suffix, codec, properties)
    return properties.sample_aspect_ratio != 1 and not name.startswith(("libx264", "libx265"))
