"""Finds the step of the latents that fills the bytes: their bits fall with about a power of the step."""

from __future__ import annotations

import math

BITS_POWER = 1.4
"""Of the step, that bits fall with: where nothing else is known."""
LEAST_STEP = 4e-3
"""So fine that frames are exact but for their rounding to 8 bits, and latents far from their largest."""
LEAST_POWER, MOST_POWER = 0.7, 3.0
LARGEST_CHANGE = 3.0
"""Of the step from one trial to the next, while the steps tried do not lie on both sides."""


class StepSearch:
    """Trials of steps, and the next one. Sizes are in any unit, and above 0."""

    def __init__(self) -> None:
        self._trials: list[tuple[float, float]] = []
        """Logarithms of steps and sizes."""

    def add(self, step: float, size: float) -> None:
        self._trials.append((math.log(step), math.log(max(size, 1.0))))

    def next(self, target: float) -> float:
        """A step for the size `target`, from the two trials nearest to it."""
        wanted = math.log(max(target, 1.0))
        larger = [one for one in self._trials if one[1] > wanted]
        smaller = [one for one in self._trials if one[1] <= wanted]
        if larger and smaller:
            return self._between(max(larger), min(smaller), wanted)
        # Of equal sizes, which a step that leaves nothing gives, the one on the wanted side.
        onwards = 1 if larger else -1
        place, size = min(self._trials, key=lambda one: (abs(one[1] - wanted), -onwards * one[0]))
        change = (size - wanted) / self._power()
        return math.exp(place + min(math.log(LARGEST_CHANGE), max(-math.log(LARGEST_CHANGE), change)))

    def _power(self) -> float:
        """Of the last two trials, within what is plausible."""
        if len(self._trials) < 2:
            return BITS_POWER
        (one, first), (other, second) = self._trials[-2:]
        if abs(one - other) < 1e-3:
            return BITS_POWER
        return min(MOST_POWER, max(LEAST_POWER, (first - second) / (other - one)))

    def _between(self, finer: tuple[float, float], coarser: tuple[float, float], wanted: float) -> float:
        """On the line through both; near neither, so that each trial narrows the gap."""
        if finer[0] >= coarser[0]:
            # Sizes that do not fall with the step: choices depend on those before.
            return math.exp((finer[0] + coarser[0]) / 2 + 0.01 * len(self._trials))
        share = (finer[1] - wanted) / (finer[1] - coarser[1])
        return math.exp(finer[0] + min(0.95, max(0.05, share)) * (coarser[0] - finer[0]))
