"""Writes YUV4MPEG2 (y4m), the uncompressed video that tools pass through pipes.

Samples of 8 or 10 bits are 4:4:4 in the matrix and range of the source: 4:2:0 would discard decoded chroma
and cannot halve an odd size. The format has no tag for the matrix. As with any y4m of a BT.709 video, the
reader must be told the matrix where it matters.
"""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO

from inrcodec.samples import Samples, sample_type
from inrcodec.video.color import tags_as_yuv
from inrcodec.video.conversion import to_pixel_format
from inrcodec.video.pixel_planes import plane_samples
from inrcodec.video.properties import VideoProperties


def header_line(properties: VideoProperties, full_range: bool) -> bytes:
    """The stream header: size, frame rate, progressive, sample aspect ratio, 4:4:4, range."""
    fields = [
        "YUV4MPEG2",
        f"W{properties.width}",
        f"H{properties.height}",
        f"F{_ratio(properties.frame_rate)}",
        "Ip",
        f"A{_ratio(properties.sample_aspect_ratio)}",
        "C444" if properties.bit_depth == 8 else "C444p10",
        f"XCOLORRANGE={'FULL' if full_range else 'LIMITED'}",
    ]
    return (" ".join(fields) + "\n").encode("ascii")


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}:{value.denominator}"


class Y4MWriter:
    """Writes frames to a binary file one by one; the caller opens and closes the file."""

    def __init__(self, file: BinaryIO, properties: VideoProperties) -> None:
        self._file = file
        self._tags = tags_as_yuv(properties.color, can_be_tagged=False)
        is_deep = properties.bit_depth > 8
        self._pixel_format = "yuv444p10le" if is_deep else "yuv444p"
        self._kind = sample_type(properties.bit_depth)
        file.write(header_line(properties, self._tags.full_range))

    def write(self, frame: Samples) -> None:
        """Append one RGB frame (height, width, 3) and flush it, so that a pipe's reader gets it at once."""
        picture = to_pixel_format(frame, self._pixel_format, self._tags)
        # Samples of 10 bits are little-endian.
        planes = [plane_samples(plane, self._kind).tobytes() for plane in picture.planes]
        self._file.write(b"".join((b"FRAME\n", *planes)))
        self._file.flush()

    def finish(self) -> None:
        """Flush the file."""
        self._file.flush()
