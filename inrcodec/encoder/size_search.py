"""Predicts the size at which a quality is reached, from that measured at other sizes: plain arithmetic.

Quality is nearly linear in the logarithm of the size, so a secant through two sizes finds the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from inrcodec.search import bracket, share_between, within


def _as_is(quality: float) -> float:
    return quality


def _log_odds(quality: float) -> float:
    """The binary logarithm of the odds; a quality from 0 to 100 saturates at both ends."""
    inner = within(quality, 0.5, 99.9)
    return math.log2(inner / (100 - inner))


@dataclass(frozen=True)
class Scale:
    """How a metric rises with the size, and how close to its target a search comes."""

    usual_slope: float
    """Gain for doubling the size, if nothing was measured; `linear`, as the next four."""
    least_slope: float
    """Limits of a measured slope for doubling the size: fits of similar sizes differ by chance."""
    most_slope: float
    trial_gain: float
    """Expected gain of a full fit over a trial of the same size; larger if the trial had few steps."""
    trial_close: float
    """A trial this close to its aim ends the trials."""
    least_gain: float
    """Minimum gain for doubling the size, below which no larger file is tried; fits also differ by chance.
    The unit is that of the metric, as for the next three."""
    close: float
    """The search stops at a file at most this far above the target."""
    aim: float
    """How far above the target a fit aims."""
    last_aim: float
    """The same for the last fit, which aims higher, because it must not fall short."""
    lowest: float = -math.inf
    """End of the scale: files this bad say nothing about what more bytes gain."""
    linear: Callable[[float], float] = _as_is
    """The quality as a number that is nearly linear in the logarithm of the size."""


PSNR_SCALE = Scale(
    usual_slope=3.0,
    least_slope=0.5,
    most_slope=8.0,
    trial_gain=3.0,
    trial_close=0.5,
    least_gain=0.1,
    close=0.3,
    aim=0.12,
    last_aim=0.25,
)
"""PSNR in dB; fits of the two clips gained 2 to 4 for doubling the size."""
VMAF_SCALE = Scale(
    usual_slope=1.0,
    least_slope=0.15,
    most_slope=4.0,
    trial_gain=1.0,
    trial_close=0.2,
    least_gain=0.1,
    close=0.5,
    aim=0.2,
    last_aim=0.4,
    lowest=0.0,
    linear=_log_odds,
)
"""VMAF, 0 to 100. Slope and gain of trials are guesses until two fits have measured them."""
LONGEST_STEP = 2.0
"""Maximum doublings of the size in one extrapolation."""
INNER = 0.1
"""Fraction of a bracket that is excluded at each end, so that every new size shortens it by at least that."""
FIRST_GROWTH = 1.5
"""Maximum size of the first full fit, relative to the largest trial: large fits are slow, and their gain is
a guess until one is done."""
SAME = 1.005
"""Sizes that differ by less than this factor count as the same."""


@dataclass(frozen=True)
class Point:
    """One fit: its target size, and the mean quality of its file."""

    size_bytes: int
    quality: float


def slope(points: Sequence[Point], near: float, scale: Scale) -> float:
    """Linear quality gained by doubling the size, from the two points that are nearest to `near` in it."""
    found = [(abs(scale.linear(one.quality) - near), one) for one in points]
    nearest = [one for _, one in sorted(found, key=lambda pair: pair[0])[:2]]
    if len(nearest) < 2 or nearest[0].size_bytes == nearest[1].size_bytes:
        return scale.usual_slope
    gain = scale.linear(nearest[1].quality) - scale.linear(nearest[0].quality)
    doublings = math.log2(nearest[1].size_bytes / nearest[0].size_bytes)
    return within(gain / doublings, scale.least_slope, scale.most_slope)


def next_size(points: Sequence[Point], aim: float, scale: Scale, known_slope: float | None = None) -> int:
    """The size in bytes to try for `aim`, linear: between the points around it, or else beyond the nearest.

    There must be at least one point; the slope is computed from the points if `known_slope` is None. Because
    a larger fit may come out worse, the bracket is the largest size below the aim and the smallest size that
    reaches it.
    """
    values = [(point.size_bytes, scale.linear(point.quality)) for point in points]
    low, high = bracket(values, aim)
    if low is not None and high is not None and low[0] < high[0]:
        share = share_between(low[1], high[1], aim, INNER)
        return int(low[0] * (high[0] / low[0]) ** share)
    # Many files are equal at the end of a scale: the aim lies beyond the last one.
    size, value = min(values, key=lambda pair: (abs(pair[1] - aim), -pair[0] if pair[1] < aim else pair[0]))
    doublings = (aim - value) / (slope(points, aim, scale) if known_slope is None else known_slope)
    return int(size * 2.0 ** within(doublings, -LONGEST_STEP, LONGEST_STEP))


def is_flat(points: Sequence[Point], scale: Scale) -> bool:
    """Whether the largest point gains less than `Scale.least_gain` over one of at most half its size."""
    if not points:
        return False
    largest = max(points, key=lambda point: point.size_bytes)
    if largest.quality <= scale.lowest:
        return False
    smaller = [point for point in points if 2 * point.size_bytes <= largest.size_bytes]
    gains = (largest.quality - point.quality - scale.least_gain for point in smaller)
    return any(gain < 0 for gain in gains)


def is_tried(size: int, points: Sequence[Point]) -> bool:
    """Whether a point has nearly this size (`SAME`)."""
    return any(1 / SAME < size / point.size_bytes < SAME for point in points)


@dataclass
class SizeSearch:
    """Chooses each size to fit from the results so far; the caller adds each result to `trials` or `fits`."""

    target: float
    scale: Scale
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
        scale = self.scale
        aim = scale.linear(self.target) - scale.trial_gain
        if self.most_trials:
            yield self._within(self.first_bytes)
        while len(self.trials) < self.most_trials:
            size = self._within(next_size(self.trials, aim, scale))
            is_close = abs(scale.linear(self.trials[-1].quality) - aim) <= scale.trial_close
            if is_close or is_flat(self.trials, scale) or is_tried(size, self.trials):
                return
            yield size

    def of_fits(self) -> Iterator[int]:
        """Sizes of full fits, until one is close enough or another would not help."""
        scale, first = self.scale, self.first_bytes
        aim = scale.linear(self.target + scale.aim)
        if self.trials:
            largest = max(one.size_bytes for one in self.trials)
            first = min(next_size(self.trials, aim - scale.trial_gain, scale), int(FIRST_GROWTH * largest))
        yield self._within(first)
        while len(self.fits) < self.most_fits and not self.is_settled():
            if len(self.fits) == self.most_fits - 1:
                aim = scale.linear(self.target + scale.last_aim)
            known = slope(self.trials, aim - scale.trial_gain, scale) if len(self.fits) == 1 else None
            size = self._within(next_size(self.fits, aim, scale, known))
            if is_tried(size, self.fits):
                return
            yield size

    def is_settled(self) -> bool:
        """Whether to stop fitting: one is close to the target, or none can reach it."""
        reaching = [one for one in self.fits if one.quality >= self.target]
        if not reaching:
            return is_flat(self.fits, self.scale)
        best = min(reaching, key=lambda one: one.size_bytes)
        return best.quality <= self.target + self.scale.close or best.size_bytes <= self.least_bytes

    def _within(self, size: int) -> int:
        return max(self.least_bytes, min(size, self.most_bytes))
