"""Ordinary codecs through PyAV, from the same RGB frames: real bytes of an elementary stream, decoded again.

What is compared leans to the rivals' side: no container is counted for them, nor the line of settings that
x264 and x265 write into their streams, and 4:2:0 goes to and from RGB with exact rounding.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from bitstream.header import ColorTags
from inrcodec.errors import UsageError
from inrcodec.video.color import to_pixel_format

Frames = NDArray[np.uint8]
RATE = Fraction(25)
_START_CODE = b"\0\0\1"
_SETTINGS_UNIT = 6
_BT709 = ColorTags(primaries=1, transfer=1, matrix=1, full_range=False)


@dataclass(frozen=True)
class Encoder:
    """How FFmpeg's encoder of a rival is run."""

    name: str
    muxer: str
    """Of the elementary stream."""
    crf: tuple[int, ...]
    """Constant rate factors, from fine to coarse."""
    options: Mapping[str, str] = field(default_factory=dict)


ENCODERS = {
    "x264": Encoder("libx264", "h264", (18, 23, 28, 33, 38, 43)),
    "x265": Encoder("libx265", "hevc", (18, 23, 28, 33, 38, 43), {"x265-params": "info=0:log-level=none"}),
    "svtav1": Encoder("libsvtav1", "obu", (20, 28, 36, 44, 52, 60)),
}


@dataclass(frozen=True)
class Rival:
    """One codec at one of its presets, as `x264:medium`."""

    codec: str
    preset: str

    @property
    def name(self) -> str:
        return f"{self.codec}:{self.preset}"

    @property
    def encoder(self) -> Encoder:
        return ENCODERS[self.codec]


def parse_rival(text: str) -> Rival:
    """`x264:medium`; raises `UsageError` for a codec that is not in `ENCODERS`."""
    codec, _, preset = text.partition(":")
    if codec not in ENCODERS or not preset:
        raise UsageError(f"{text!r}: expected CODEC:PRESET with a codec of {', '.join(ENCODERS)}")
    return Rival(codec, preset)


def code(frames: Frames, rival: Rival, crf: int) -> tuple[int, Frames]:
    """Bytes of the stream of `frames` (T, height, width, 3), RGB, and the frames that it decodes to."""
    data = _encode(frames, rival, crf)
    decoded = _decode(data, rival)
    if decoded.shape != frames.shape:
        raise RuntimeError(f"{rival.name} gave frames {decoded.shape} for {frames.shape}")
    return len(data), decoded


def _encode(frames: Frames, rival: Rival, crf: int) -> bytes:
    encoder, buffer = rival.encoder, io.BytesIO()
    options = {"preset": rival.preset, "crf": str(crf), **encoder.options}
    with av.open(buffer, "w", format=encoder.muxer) as container:
        stream = container.add_stream(encoder.name, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(to_pixel_format(frame, "yuv420p", _BT709)))
        container.mux(stream.encode(None))
    data = buffer.getvalue()
    return without_settings(data) if rival.codec == "x264" else data


def without_settings(data: bytes) -> bytes:
    """An H.264 stream in Annex B form without the unit (type 6) in which x264 says how it was run."""
    first, *units = data.split(_START_CODE)
    return _START_CODE.join([first, *(unit for unit in units if unit[0] & 31 != _SETTINGS_UNIT)])


def _decode(data: bytes, rival: Rival) -> Frames:
    with av.open(io.BytesIO(data), "r", format=rival.encoder.muxer) as container:
        return np.stack([_to_rgb(frame) for frame in container.decode(video=0)])


def _to_rgb(frame: VideoFrame) -> Frames:
    converted = frame.reformat(
        format="rgb24",
        src_colorspace=_BT709.matrix,
        src_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP,
    )
    return converted.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
