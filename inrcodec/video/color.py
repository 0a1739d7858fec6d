"""Colour tags of PyAV frames as H.273 code points."""

from __future__ import annotations

from dataclasses import replace

from av import VideoFrame
from av.video.reformatter import ColorRange

from bitstream.header import ColorTags

UNSPECIFIED = 2
_IDENTITY_MATRIX = 0
BT709_MATRIX = 1
_KNOWN_MATRICES = frozenset({1, 2, 4, 5, 6, 7, 9})
"""Matrices that swscale converts: BT.709, unspecified, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020."""
_RESERVED = frozenset({0, 3})
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_LARGEST_SD = (1279, 576)
"""Width and height, pixels, up to which players take a video without a matrix for BT.601."""


def color_tags(frame: VideoFrame) -> ColorTags:
    """The frame's primaries, transfer, matrix and range; reserved codes become 2 (unspecified)."""
    if frame.format.is_rgb or frame.format.has_palette:
        matrix, full_range = _IDENTITY_MATRIX, True
    else:
        matrix = UNSPECIFIED if frame.colorspace in _RESERVED else int(frame.colorspace)
        full_range = is_full_range(frame)
    primaries, transfer = (
        UNSPECIFIED if code in _RESERVED else int(code) for code in (frame.color_primaries, frame.color_trc)
    )
    return ColorTags(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)


def assume_matrix(frame: VideoFrame) -> None:
    """Tag a YUV frame without a matrix as BT.709 if it is larger than standard definition, as players do."""
    is_large = frame.width > _LARGEST_SD[0] or frame.height > _LARGEST_SD[1]
    if is_large and color_tags(frame).matrix == UNSPECIFIED:
        frame.colorspace = BT709_MATRIX


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black and white have the codes 0 and 255, not 16 and 235; grey without a tag has them."""
    name = frame.format.name
    if frame_is_grey(name):
        return frame.color_range != ColorRange.MPEG
    return frame.color_range == ColorRange.JPEG or name.startswith("yuvj")


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
        matrix = BT709_MATRIX if can_be_tagged else UNSPECIFIED
        return replace(tags, matrix=matrix, full_range=False)
    return tags


def frame_is_rgb(pixel_format: str) -> bool:
    """Whether a PyAV pixel format holds RGB samples."""
    return pixel_format.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr"))


def frame_is_grey(pixel_format: str) -> bool:
    """Whether a PyAV pixel format holds luma without chroma."""
    return pixel_format.startswith(("gray", "ya8", "ya16"))
