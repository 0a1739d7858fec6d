"""Conversion of PyAV frames between YUV and RGB of 10 bits by the formula of H.273, rounded once.

As with 8 bits, a chroma sample is repeated over its block of pixels on reading, and the mean of the block is
stored on writing.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from bitstream.header import ColorTags
from inrcodec.video.color import UNSPECIFIED, frame_is_grey, is_full_range
from inrcodec.video.pixel_planes import SUBSAMPLING, block_of, converted, frame_of, plane_samples

PEAK = 1023
"""The largest sample of 10 bits."""
_WEIGHTS = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Luma weights of red and blue by matrix (H.273, table 4); frames without a matrix are BT.601."""
_EXACT = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_PLANAR = re.compile(r"yuva?4\d\dp\d+le")
Floats = NDArray[np.float32]


def bits_of(pixel_format: VideoFormat) -> int:
    """Bits of the deepest component of a pixel format."""
    return max(component.bits for component in pixel_format.components)


def _bits(frame: VideoFrame) -> int:
    """Bits of luma as integers; floating-point grey becomes 16."""
    return min(16, frame.format.components[0].bits)


def deep_planes(frame: VideoFrame) -> list[NDArray[Any]]:
    """Y, U and V (or Y alone for grey) of a frame of more than 8 bits as it stores them, uint16."""
    name, bits = frame.format.name, _bits(frame)
    if frame_is_grey(name):
        grey = f"gray{bits}le"
        plain = frame if name == grey else converted(frame, grey, _EXACT)
        return [plane_samples(plain.planes[0], np.uint16)]
    if not _PLANAR.fullmatch(name):
        # swscale moves samples between layouts of the same depth without changing them.
        planar = f"yuv{SUBSAMPLING[block_of(frame.format)]}p{bits}le"
        frame = converted(frame, planar, _EXACT)
    return [plane_samples(plane, np.uint16) for plane in frame.planes[:3]]


def deep_rgb(frame: VideoFrame) -> NDArray[np.uint16]:
    """A frame of more than 8 bits in RGB of 10 bits, (height, width, 3), by its own matrix and range.

    Values are within 0.51 of the exact formula.
    """
    if frame.format.is_rgb or frame.format.name.startswith("xyz"):
        return _rounded(converted(frame, "rgb48le").to_ndarray().astype(np.float32) * (PEAK / 0xFFFF))
    luma, *chroma = deep_planes(frame)
    zero, luma_gain, chroma_gain = _levels(_bits(frame), is_full_range(frame))
    grey = (luma.astype(np.float32) - np.float32(zero)) * np.float32(PEAK / luma_gain)
    if not chroma:
        return _rounded(grey[..., None].repeat(3, 2))
    rows, columns = block_of(frame.format)
    middle = np.float32(1 << (_bits(frame) - 1))
    blue, red = ((one.astype(np.float32) - middle) * np.float32(PEAK / chroma_gain) for one in chroma)
    height, width = luma.shape
    of_red, of_blue = _WEIGHTS.get(int(frame.colorspace), _WEIGHTS[UNSPECIFIED])
    of_green = 1 - of_red - of_blue
    shifts = (
        red * np.float32(2 * (1 - of_red)),
        red * np.float32(-2 * (1 - of_red) * of_red / of_green)
        + blue * np.float32(-2 * (1 - of_blue) * of_blue / of_green),
        blue * np.float32(2 * (1 - of_blue)),
    )
    found = np.empty((height, width, 3), np.uint16)
    for colour, shift in enumerate(shifts):
        spread = shift.repeat(rows, 0)[:height].repeat(columns, 1)[:, :width]
        found[..., colour] = _rounded(grey + spread)
    return found


def widened(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples of 10 bits as 16 bits: the highest bits are repeated below, so that 1023 becomes 65535."""
    return samples << 6 | samples >> 4


def deep_frame(rgb: NDArray[Any], pixel_format: str, tags: ColorTags) -> VideoFrame:
    """An RGB frame (height, width, 3) of 10 bits in `pixel_format`, by the matrix and the range of `tags`.

    The formats are planar YUV of 10 bits, `gbrp10le` and `rgb48be`. Subsampled ones need a size of whole
    blocks.
    """
    if pixel_format == "rgb48be":
        whole = VideoFrame.from_ndarray(np.ascontiguousarray(widened(rgb)), format="rgb48le")
        return converted(whole, pixel_format)
    if pixel_format == "gbrp10le":
        return frame_of([rgb[..., colour] for colour in (1, 2, 0)], pixel_format)
    of_red, of_blue = _WEIGHTS.get(tags.matrix, _WEIGHTS[UNSPECIFIED])
    red, green, blue = (rgb[..., colour].astype(np.float32) for colour in range(3))
    grey = red * np.float32(of_red) + green * np.float32(1 - of_red - of_blue) + blue * np.float32(of_blue)
    zero, luma_gain, chroma_gain = _levels(10, tags.full_range)
    rows, columns = block_of(VideoFormat(pixel_format, *rgb.shape[1::-1]))
    differences = ((blue - grey) / (2 * (1 - of_blue)), (red - grey) / (2 * (1 - of_red)))
    planes = [_rounded(grey * np.float32(luma_gain / PEAK) + np.float32(zero))]
    for difference in differences:
        blocks = difference.reshape(len(rgb) // rows, rows, rgb.shape[1] // columns, columns)
        planes.append(_rounded(blocks.mean((1, 3)) * np.float32(chroma_gain / PEAK) + np.float32(512)))
    return frame_of(planes, pixel_format)


def _levels(bits: int, is_full: bool) -> tuple[int, int, int]:
    """The code of black, and how many codes luma and chroma span from 0 to 1, at `bits` bits (H.273)."""
    if is_full:
        return 0, (1 << bits) - 1, (1 << bits) - 1
    scale = 1 << (bits - 8)
    return 16 * scale, 219 * scale, 224 * scale


def _rounded(values: Floats) -> NDArray[np.uint16]:
    """The nearest samples of 10 bits."""
    return np.rint(np.clip(values, 0, PEAK)).astype(np.uint16)
