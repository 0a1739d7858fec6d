"""RGB of decoded frames by the formula of H.273, which judges what `inrc` reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from inrcodec.video.pixel_planes import converted

LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Luma weights of red and blue by matrix (H.273, table 4); without one a small video is BT.601."""
_FULL = 2
_LIMITED = 1


def exact_rgb(frame: VideoFrame) -> NDArray[np.float64]:
    """The frame in RGB (height, width, 3), unrounded, with repeated chroma (H.273, equations 32 to 45)."""
    name = frame.format.name
    # PyAV calls no component of 4:4:4 chroma.
    if name.startswith("gray") or frame.format.is_rgb or frame.format.has_palette:
        is_deep = frame.format.components[0].bits > 8
        rgb = np.asarray(converted(frame, "rgb48le" if is_deep else "rgb24").to_ndarray(), dtype=float)
        # rgb48le repeats the highest bits of other depths below.
        rgb = rgb / 257 if is_deep else rgb
        is_limited = name.startswith("gray") and frame.color_range == _LIMITED
        return np.clip((rgb - 16) * 255 / 219, 0, 255) if is_limited else rgb
    if name.startswith("nv"):
        frame = converted(frame, "yuv420p")
    if name.startswith("p010"):
        frame = converted(frame, "yuv420p10le")
    is_full = frame.color_range == _FULL or name.startswith("yuvj")
    luma, blue_difference, red_difference = _samples(frame)
    if not is_full:
        luma = (luma - 16) * 255 / 219
        blue_difference, red_difference = (plane * 255 / 224 for plane in (blue_difference, red_difference))
    of_red, of_blue = LUMA_WEIGHTS[int(frame.colorspace)]
    red = luma + 2 * (1 - of_red) * red_difference
    blue = luma + 2 * (1 - of_blue) * blue_difference
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return np.clip(np.stack([red, green, blue], -1), 0, 255)


def _samples(frame: VideoFrame) -> list[NDArray[Any]]:
    """Y, and Cb and Cr from -128 to 127, each (height, width), on the scale of 8 bits."""
    found = []
    bits = frame.format.components[0].bits
    for index, plane in enumerate(frame.planes[:3]):
        lines = np.frombuffer(memoryview(plane), "<u2" if bits > 8 else "u1").reshape(plane.height, -1)
        samples = lines[:, : plane.width] / (1 << (bits - 8)) - (128 if index else 0)
        rows, columns = -(-frame.height // plane.height), -(-frame.width // plane.width)
        found.append(samples.repeat(rows, 0)[: frame.height].repeat(columns, 1)[:, : frame.width])
    return found
