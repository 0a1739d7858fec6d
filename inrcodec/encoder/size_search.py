"""At which size a PSNR will be reached, from the PSNR that was measured at others: plain arithmetic.

PSNR over the logarithm of the size is nearly a line: a secant through two sizes finds a third.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from inrcodec.search import bracket, share_between, within

USUAL_SLOPE = 3.0
"""dB that a network of twice the size gains, where nothing was measured: fits of the two clips had 2 to 4."""
LEAST_SLOPE, MOST_SLOPE = 0.5, 8.0
"""A slope between two fits is taken for no less and no more: fits of neighbouring sizes differ by chance."""
LONGEST_STEP = 2.0
"""Doublings of the size that an extrapolation takes at once."""
INNER = 0.1
"""Share of a bracket that is left on each side, so that the next size halves it or better."""

LEAST_GAIN_DB = 0.1
"""What twice as many bytes must bring at least to be worth more of them; fits differ by chance too."""
CLOSE_DB = 0.3
"""A file that is no more than this above the target is not searched on."""
AIM_DB, LAST_AIM_DB = 0.12, 0.25
"""How far above the target a fit aims; the last one must not fall short."""
TRIAL_GAIN_DB = 3.0
"""What a full fit is expected to reach beyond a trial of its size; one of few steps reaches more."""
FIRST_GROWTH = 1.5
"""How much larger than the largest trial the first full fit may be: large fits are slow, and their gain is a
guess until there is one."""
TRIAL_CLOSE_DB = 0.5
"""A trial this close to its aim is the last one."""
SAME = 1.005
"""Sizes that differ by less than this factor are not worth two fits."""


@dataclass(frozen=True)
class Point:
    """One fit: the size it was given, and the mean PSNR of its file."""

    size_bytes: int
    psnr_db: float


def slope_db(points: Sequence[Point], near_db: float) -> float:
    """dB for twice the size, by the two of the points whose PSNR is nearest to `near_db`."""
    nearest = sorted(points, key=lambda point: abs(point.psnr_db - near_db))[:2]
    if len(nearest) < 2 or nearest[0].size_bytes == nearest[1].size_bytes:
        return USUAL_SLOPE
    doublings = math.log2(nearest[1].size_bytes / nearest[0].size_bytes)
    return within((nearest[1].psnr_db - nearest[0].psnr_db) / doublings, LEAST_SLOPE, MOST_SLOPE)


def next_size(points: Sequence[Point], aim_db: float, slope: float | None = None) -> int:
    """The size to try for `aim_db`, between the points around it or else beyond the nearest, bytes.

    Without `slope` it is that of the points, which must be at least one. A larger fit may come out worse
    than a smaller one: of those below the aim the largest is taken, of those above it the smallest.
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
    """Whether the largest of the points gains next to nothing over one of at most half its size."""
    if not points:
        return False
    largest = max(points, key=lambda point: point.size_bytes)
    smaller = [point for point in points if 2 * point.size_bytes <= largest.size_bytes]
    gains = (largest.psnr_db - point.psnr_db - LEAST_GAIN_DB for point in smaller)
    return any(gain < 0 for gain in gains)


def is_tried(size: int, points: Sequence[Point]) -> bool:
    """Whether one of the points has about this size."""
    return any(1 / SAME < size / point.size_bytes < SAME for point in points)


@dataclass
class SizeSearch:
    """Which sizes are fitted, by what came of those before; who fits them adds each to `trials` or `fits`."""

    target_db: float
    first_bytes: int
    """Where to begin."""
    most_bytes: int
    most_trials: int
    most_fits: int
    least_bytes: int = 1
    """Below this there is no network."""
    trials: list[Point] = field(default_factory=list)
    fits: list[Point] = field(default_factory=list)

    def of_trials(self) -> Iterator[int]:
        """Sizes of trials, until one is close to what a trial must reach or more bytes bring no more."""
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
        """Sizes of full fits, until one is close enough or no other would be."""
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
        """Whether another full fit is not worth its time: one is close, or none will be."""
        reaching = [one for one in self.fits if one.psnr_db >= self.target_db]
        if not reaching:
            return is_flat(self.fits)
        best = min(reaching, key=lambda one: one.size_bytes)
        return best.psnr_db <= self.target_db + CLOSE_DB or best.size_bytes <= self.least_bytes

    def _within(self, size: int) -> int:
        return max(self.least_bytes, min(size, self.most_bytes))
