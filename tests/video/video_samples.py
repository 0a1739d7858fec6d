"""Video and audio files made with PyAV."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs.colours import exact_rgb
from inrcodec.progress import Silent
from inrcodec.video.pixel_planes import converted

Frames = NDArray[np.uint8]


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def gradient(width: int, height: int, count: int = 1) -> Frames:
    """Smooth colours that differ between corners and change slowly, (T, height, width, 3)."""
    row, column = np.mgrid[0:height, 0:width]
    frames = [
        np.stack(
            [
                255 * column / max(1, width - 1),
                255 * row / max(1, height - 1),
                np.full_like(row, (40 + 9 * index) % 256, dtype=float),
            ],
            axis=-1,
        )
        for index in range(count)
    ]
    return np.stack(frames).round().astype(np.uint8)


def write_video(
    path: Path,
    frames: Frames,
    codec: str = "libx264",
    pixel_format: str = "yuv444p",
    rate: Fraction = Fraction(25),
    timestamps: list[int] | None = None,
    prepare: Callable[[Any], None] | None = None,
    options: dict[str, str] | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
) -> Path:
    """Write one video stream with PyAV alone, independent of `inrcodec.video`."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = pixel_format
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if timestamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if prepare is not None:
            prepare(stream)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if colorspace is not None:
                frame.colorspace = colorspace
            frame = converted(frame, pixel_format, color_range=color_range)
            if timestamps is not None:
                frame.pts, frame.time_base = timestamps[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Write a tenth of a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        for index in range(5):
            frame.pts = 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def plain_rgb(path: Path) -> Frames:
    """The frames as PyAV converts them to `rgb24`."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def exact_frames(path: Path) -> NDArray[np.float64]:
    """The frames in RGB (T, height, width, 3) by the exact formula, unrounded."""
    with av.open(str(path)) as container:
        return np.stack([exact_rgb(frame) for frame in container.decode(video=0)])
