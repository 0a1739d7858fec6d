"""Ordinary codecs through PyAV: the same RGB frames encoded into real elementary streams and decoded again.

The comparison favours them: neither a container is counted nor the settings that x264 and x265 write into
their streams, and 4:2:0 is converted from and to RGB with exact rounding. Each uses as many threads as it
wants.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from bitstream.header import ColorTags
from inrcodec.errors import InrcError, UsageError
from inrcodec.samples import Samples, depth_of
from inrcodec.video.conversion import rgb_pixels, to_pixel_format
from inrcodec.video.encoders import encoded

Frames = Samples
RATE = Fraction(25)
_START_CODE = b"\0\0\1"
_SETTINGS_UNIT = 6
_BT709 = ColorTags(primaries=1, transfer=1, matrix=1, full_range=False)
_X26_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)


class RivalFailed(InrcError):
    """An ordinary codec cannot encode or decode these frames."""


@dataclass(frozen=True)
class Encoder:
    """How FFmpeg's encoder of an ordinary codec is run."""

    name: str
    muxer: str
    """FFmpeg's format of the elementary stream."""
    presets: tuple[str, ...]
    crf: tuple[int, ...]
    """Constant rate factors from fine to coarse, evenly spaced."""
    coarsest_crf: int
    options: Mapping[str, str] = field(default_factory=dict)
    least_side: int = 1
    """Smallest width and height of its frames, pixels."""
    crf_parts: int = 1
    """Parts of a unit of the rate factor that change the stream."""


ENCODERS = {
    "x264": Encoder(
        "libx264", "h264", (*_X26_PRESETS, "placebo"), (18, 23, 28, 33, 38, 43), 51, crf_parts=10
    ),
    "x265": Encoder(
        "libx265",
        "hevc",
        (*_X26_PRESETS, "placebo"),
        (18, 23, 28, 33, 38, 43),
        51,
        {"x265-params": "info=0:log-level=none"},
        # At 48x32 and low factors it corrupts the memory of the process.
        least_side=64,
        crf_parts=10,
    ),
    "svtav1": Encoder("libsvtav1", "obu", tuple(map(str, range(14))), (20, 28, 36, 44, 52, 60), 63),
}


@dataclass(frozen=True)
class Rival:
    """One codec at one of its presets, such as `x264:medium`."""

    codec: str
    preset: str

    @property
    def name(self) -> str:
        return f"{self.codec}:{self.preset}"

    @property
    def encoder(self) -> Encoder:
        return ENCODERS[self.codec]

    @property
    def is_installed(self) -> bool:
        """Whether this build of FFmpeg has the encoder."""
        try:
            av.codec.Codec(self.encoder.name, "w")
        except UnknownCodecError:
            return False
        return True


def parse_rival(text: str) -> Rival:
    """Parse a text such as `x264:medium`; raises `UsageError` for an unknown codec or preset."""
    codec, _, preset = text.partition(":")
    if codec not in ENCODERS or not preset:
        raise UsageError(f"{text!r}: expected CODEC:PRESET with CODEC one of {', '.join(ENCODERS)}")
    if preset not in ENCODERS[codec].presets:
        raise UsageError(f"{text!r}: presets of {codec} are {', '.join(ENCODERS[codec].presets)}")
    return Rival(codec, preset)


def encode_stream(frames: Frames, rival: Rival, crf: float, rate: Fraction = RATE) -> bytes:
    """The elementary stream of `frames` (T, height, width, 3), RGB, at `rate` fps.

    4:2:0 needs even sizes, so a missing row or column repeats the last one. Raises `RivalFailed`.
    """
    encoder, buffer = rival.encoder, io.BytesIO()
    options = {"preset": rival.preset, "crf": f"{crf:g}", **encoder.options}
    # Otherwise SVT-AV1 prints its settings to stderr.
    os.environ.setdefault("SVT_LOG", "1")
    height, width = frames.shape[1:3]
    name = "yuv420p" if depth_of(frames) == 8 else "yuv420p10le"
    if min(height, width) < encoder.least_side:
        raise RivalFailed(f"{rival.name} is not safe with frames of {width}x{height}")
    edges = ((0, height % 2), (0, width % 2), (0, 0))
    with _failures(rival, "encode", width, height):
        with av.open(buffer, "w", format=encoder.muxer) as container:
            stream = cast(VideoStream, container.add_stream(encoder.name, rate=rate, options=options))
            stream.height, stream.width = height + height % 2, width + width % 2
            stream.pix_fmt = name
            for frame in frames:
                even = np.pad(frame, edges, mode="edge")
                container.mux(encoded(stream, to_pixel_format(even, name, _BT709)))
            container.mux(stream.encode(None))
    data = buffer.getvalue()
    return without_settings(data) if rival.codec == "x264" else data


def without_settings(data: bytes) -> bytes:
    """An H.264 stream in Annex B form without the SEI units (type 6) in which x264 writes its settings."""
    first, *units = data.split(_START_CODE)
    return _START_CODE.join([first, *(unit for unit in units if unit[0] & 31 != _SETTINGS_UNIT)])


def decoded_frames(
    data: bytes, rival: Rival, height: int, width: int, bit_depth: int = 8
) -> Iterator[Frames]:
    """The frames of a stream from `encode_stream` one by one, RGB, cropped to (height, width, 3).

    Raises `RivalFailed`.
    """
    with (
        _failures(rival, "decode", width, height),
        av.open(io.BytesIO(data), "r", format=rival.encoder.muxer) as container,
    ):
        for frame in container.decode(video=0):
            frame.colorspace, frame.color_range = _BT709.matrix, ColorRange.MPEG
            yield rgb_pixels(frame, bit_depth)[:height, :width]


@contextmanager
def _failures(rival: Rival, does: str, width: int, height: int) -> Iterator[None]:
    """Turn errors of FFmpeg, and of PyAV for numbers beyond FFmpeg's range, into `RivalFailed`."""
    try:
        yield
    except (av.FFmpegError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RivalFailed(f"{rival.name} cannot {does} frames of {width}x{height}: {reason}") from error
