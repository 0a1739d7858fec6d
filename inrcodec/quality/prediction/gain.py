"""How much better a fit is than the ordinary codec at equal bytes: measured on samples, then extrapolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inrcodec.quality.prediction.result import Range
from inrcodec.quality.prediction.rival_curve import RivalCurve
from inrcodec.quality.prediction.short_fits import EPOCHS

GAINS_DB = ((EPOCHS, 0.05), (15.0, 0.2), (50.0, 0.25), (150.0, 0.3), (600.0, 0.3))
"""Gain of fits of a whole video over short fits of its samples, dB, by their epochs; for files of
`benchmarks/results/rd-dev.json` it was 0.2 dB. Between two of them it grows with the logarithm of the
epochs."""
SAMPLE_ERROR_DB = 0.45
"""Standard deviation of the gain of one sample about the mean of its video."""
MODEL_ERROR_DB = 0.4
"""Standard deviation of predictions from real fits that samples do not explain."""
_BOUNDS = 2.0
"""Standard deviations within which 19 of 20 measured values lie."""


@dataclass(frozen=True)
class Gain:
    """PSNR over that of the ordinary codec at as many bytes, for short fits."""

    mean_db: float
    error_db: float
    """Distance of the bounds between which 19 of 20 measured values are expected."""

    def of(self, epochs: float) -> float:
        """The expected gain of a fit of so many epochs, dB."""
        logs = [math.log(known) for known, _ in GAINS_DB]
        return self.mean_db + float(np.interp(math.log(epochs), logs, [gain for _, gain in GAINS_DB]))


def gain_of(gains_db: Sequence[float]) -> Gain:
    """The gain of the video from those of its samples, at least one.

    Few samples say little about their spread, so that it counts as at least the usual one.
    """
    spread = float(np.std(gains_db, ddof=1)) if len(gains_db) > 1 else 0.0
    of_mean = max(spread, SAMPLE_ERROR_DB) / math.sqrt(len(gains_db))
    return Gain(float(np.mean(gains_db)), _BOUNDS * math.hypot(of_mean, MODEL_ERROR_DB))


def psnr_range(curve: RivalCurve, gain: Gain, epochs: float, file_bytes: float) -> Range:
    """The PSNR of a fit of so many bytes, without those that do not grow with the video."""
    expected = curve.psnr_db(file_bytes) + gain.of(epochs)
    return Range(expected, expected - gain.error_db, expected + gain.error_db)


def bytes_range(curve: RivalCurve, gain: Gain, epochs: float, quality_db: float) -> Range:
    """The bytes of a fit of this PSNR, without those that do not grow with the video."""
    like_rival = quality_db - gain.of(epochs)
    low, high = (curve.file_bytes(like_rival + sign * gain.error_db) for sign in (-1, 1))
    return Range(curve.file_bytes(like_rival), low, high)
