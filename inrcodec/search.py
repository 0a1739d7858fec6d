"""Searches along a line, as plain arithmetic: bracket what is wanted, then go on between both ends.

Whoever searches chooses what is on the line (the size of a file, a quantisation step, a factor of all steps)
and what is measured there; values rise along the line, so that sizes, which fall with the step, come negated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Tried = tuple[float, float]
"""A place on the line, and the value that was measured there."""


def bracket(tried: Iterable[Tried], wanted: float) -> tuple[Tried | None, Tried | None]:
    """The tried places around `wanted`: the last one below it, and the first one that has it or more.

    Measurements may fall where they should rise: then the first lies beyond the second.
    """
    every = list(tried)
    below = [one for one in every if one[1] < wanted]
    above = [one for one in every if one[1] >= wanted]
    return max(below, default=None), min(above, default=None)


def share_between(low: float, high: float, wanted: float, inner: float = 0.0) -> float:
    """How far `wanted` is on the way from `low` to `high`, 0 to 1; at least `inner` from each end.

    Staying clear of the ends narrows the bracket from both sides, however the values bend.
    """
    return within((wanted - low) / (high - low), inner, 1 - inner)


def within(value: float, least: float, most: float) -> float:
    """The value, or the bound that it is beyond."""
    return min(max(value, least), most)


def first_that(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first number above `low` for which the monotone `holds`, which it does for `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
