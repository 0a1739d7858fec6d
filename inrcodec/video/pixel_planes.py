"""Planes of PyAV frames as arrays and back, and their conversion by swscale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

SUBSAMPLING = {(1, 1): 444, (1, 2): 422, (2, 2): 420, (2, 1): 440, (1, 4): 411, (4, 4): 410}
"""J:a:b notation by the rows and columns of a block."""


def converted(
    frame: VideoFrame,
    pixel_format: str,
    interpolation: Interpolation = Interpolation.BILINEAR,
    *,
    width: int | None = None,
    height: int | None = None,
    color_range: ColorRange | None = None,
) -> VideoFrame:
    """The frame in `pixel_format`, of `width` and `height` in pixels, computed by one thread.

    Threads of swscale share a frame by rows, and the end of a row may be written over the beginning of the
    next: now and then a 4:2:2 frame that was packed as `yuyv422` had eight wrong pixels.
    """
    return frame.reformat(
        width=width,
        height=height,
        format=pixel_format,
        interpolation=interpolation,
        dst_color_range=color_range,
        threads=1,
    )


def block_of(pixel_format: VideoFormat) -> tuple[int, int]:
    """Rows and columns of the block of pixels that shares a chroma sample."""
    # Formats differ in how they round, and 16 is a multiple of every block.
    return 16 // pixel_format.chroma_height(16), 16 // pixel_format.chroma_width(16)


def plane_samples(plane: VideoPlane, kind: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    """The samples (height, width) of a plane, which are little-endian if they have two bytes."""
    lines = np.frombuffer(memoryview(plane), np.dtype(kind).newbyteorder("<"))
    lines = lines.reshape(-1, plane.line_size // lines.itemsize)
    return lines[: plane.height, : plane.width]


def frame_of(planes: Sequence[NDArray[Any]], pixel_format: str) -> VideoFrame:
    """A frame in a planar format with these planes, each (height, width); Y first."""
    frame = VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    for plane, samples in zip(frame.planes, planes, strict=True):
        lines = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
        lines[:, : plane.width] = samples
    return frame
