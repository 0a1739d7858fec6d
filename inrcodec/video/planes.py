"""Luma and chroma as a video stores them, for quality measured in the source's own samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from av import VideoFrame
from av.video.plane import VideoPlane

from bitstream.header import ColorTags
from inrcodec.samples import Samples, at_depth, coded_depth, depth_of, sample_type
from inrcodec.settings.source import Size, SourceSettings
from inrcodec.video.color import BT709_MATRIX, color_tags, frame_is_grey, frame_is_rgb
from inrcodec.video.conversion import as_planar, to_pixel_format
from inrcodec.video.cropping import NO_CROPPING, Cropping
from inrcodec.video.deep import bits_of, deep_planes
from inrcodec.video.geometry import Turn, crop_margins, unturned
from inrcodec.video.pixel_planes import SUBSAMPLING, block_of, converted, plane_samples

Plane = Samples
"""(height, width)."""
_BT601_MATRIX = 6
_LIKE_BT601 = frozenset({2, 5, 6})
"""Matrices that are BT.601: unspecified (for a small video), BT.470BG, SMPTE 170M."""
_NAMES = {block: f"yuv{SUBSAMPLING[block]}p" for block in ((1, 1), (1, 2), (2, 2))}
"""Pixel formats by rows and columns of the block of pixels that shares a chroma sample."""


@dataclass(frozen=True)
class Sampling:
    """How luma and chroma follow from RGB; the default is that of most videos."""

    block: tuple[int, int] = (2, 2)
    """Rows and columns of the block of pixels that shares a chroma sample: 4:4:4, 4:2:2 or 4:2:0."""
    matrix: int = BT709_MATRIX
    """H.273 code point."""
    full_range: bool = False
    bit_depth: int = 8
    """Bits per sample: 8 or 10."""


def pixel_format_of(sampling: Sampling) -> str:
    """The planar format that holds Y, U and V of this sampling."""
    return _NAMES[sampling.block] + ("10le" if sampling.bit_depth > 8 else "")


def sampling_of(frame: VideoFrame) -> Sampling | None:
    """The sampling of a frame, None for RGB. Grey and larger blocks than 4:2:0 has count as 4:4:4."""
    if frame_is_rgb(frame.format.name) or frame.format.has_palette:
        return None
    tags, block = color_tags(frame), block_of(frame.format)
    matrix = _BT601_MATRIX if tags.matrix in _LIKE_BT601 else tags.matrix
    depth = coded_depth(bits_of(frame.format))
    return Sampling(block if block in _NAMES else (1, 1), matrix, tags.full_range, depth)


def stored_planes(frame: VideoFrame, sampling: Sampling) -> list[Plane] | None:
    """Y, U and V of a frame of this sampling as they are stored; None if they have another depth."""
    if frame.format.components[0].bits != sampling.bit_depth:
        return None
    is_deep = sampling.bit_depth > 8
    if frame_is_grey(frame.format.name):
        luma = deep_planes(frame)[0] if is_deep else _samples(converted(frame, "gray").planes[0])
        return [luma, *(2 * [np.full_like(luma, 1 << (sampling.bit_depth - 1))])]
    if block_of(frame.format) != sampling.block:
        return None
    return deep_planes(frame) if is_deep else [_samples(plane) for plane in as_planar(frame).planes[:3]]


def yuv_planes(rgb: Samples, sampling: Sampling) -> list[Plane]:
    """Y, U and V of an RGB frame (height, width, 3); a cut block repeats its last row or column."""
    height, width = rgb.shape[:2]
    rows, columns = sampling.block
    whole = np.pad(rgb, ((0, -height % rows), (0, -width % columns), (0, 0)), mode="edge")
    tags = ColorTags(matrix=sampling.matrix, full_range=sampling.full_range)
    name = pixel_format_of(sampling)
    luma, *chroma = (_samples(one, sampling.bit_depth) for one in to_pixel_format(whole, name, tags).planes)
    return [luma[:height, :width], *chroma]


def _samples(plane: VideoPlane, bit_depth: int = 8) -> Plane:
    return plane_samples(plane, sample_type(bit_depth))


class Picture:
    """A frame in RGB, and in the luma and chroma in which its video stores it."""

    def __init__(
        self,
        pixels: Samples,
        sampling: Sampling | None = None,
        stored: Callable[[], list[Plane] | None] = lambda: None,
    ) -> None:
        """Wrap `pixels` (height, width, 3).

        `sampling` is None if the video is RGB. `stored` returns the planes as stored. It returns None if they
        no longer exist, as in a scaled picture.
        """
        self.pixels = pixels
        self.sampling = sampling
        self._stored = stored

    def planes(self, sampling: Sampling) -> list[Plane]:
        """Y, U and V in `sampling`: as stored if the video has this sampling, else converted from RGB."""
        stored = self._stored() if sampling == self.sampling else None
        return yuv_planes(self.pixels, sampling) if stored is None else stored

    def at_depth(self, bits: int) -> Picture:
        """The picture in RGB of `bits` bits; itself if it has as many."""
        if depth_of(self.pixels) == bits:
            return self
        return Picture(at_depth(self.pixels, bits))


def common_sampling(reference: Picture, decoded: Picture) -> Sampling:
    """The sampling in which two pictures are compared: that of the reference, if it has one."""
    sampling = reference.sampling or decoded.sampling or Sampling()
    # For RGB, and for pictures that were converted, the depth is that of the pixels.
    return replace(sampling, bit_depth=depth_of(reference.pixels))


def picture_of(
    frame: VideoFrame,
    pixels: Samples,
    turn: Turn,
    is_sideways: bool,
    source: SourceSettings,
    cropping: Cropping = NO_CROPPING,
) -> Picture:
    """The picture of a frame whose RGB was cut by `cropping`, turned, cropped and scaled to `pixels`."""
    found = sampling_of(frame)
    if found is None:
        return Picture(pixels)
    # Samples that were reduced are measured as they were coded.
    found = replace(found, bit_depth=depth_of(pixels))
    block = found.block[::-1] if is_sideways else found.block
    if block not in _NAMES:
        return Picture(pixels, replace(found, block=(1, 1)))
    stored = partial(_placed_planes, frame, found, turn, block, source, cropping)
    return Picture(pixels, replace(found, block=block), stored)


def _placed_planes(
    frame: VideoFrame,
    sampling: Sampling,
    turn: Turn,
    block: tuple[int, int],
    source: SourceSettings,
    cropping: Cropping,
) -> list[Plane] | None:
    """The stored planes, turned and cropped; None if the picture was scaled, or cut inside a block."""
    planes = stored_planes(frame, sampling)
    if planes is None or source.scale is not None:
        return None
    height, width = cropping.shape(frame.height, frame.width)
    planes = _cut(planes, sampling.block, cropping.top, cropping.left, Size(width, height))
    # A turn about a cut block would move its other pixels to the far edge.
    if planes is None or (turn is not unturned and (height % sampling.block[0] or width % sampling.block[1])):
        return None
    planes = [turn(plane) for plane in planes]
    if source.crop is None:
        return planes
    height, width = planes[0].shape
    top, left = crop_margins(height, width, source.crop)
    return _cut(planes, block, top, left, source.crop)


def _cut(planes: list[Plane], block: tuple[int, int], top: int, left: int, size: Size) -> list[Plane] | None:
    """The part of the planes from pixel (`top`, `left`) on; None if it begins inside a block."""
    if top % block[0] or left % block[1]:
        return None
    cut = []
    for plane, (rows, columns) in zip(planes, ((1, 1), block, block), strict=True):
        bottom, right = -(-(top + size.height) // rows), -(-(left + size.width) // columns)
        cut.append(plane[top // rows : bottom, left // columns : right])
    return cut
