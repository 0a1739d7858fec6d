"""Axes of charts: where a value lies, and which values are written beside the axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with the values that are written."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    @property
    def tick_texts(self) -> list[str]:
        """What is written, all with as many digits as the steps between them need."""
        if self.is_logarithmic or len(self.ticks) < 2:
            return [f"{tick:g}" for tick in self.ticks]
        step = self.ticks[1] - self.ticks[0]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [f"{tick:,.{digits}f}" for tick in self.ticks]


def linear_axis(label: str, values: Iterable[float], tick_count: int = 5, whole: bool = False) -> Axis:
    """An axis over `values` that ends at round numbers; one of `whole` numbers ends where they do."""
    low, high = _range(values)
    if high - low < 1e-9 * max(1.0, abs(high)):
        spread = 1.0 if whole else max(1e-3, abs(high) * 1e-3)
        low, high = (low, high + spread) if whole else (low - spread, high + spread)
    step = _round_step((high - low) / tick_count)
    if whole:
        step = max(1.0, step)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    return Axis(label, low, high, tuple(number * step for number in range(first, last + 1)))


def logarithmic_axis(label: str, values: Sequence[float]) -> Axis:
    """An axis over positive `values`, with some room at its ends; it names 1, 2 and 5 of each decade."""
    low, high = _range(values)
    low, high = low / 1.12, high * 1.12
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return Axis(label, low, high, tuple(tick for tick in ticks if low <= tick <= high), True)


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _round_step(step: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
