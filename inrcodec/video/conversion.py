"""Conversion of PyAV frames between YUV and RGB, as exact inverses: reading and writing changes no sample.

A chroma sample is repeated over its block of pixels on reading. The mean of the block is stored on writing.
swscale rounds only with ACCURATE_RND and FULL_CHR_H_INT: else it truncates, about one level of luma.
"""

from __future__ import annotations

import re

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from bitstream.header import ColorTags
from inrcodec.samples import Samples, at_depth
from inrcodec.video.color import frame_is_grey, frame_is_rgb, is_full_range
from inrcodec.video.deep import bits_of, deep_frame, deep_rgb
from inrcodec.video.pixel_planes import SUBSAMPLING, block_of, converted, frame_of, plane_samples

_READING = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_WRITING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

_REPEATED = frozenset({(2, 2), (1, 2)})
"""Blocks over which swscale repeats chroma exactly."""
_PLANAR = re.compile(r"yuva?j?4\d\dp(\d+le)?")


def _full_range_codes(low: int, high: int, zero: int, full_zero: int) -> NDArray[np.uint8]:
    """The full-range code of each 16-bit limited-range code, whose 8-bit codes are `low` to `high`."""
    values = (np.arange(1 << 16) / 256 - zero) * 255 / (high - low) + full_zero
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_FULL_LUMA = _full_range_codes(16, 235, 16, 0)
_FULL_CHROMA = _full_range_codes(16, 240, 128, 128)


def rgb_pixels(frame: VideoFrame, bit_depth: int = 8) -> Samples:
    """The frame in RGB of `bit_depth` bits, (height, width, 3), converted by its own matrix and range.

    Values are within 0.51 of the exact formula where samples have 8 bits, or `bit_depth` is 10.
    """
    if bit_depth > 8 and bits_of(frame.format) > 8:
        return deep_rgb(frame)
    return at_depth(_rgb_pixels(frame), bit_depth)


def _rgb_pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """The frame in RGB of 8 bits."""
    if block_of(frame.format) != (1, 1):
        frame = _with_plain_chroma(frame)
    pixels: NDArray[np.uint8] = np.asarray(converted(frame, "rgb24", _READING).to_ndarray(), dtype=np.uint8)
    if frame_is_grey(frame.format.name) and not is_full_range(frame):
        # swscale takes all grey for full range.
        pixels = _FULL_LUMA[pixels.astype(np.uint16) << 8]
    return pixels


def to_pixel_format(rgb: Samples, pixel_format: str, tags: ColorTags) -> VideoFrame:
    """An RGB frame (height, width, 3) converted to `pixel_format` by the matrix and the range of `tags`.

    Samples are within 0.6 of the exact formula, after rounding to 8 bits where the format holds no more.
    Subsampled formats need a size of whole blocks.
    """
    if bits_of(VideoFormat(pixel_format)) > 8:
        frame = deep_frame(at_depth(rgb, 10), pixel_format, tags)
    else:
        frame = _plain_frame(at_depth(rgb, 8), pixel_format, tags)
    if not frame_is_rgb(pixel_format):
        frame.colorspace = tags.matrix
        frame.color_range = ColorRange.JPEG if tags.full_range else ColorRange.MPEG
    frame.color_primaries = tags.primaries
    frame.color_trc = tags.transfer
    return frame


def _plain_frame(rgb: Samples, pixel_format: str, tags: ColorTags) -> VideoFrame:
    """The frame of 8 bits in a format of as many."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    if not frame_is_rgb(pixel_format):
        # PyAV copies the source frame's matrix to the converted frame, and swscale converts by that.
        frame.colorspace = tags.matrix
        convert = _full_range if tags.full_range else _limited_range
        return convert(frame, pixel_format)
    return frame if pixel_format == "rgb24" else converted(frame, pixel_format)


def _limited_range(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    return converted(frame, pixel_format, _WRITING, color_range=ColorRange.MPEG)


def _full_range(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """The frame in a planar YUV format of 8 bits and full range.

    swscale maps the chroma range 16 to 240 to 0 to 255, half a level too low. Its limited range with 16 bits
    is expanded here instead.
    """
    deep = _limited_range(frame, f"{pixel_format.replace('yuvj', 'yuv')}16le")
    luma, *chroma = (plane_samples(plane, np.uint16) for plane in deep.planes)
    return frame_of([_FULL_LUMA[luma], *(_FULL_CHROMA[plane] for plane in chroma)], pixel_format)


def _with_plain_chroma(frame: VideoFrame) -> VideoFrame:
    """The frame with chroma that swscale repeats over its blocks, or that has as many samples as pixels.

    swscale would move chroma in a frame that its last blocks exceed. It also would where the stream says that
    chroma lies beside the centre of its block, which a new frame does not say.
    """
    planar = as_planar(frame)
    rows, columns = block = block_of(planar.format)
    kind = np.uint16 if planar.format.components[0].bits > 8 else np.uint8
    luma, *chroma = (plane_samples(plane, kind) for plane in planar.planes[:3])
    height, width = luma.shape
    name = re.sub(r"^yuva", "yuv", planar.format.name)
    if block not in _REPEATED or height % rows or width % columns:
        chroma = [plane.repeat(rows, 0)[:height].repeat(columns, 1)[:, :width] for plane in chroma]
        name = re.sub(r"\d+p", "444p", name, count=1)
    plain = frame_of([luma, *chroma], name)
    plain.colorspace, plain.color_range = frame.colorspace, frame.color_range
    return plain


def as_planar(frame: VideoFrame) -> VideoFrame:
    """The YUV frame with Y, U and V in planes of their own, in one or two bytes (little-endian)."""
    if _PLANAR.fullmatch(frame.format.name):
        return frame
    subsampling = SUBSAMPLING[block_of(frame.format)]
    is_deep = frame.format.components[0].bits > 8 and subsampling in (444, 422, 420)
    return converted(frame, f"yuv{subsampling}p{'16le' if is_deep else ''}", _READING)
