"""How much better a fit is than the ordinary codec at equal bytes: measured on samples, then extrapolated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inrcodec.fit.grids.sketch import EPOCHS
from inrcodec.quality.prediction.result import Range
from inrcodec.quality.prediction.rival_curve import RivalCurve

GAINS_DB = ((EPOCHS, -0.1), (15.0, 0.05), (50.0, 0.1), (150.0, 0.15), (600.0, 0.15))
"""Gain of fits of a whole video over the short fit of its samples, dB, by their epochs.

It was 0.06 dB for one rate of each clip of `benchmarks/results/rd-dev.json`. Between two it grows with
the logarithm of the epochs."""
ERROR_DB = 0.6
"""Standard deviation of predictions from real fits. For these clips it was 0.5 dB, with the gain of the other
seven for each."""
_BOUNDS = 2.0
"""Standard deviations within which 19 of 20 measured values lie."""


@dataclass(frozen=True)
class Gain:
    """PSNR over that of the ordinary codec at as many bytes, for a short fit of samples."""

    mean_db: float
    error_db: float = _BOUNDS * ERROR_DB
    """Distance of the bounds between which 19 of 20 measured values are expected."""

    def of(self, epochs: float) -> float:
        """The expected gain of a fit of so many epochs, dB."""
        logs = [math.log(known) for known, _ in GAINS_DB]
        return self.mean_db + float(np.interp(math.log(epochs), logs, [gain for _, gain in GAINS_DB]))


def psnr_range(curve: RivalCurve, gain: Gain, epochs: float, file_bytes: float) -> Range:
    """The PSNR of a fit of so many bytes, without those that do not grow with the video."""
    expected = curve.psnr_db(file_bytes) + gain.of(epochs)
    return Range(expected, expected - gain.error_db, expected + gain.error_db)


def bytes_range(curve: RivalCurve, gain: Gain, epochs: float, quality_db: float) -> Range:
    """The bytes of a fit of this PSNR, without those that do not grow with the video."""
    like_rival = quality_db - gain.of(epochs)
    low, high = (curve.file_bytes(like_rival + sign * gain.error_db) for sign in (-1, 1))
    return Range(curve.file_bytes(like_rival), low, high)
