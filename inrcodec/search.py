"""Arithmetic for one-dimensional searches: bracket the wanted value, then narrow the bracket.

The caller chooses the place searched (a file size, a quantisation step, a factor on all steps) and the value
measured there. Values must rise with the place, so callers negate sizes, which fall as the step grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Tried = tuple[float, float]
"""A place, and the value measured there."""


def bracket(tried: Iterable[Tried], wanted: float) -> tuple[Tried | None, Tried | None]:
    """The tried places around `wanted`: the last place below it and the first place that reaches it.

    Either is None if there is none. Where noisy measurements fall, the first may lie beyond the second.
    """
    every = list(tried)
    below = [one for one in every if one[1] < wanted]
    above = [one for one in every if one[1] >= wanted]
    return max(below, default=None), min(above, default=None)


def share_between(low: float, high: float, wanted: float, inner: float = 0.0) -> float:
    """Position of `wanted` between the values `low` and `high`, 0 to 1, at least `inner` from each end.

    Staying clear of the ends narrows the bracket from both sides, however curved the values are.
    """
    return within((wanted - low) / (high - low), inner, 1 - inner)


def within(value: float, least: float, most: float) -> float:
    """`value` clamped to `least` and `most`."""
    return min(max(value, least), most)


def first_that(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first number above `low` for which the monotone `holds` is true; it must be true for `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
