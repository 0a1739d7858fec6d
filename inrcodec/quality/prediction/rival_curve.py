"""Size and quality of an ordinary codec on the sampled frames, extrapolated to the whole video."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from inrcodec.metrics import psnr_db
from inrcodec.quality.comparison.ordinary_codecs import decoded_pictures
from inrcodec.search import within
from inrcodec.video.ordinary_codecs import Frames, Rival, encode_stream

KEY_INTERVAL = 250
"""Most frames of x264 from one keyframe to the next."""
FIRST_FACTOR, FACTOR_STEP = 31, 4
"""The rate factor that is measured first, and the distance of those that follow; between two of them the
logarithm of the bytes and the PSNR are taken as linear."""
_LEAST_SHARE, _MOST_SHARE = -1.0, 2.0
"""How far the line through two factors goes on beyond them, in steps."""
LEAST_ERROR = 1e-10
"""Squared error that counts for frames without any."""
_START_CODE = b"\0\0\1"
_SLICE = 1
"""Type of an H.264 unit with a slice of a picture that is no keyframe."""


@dataclass(frozen=True)
class Point:
    """Size and quality at one rate factor."""

    file_bytes: float
    psnr_db: float


class RivalCurve:
    """The curve of x264 over its rate factors, measured where it is asked for.

    `parts` are runs of consecutive frames (T, height, width, 3) of a video of `frame_count` frames, of whose
    pixels they show `window_share` in each frame. If they `are_side_by_side`, they have equal lengths, and
    stand for regions of the same frames: see `pooled_psnr_db`. All methods raise `RivalFailed`.
    """

    def __init__(
        self,
        rival: Rival,
        parts: Sequence[Frames],
        rate: Fraction,
        frame_count: int,
        window_share: float = 1.0,
        are_side_by_side: bool = False,
    ) -> None:
        self._are_side_by_side = are_side_by_side
        self._rival, self._parts, self._rate = rival, parts, rate
        self._frame_count, self._window_share = frame_count, window_share
        self._points: dict[float, Point] = {}

    def at(self, factor: float) -> Point:
        """The point of a rate factor, which is rounded to what changes the stream."""
        factor = round(factor * self._rival.encoder.crf_parts) / self._rival.encoder.crf_parts
        if factor not in self._points:
            self._points[factor] = self._measured(factor)
        return self._points[factor]

    def factor_of(self, file_bytes: float) -> float:
        """The rate factor at which the video has about these bytes."""
        low, share = self._around(lambda point: math.log(point.file_bytes), math.log(max(1.0, file_bytes)))
        return low + share * FACTOR_STEP

    def psnr_db(self, file_bytes: float) -> float:
        """The PSNR at a size in bytes, dB."""
        low, share = self._around(lambda point: math.log(point.file_bytes), math.log(max(1.0, file_bytes)))
        fine, coarse = self.at(low).psnr_db, self.at(low + FACTOR_STEP).psnr_db
        return fine + share * (coarse - fine)

    def file_bytes(self, quality_db: float) -> float:
        """The size in bytes at a PSNR."""
        low, share = self._around(lambda point: point.psnr_db, quality_db)
        fine, coarse = (math.log(self.at(one).file_bytes) for one in (low, low + FACTOR_STEP))
        return math.exp(fine + share * (coarse - fine))

    def reaches(self, quality_db: float) -> bool:
        """Whether a PSNR is not above those of the finest factors, or of the line through them."""
        _, share = self._line_around(lambda point: point.psnr_db, quality_db)
        return share >= _LEAST_SHARE

    def _around(self, value: Callable[[Point], float], wanted: float) -> tuple[float, float]:
        """The finer of the two factors around a wanted value, and how far on the way to the coarser it lies.

        Beyond the ends of the factors the line through the last two goes on, by a step at most.
        """
        low, share = self._line_around(value, wanted)
        return low, within(share, _LEAST_SHARE, _MOST_SHARE)

    def _line_around(self, value: Callable[[Point], float], wanted: float) -> tuple[float, float]:
        """As `_around`, on a line without ends."""
        low = FIRST_FACTOR
        while low > FACTOR_STEP and value(self.at(low)) < wanted:
            low -= FACTOR_STEP
        while low + 2 * FACTOR_STEP <= self._rival.encoder.coarsest_crf and (
            value(self.at(low + FACTOR_STEP)) >= wanted
        ):
            low += FACTOR_STEP
        fine, coarse = value(self.at(low)), value(self.at(low + FACTOR_STEP))
        return low, (fine - wanted) / max(fine - coarse, 1e-9)

    def _measured(self, factor: float) -> Point:
        first_bytes, rest_bytes = 0, 0
        values_db: list[float] = []
        for frames in self._parts:
            data = encode_stream(frames, self._rival, factor, self._rate)
            first = first_picture_bytes(data)
            first_bytes, rest_bytes = first_bytes + first, rest_bytes + len(data) - first
            pictures = decoded_pictures(data, self._rival, frames)
            values_db += [psnr_db(*pair) for pair in zip(frames, pictures, strict=True)]
        quality_db = float(np.mean(values_db))
        if self._are_side_by_side:
            quality_db = pooled_psnr_db(10 ** (-np.array(values_db) / 10), len(self._parts))
        measured = sum(map(len, self._parts))
        if measured == self._frame_count:
            return Point((first_bytes + rest_bytes) / self._window_share, quality_db)
        # A short stretch has a larger share of keyframes than the video.
        keys = math.ceil(self._frame_count / KEY_INTERVAL)
        others = measured - len(self._parts)
        a_key, a_frame = first_bytes / len(self._parts), rest_bytes / max(1, others)
        whole = keys * a_key + (self._frame_count - keys) * a_frame
        return Point(whole / self._window_share, quality_db)


def pooled_psnr_db(squared_errors: NDArray[np.float64], parts: int) -> float:
    """Mean PSNR, dB, of frames of which each of `parts` samples is a region.

    `squared_errors` are those of the frames of one sample after another, of values in [0, 1]. The PSNR of a
    frame follows from the mean error of its regions. A mean of their PSNR would count a still region, whose
    bits do not matter, as much as one with motion.
    """
    errors = squared_errors.reshape(parts, -1).mean(0)
    return float((-10 * np.log10(np.maximum(errors, LEAST_ERROR))).mean())


def first_picture_bytes(data: bytes) -> int:
    """Bytes of an H.264 stream in Annex B form before its first picture that is no keyframe."""
    count = 0
    for unit in data.split(_START_CODE):
        if unit and count and unit[0] & 31 == _SLICE:
            return count
        count += len(unit) + (len(_START_CODE) if count else 0)
    return len(data)
