"""Frames in memory as a video file without loss, so that they are encoded as a file is."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from inrcodec.errors import UsageError
from inrcodec.system.files import output_errors

LARGEST_RATE_TERM = 1_000_000


def write_lossless(frames: Iterable[NDArray[np.uint8]], path: Path, fps: Fraction | float) -> int:
    """Write RGB frames (height, width, 3) uint8 to a Matroska file and return their number.

    Raises `UsageError` for frames of another kind, of different sizes, or none, and `OutputError`.
    """
    rate = Fraction(fps).limit_denominator(LARGEST_RATE_TERM)
    if rate <= 0:
        raise UsageError(f"fps: expected a positive number, found {fps}")
    count, shape = 0, None
    with output_errors(path), av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=rate)
        for frame in frames:
            pixels = np.ascontiguousarray(frame)
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                found = f"{pixels.dtype} {pixels.shape}"
                raise UsageError(f"frame {count}: expected uint8 (height, width, 3), found {found}")
            if shape not in (None, pixels.shape):
                raise UsageError(f"frame {count} is {pixels.shape}, those before it are {shape}")
            if shape is None:
                shape = pixels.shape
                stream.height, stream.width, stream.pix_fmt = shape[0], shape[1], "bgr0"
            picture = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            picture.pts, picture.time_base = count, 1 / rate
            container.mux(stream.encode(picture))
            count += 1
        if count == 0:
            raise UsageError("there are no frames to encode")
        container.mux(stream.encode(None))
    return count
