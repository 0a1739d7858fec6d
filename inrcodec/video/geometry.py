"""Turning, cropping and scaling decoded frames before they are fitted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation

from inrcodec.errors import UsageError
from inrcodec.samples import Samples, depth_of
from inrcodec.settings.source import Crop, Size
from inrcodec.video.conversion import rgb_pixels
from inrcodec.video.deep import widened
from inrcodec.video.pixel_planes import converted
from inrcodec.video.side_data import side_data

Frame = Samples
"""RGB, (height, width, 3)."""
Turn = Callable[[Frame], Frame]
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
TRANSPARENCY_NOTE = "transparency is not carried: pixels are coded as if opaque"


def is_transparent(frame: VideoFrame) -> bool:
    """Whether any pixel is not opaque."""
    if not any(component.is_alpha for component in frame.format.components):
        return False
    alpha = converted(frame, "rgba").to_ndarray()[..., 3]
    return bool(alpha.min() < 255)


def display_turn(frame: VideoFrame) -> tuple[Turn, bool]:
    """How to turn the frame as its display matrix says, and whether that swaps width and height.

    Raises `ValueError` for a matrix that does not turn by a multiple of 90 degrees (mirrored or not).
    """
    for data in side_data(frame):
        if data.type == Type.DISPLAYMATRIX:
            matrix = np.frombuffer(memoryview(data).tobytes()[:36], dtype="<i4")
            return _turn_by(int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4]))
    return unturned, False


def unturned(frame: Frame) -> Frame:
    """The turn that leaves a frame unchanged."""
    return frame


def _turn_by(a: int, b: int, c: int, d: int) -> tuple[Turn, bool]:
    """The turn that moves the pixel at column p, row q to column a p + c q, row b p + d q."""
    if b == c == 0 and a != 0 != d:
        if a > 0 and d > 0:
            return unturned, False
        return lambda frame: frame[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1], False
    if a == d == 0 and b != 0 != c:
        return lambda frame: frame.swapaxes(0, 1)[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1], True
    raise ValueError("the display matrix does not turn by a multiple of 90 degrees")


def cropped(frame: Frame, size: Size) -> Frame:
    """The rectangle `size` of the frame, or its centre; see `crop_margins`.

    Raises `UsageError` for a crop that reaches beyond the frame.
    """
    height, width = frame.shape[:2]
    if size.width > width or size.height > height:
        raise UsageError(f"--crop {size.width}x{size.height} is larger than the frames ({width}x{height})")
    top, left = crop_margins(height, width, size)
    if left + size.width > width or top + size.height > height:
        raise UsageError(
            f"--crop {size.width}x{size.height}+{left}+{top} reaches beyond the frames ({width}x{height})"
        )
    return frame[top : top + size.height, left : left + size.width]


def crop_margins(height: int, width: int, size: Size) -> tuple[int, int]:
    """Rows above and columns left of the crop; a centred one leaves an odd row or column below or right."""
    if isinstance(size, Crop):
        return size.y, size.x
    return (height - size.height) // 2, (width - size.width) // 2


def scale(frame: Frame, size: Size) -> Frame:
    """The frame resized: exact box averages for whole ratios, else swscale's area (smaller) or bicubic."""
    height, width = frame.shape[:2]
    if (width, height) == (size.width, size.height):
        return frame
    if width % size.width == 0 and height % size.height == 0:
        return box_average(frame, size)
    shrinks = size.width <= width and size.height <= height
    kind = Interpolation.AREA if shrinks else Interpolation.BICUBIC
    if depth_of(frame) > 8:
        return _deep_scale(frame, size, kind)
    whole = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return rgb_pixels(converted(whole, "rgb24", kind, width=size.width, height=size.height))


def _deep_scale(frame: Frame, size: Size, kind: Interpolation) -> Frame:
    """The frame of 10 bits resized; swscale computes with 16."""
    whole = VideoFrame.from_ndarray(np.ascontiguousarray(widened(frame)), format="rgb48le")
    resized = converted(whole, "rgb48le", kind | _EXACT, width=size.width, height=size.height)
    return rgb_pixels(resized, 10)


def box_average(frame: Frame, size: Size) -> Frame:
    """Means of equal boxes of pixels, rounded to nearest (halves up); `size` must divide the frame's."""
    height, width = frame.shape[:2]
    rows, columns = height // size.height, width // size.width
    sums = frame.reshape(size.height, rows, width * 3).sum(axis=1, dtype=np.uint32)
    sums = sums.reshape(size.height, size.width, columns, 3).sum(axis=2, dtype=np.uint32)
    count = rows * columns
    means: Frame = ((sums + count // 2) // count).astype(frame.dtype)
    return means
