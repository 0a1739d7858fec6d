"""Colour tags of PyAV frames as H.273 code points, and conversion of RGB frames back to YUV by such tags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from bitstream.header import ColorTags

UNSPECIFIED = 2
_IDENTITY_MATRIX = 0
_BT709_MATRIX = 1
_KNOWN_MATRICES = frozenset({1, 2, 4, 5, 6, 7, 9})
"""Matrices that swscale converts: BT.709, unspecified, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020."""
_RESERVED = frozenset({0, 3})
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def color_tags(frame: VideoFrame) -> ColorTags:
    """The frame's primaries, transfer, matrix and range; reserved codes become 2 (unspecified)."""
    if frame.format.is_rgb or frame.format.has_palette:
        matrix, full_range = _IDENTITY_MATRIX, True
    else:
        matrix = UNSPECIFIED if frame.colorspace in _RESERVED else int(frame.colorspace)
        full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    primaries, transfer = (
        UNSPECIFIED if code in _RESERVED else int(code) for code in (frame.color_primaries, frame.color_trc)
    )
    return ColorTags(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)


def is_convertible(tags: ColorTags) -> bool:
    """Whether swscale converts the matrix; for YCgCo, ICtCp and the like it would silently use another."""
    return tags.matrix == _IDENTITY_MATRIX or tags.matrix in _KNOWN_MATRICES


def hdr_name(tags: ColorTags) -> str | None:
    """`PQ` or `HLG` if the transfer is one of these, else None."""
    return _HDR_TRANSFERS.get(tags.transfer)


def tags_as_yuv(tags: ColorTags, can_be_tagged: bool) -> ColorTags:
    """Tags with which frames of a video with `tags` are written as YUV.

    Only RGB sources, which have no matrix, get other tags. They are written as BT.709 if the file can be
    tagged, else untagged, which PyAV (and most players, for small videos) reads as BT.601. Either way PyAV
    reads back the colours that were written.
    """
    if tags.matrix == _IDENTITY_MATRIX or tags.matrix not in _KNOWN_MATRICES:
        matrix = _BT709_MATRIX if can_be_tagged else UNSPECIFIED
        return replace(tags, matrix=matrix, full_range=False)
    return tags


def to_pixel_format(rgb: NDArray[np.uint8], pixel_format: str, tags: ColorTags) -> VideoFrame:
    """An RGB frame (height, width, 3) converted to `pixel_format` by the matrix and the range of `tags`.

    Samples are within 1 of the exact formula. (swscale's fast path from 4:2:0 back to RGB truncates, so PyAV,
    unlike a browser, reads them about one level darker.)
    """
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    if not frame_is_rgb(pixel_format):
        color_range = ColorRange.JPEG if tags.full_range else ColorRange.MPEG
        # PyAV copies the source frame's matrix to the converted frame, and swscale converts by that.
        frame.colorspace = tags.matrix
        frame = frame.reformat(
            format=pixel_format,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
            dst_color_range=color_range,
        )
        frame.colorspace = tags.matrix
        frame.color_range = color_range
    elif pixel_format != "rgb24":
        frame = frame.reformat(format=pixel_format)
    frame.color_primaries = tags.primaries
    frame.color_trc = tags.transfer
    return frame


def yuv_planes(rgb: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Y (height, width), U and V at half of both, of an RGB frame: BT.709, limited range, 4:2:0."""
    height, width = rgb.shape[:2]
    frame = to_pixel_format(rgb, "yuv420p", ColorTags(matrix=_BT709_MATRIX))
    planes = []
    for plane, (rows, columns) in zip(
        frame.planes, [(height, width)] + 2 * [(-(-height // 2), -(-width // 2))], strict=True
    ):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(lines[:rows, :columns].copy())
    return planes


def frame_is_rgb(pixel_format: str) -> bool:
    """Whether a PyAV pixel format holds RGB samples."""
    return pixel_format.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr"))
