"""XPSNR by FFmpeg's filter: PSNR weighted by how visible errors are (C. R. Helmrich et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph
from av.filter.context import FilterContext

from inrcodec.errors import UsageError
from inrcodec.samples import Samples
from inrcodec.video.arrays import bounded_rate
from inrcodec.video.pixel_planes import frame_of
from inrcodec.video.planes import Sampling, pixel_format_of

_KEY = "lavfi.xpsnr.xpsnr."
_GROUP = 8
"""Samples of more than 8 bits that the filter of FFmpeg 8 adds up at a time, also beyond the end of a row."""


_PIXELS, _BLOCKS, _GRAIN = 3840 * 2160, 32, 4
"""The filter divides a frame of so many pixels into blocks of 4 x 32 rows, and others into blocks of as many
times 4 rows as their sides suggest."""


def has_xpsnr() -> bool:
    """Whether this build of FFmpeg has the filter."""
    return "xpsnr" in av.filter.filters_available


class Xpsnr:
    """Measures the frames of one video in order: weights follow from the frames before."""

    def __init__(self, sampling: Sampling, height: int, width: int, frame_rate: Fraction) -> None:
        """Prepare for frames of (`height`, `width`) in luma, whose planes have this `sampling`.

        Raises `UsageError` for a size at which the filter is wrong, or ends the process.
        """
        _check_size(height, width)
        widths = width, -(-width // sampling.block[1])
        if sampling.bit_depth > 8 and any(one % _GROUP for one in widths):
            raise UsageError(
                f"FFmpeg's xpsnr is wrong for 10 bits and {width} columns, which are not whole groups of "
                f"{_GROUP * sampling.block[1]}: give --bit-depth 8, or --crop"
            )
        self._format = pixel_format_of(sampling)
        rate = bounded_rate(frame_rate)
        self._time_base = 1 / rate
        self._count = 0
        self._graph = Graph()
        argument = (
            f"video_size={width}x{height}:pix_fmt={self._format}:time_base={self._time_base}"
            f":frame_rate={rate}:pixel_aspect=1/1"
        )
        self._inputs = [self._graph.add("buffer", argument, name=name) for name in ("reference", "decoded")]
        measuring = self._graph.add("xpsnr")
        self._output: FilterContext = self._graph.add("buffersink")
        for place, one in enumerate(self._inputs):
            one.link_to(measuring, 0, place)
        measuring.link_to(self._output)
        self._graph.configure()

    def measure(self, reference: Sequence[Samples], decoded: Sequence[Samples]) -> list[float]:
        """XPSNR of Y, U and V of the next frame, dB; infinite for equal planes."""
        for one, planes in zip(self._inputs, (reference, decoded), strict=True):
            frame = frame_of(planes, self._format)
            frame.pts, frame.time_base = self._count, self._time_base
            one.push(frame)
        self._count += 1
        measured: Any = self._output.pull()
        return [float(measured.metadata[_KEY + name]) for name in "yuv"]


def _check_size(height: int, width: int) -> None:
    """Raise `UsageError` for frames whose blocks have no row, by which the filter divides, or one row.

    A last row of blocks of one row has no weight, so that its errors count some hundred times.
    """
    rows = _GRAIN * int(_BLOCKS * math.sqrt(width * height / _PIXELS) + 0.5)
    if rows == 0:
        raise UsageError(f"FFmpeg's xpsnr cannot measure frames as small as {width}x{height}")
    if height % rows == 1:
        raise UsageError(
            f"FFmpeg's xpsnr is wrong for {height} rows, which are one more than whole blocks of {rows}: "
            "give --crop"
        )
