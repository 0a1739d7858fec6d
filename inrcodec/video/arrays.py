"""Frames in memory as a video file without loss, so that they are encoded as a file is."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from bitstream.header import ColorTags
from inrcodec.errors import UsageError
from inrcodec.samples import Samples, peak_of
from inrcodec.system.files import output_errors
from inrcodec.video.conversion import to_pixel_format

LARGEST_RATE_TERM = 1_000_000
LEAST_RATE, MOST_RATE = Fraction(1), Fraction(1000)


def bounded_rate(rate: Fraction) -> Fraction:
    """A rate that FFmpeg takes. An .inrv file may have terms of 32 bits, at which a filter ends the process.

    The metrics depend on it only in that XPSNR compares with two frames before from 32 fps on.
    """
    return min(max(rate, LEAST_RATE), MOST_RATE).limit_denominator(LARGEST_RATE_TERM)


def write_lossless(frames: Iterable[Samples], path: Path, fps: Fraction | float) -> int:
    """Write RGB frames (height, width, 3) to a Matroska file and return their number.

    They are uint8, or uint16 of 10 bits.

    Raises `UsageError` for frames of another kind, of different sizes, or none, and `OutputError`.
    """
    rate = Fraction(fps).limit_denominator(LARGEST_RATE_TERM)
    if rate <= 0:
        raise UsageError(f"fps: expected a positive number, found {fps}")
    count, name = 0, ""
    kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None
    with output_errors(path), av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=rate)
        for frame in frames:
            pixels = np.ascontiguousarray(frame)
            _check(count, pixels)
            if kind not in (None, (pixels.shape, pixels.dtype)):
                raise UsageError(
                    f"frame {count} is {pixels.dtype} {pixels.shape}, those before it are {kind[1]} {kind[0]}"
                )
            if kind is None:
                kind = pixels.shape, pixels.dtype
                stream.height, stream.width = pixels.shape[:2]
                name = "bgr0" if pixels.dtype == np.uint8 else "gbrp10le"
                stream.pix_fmt = name
            picture = to_pixel_format(pixels, name, ColorTags())
            picture.pts, picture.time_base = count, 1 / rate
            container.mux(stream.encode(picture))
            count += 1
        if count == 0:
            raise UsageError("there are no frames to encode")
        container.mux(stream.encode(None))
    return count


def _check(number: int, pixels: Samples) -> None:
    """Raise `UsageError` for pixels that are not an RGB frame of 8 or 10 bits."""
    is_image = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
    if pixels.dtype not in (np.uint8, np.uint16) or not is_image:
        found = f"{pixels.dtype} {pixels.shape}"
        raise UsageError(
            f"frame {number}: expected uint8 (height, width, 3), or uint16 for 10 bits, found {found}"
        )
    if pixels.max(initial=0) > peak_of(pixels):
        raise UsageError(
            f"frame {number}: expected uint16 samples of 10 bits, 0 to 1023, found {pixels.max()}"
        )
