"""Predicts the size at which a PSNR is reached, from the PSNR measured at other sizes: plain arithmetic.

PSNR is nearly linear in the logarithm of the size, so a secant through two sizes finds the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from inrcodec.search import bracket, share_between, within

USUAL_SLOPE = 3.0
"""dB gained by doubling the size, if nothing was measured; fits of the two clips gained 2 to 4."""
LEAST_SLOPE, MOST_SLOPE = 0.5, 8.0
"""Limits of a measured slope, dB per doubling: fits of similar sizes differ by chance."""
LONGEST_STEP = 2.0
"""Maximum doublings of the size in one extrapolation."""
INNER = 0.1
"""Fraction of a bracket that is excluded at each end, so that every new size shortens it by at least that."""

LEAST_GAIN_DB = 0.1
"""Minimum gain for doubling the size, below which no larger file is tried; fits also differ by chance."""
CLOSE_DB = 0.3
"""The search stops at a file at most this far above the target."""
AIM_DB, LAST_AIM_DB = 0.12, 0.25
"""How far above the target a fit aims; the last fit aims higher, because it must not fall short."""
TRIAL_GAIN_DB = 3.0
"""Expected gain of a full fit over a trial of the same size; larger if the trial had few steps."""
FIRST_GROWTH = 1.5
"""Maximum size of the first full fit, relative to the largest trial: large fits are slow, and their gain is
a guess until one is done."""
TRIAL_CLOSE_DB = 0.5
"""A trial this close to its aim ends the trials."""
SAME = 1.005
"""Sizes that differ by less than this factor count as the same."""


@dataclass(frozen=True)
class Point:
    """One fit: its target size, and the mean PSNR of its file."""

    size_bytes: int
    psnr_db: float


def slope_db(points: Sequence[Point], near_db: float) -> float:
    """dB gained by doubling the size, from the two points whose PSNR is nearest to `near_db`."""
    nearest = sorted(points, key=lambda point: abs(point.psnr_db - near_db))[:2]
    if len(nearest) < 2 or nearest[0].size_bytes == nearest[1].size_bytes:
        return USUAL_SLOPE
    doublings = math.log2(nearest[1].size_bytes / nearest[0].size_bytes)
    return within((nearest[1].psnr_db - nearest[0].psnr_db) / doublings, LEAST_SLOPE, MOST_SLOPE)


def next_size(points: Sequence[Point], aim_db: float, slope: float | None = None) -> int:
    """The size in bytes to try for `aim_db`: between the points around it, or else beyond the nearest.

    There must be at least one point; `slope` is computed from the points if it is None. Because a larger fit
    may come out worse, the bracket is the largest size below the aim and the smallest size that reaches it.
    """
    low, high = bracket([(point.size_bytes, point.psnr_db) for point in points], aim_db)
    if low is not None and high is not None and low[0] < high[0]:
        share = share_between(low[1], high[1], aim_db, INNER)
        return int(low[0] * (high[0] / low[0]) ** share)
    nearest = min(points, key=lambda point: abs(point.psnr_db - aim_db))
    slope = slope_db(points, aim_db) if slope is None else slope
    doublings = (aim_db - nearest.psnr_db) / slope
    return int(nearest.size_bytes * 2.0 ** within(doublings, -LONGEST_STEP, LONGEST_STEP))


def is_flat(points: Sequence[Point]) -> bool:
    """Whether the largest point gains less than `LEAST_GAIN_DB` over one of at most half its size."""
    if not points:
        return False
    largest = max(points, key=lambda point: point.size_bytes)
    smaller = [point for point in points if 2 * point.size_bytes <= largest.size_bytes]
    gains = (largest.psnr_db - point.psnr_db - LEAST_GAIN_DB for point in smaller)
    return any(gain < 0 for gain in gains)


def is_tried(size: int, points: Sequence[Point]) -> bool:
    """Whether a point has nearly this size (`SAME`)."""
    return any(1 / SAME < size / point.size_bytes < SAME for point in points)


@dataclass
class SizeSearch:
    """Chooses each size to fit from the results so far; the caller adds each result to `trials` or `fits`."""

    target_db: float
    first_bytes: int
    """Size of the first trial, or of the first fit if there are no trials."""
    most_bytes: int
    most_trials: int
    most_fits: int
    least_bytes: int = 1
    """Smallest size for which there is a network."""
    trials: list[Point] = field(default_factory=list)
    fits: list[Point] = field(default_factory=list)

    def of_trials(self) -> Iterator[int]:
        """Sizes of trials, until one is close to its aim or more bytes no longer help."""
        aim = self.target_db - TRIAL_GAIN_DB
        if self.most_trials:
            yield self._within(self.first_bytes)
        while len(self.trials) < self.most_trials:
            size = self._within(next_size(self.trials, aim))
            is_close = abs(self.trials[-1].psnr_db - aim) <= TRIAL_CLOSE_DB
            if is_close or is_flat(self.trials) or is_tried(size, self.trials):
                return
            yield size

    def of_fits(self) -> Iterator[int]:
        """Sizes of full fits, until one is close enough or another would not help."""
        aim, first = self.target_db + AIM_DB, self.first_bytes
        if self.trials:
            largest = max(one.size_bytes for one in self.trials)
            first = min(next_size(self.trials, aim - TRIAL_GAIN_DB), int(FIRST_GROWTH * largest))
        yield self._within(first)
        while len(self.fits) < self.most_fits and not self.is_settled():
            if len(self.fits) == self.most_fits - 1:
                aim = self.target_db + LAST_AIM_DB
            slope = slope_db(self.trials, aim - TRIAL_GAIN_DB) if len(self.fits) == 1 else None
            size = self._within(next_size(self.fits, aim, slope))
            if is_tried(size, self.fits):
                return
            yield size

    def is_settled(self) -> bool:
        """Whether to stop fitting: one is close to the target, or none can reach it."""
        reaching = [one for one in self.fits if one.psnr_db >= self.target_db]
        if not reaching:
            return is_flat(self.fits)
        best = min(reaching, key=lambda one: one.size_bytes)
        return best.psnr_db <= self.target_db + CLOSE_DB or best.size_bytes <= self.least_bytes

    def _within(self, size: int) -> int:
        return max(self.least_bytes, min(size, self.most_bytes))
