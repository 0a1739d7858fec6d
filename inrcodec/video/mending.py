"""Timestamps that repeat, go back or are missing: moved by as little as possible, the others stay exact."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

Stamp = tuple[int, int]
"""Number of a frame, and its timestamp."""


class Mended(NamedTuple):
    """Rising timestamps of all frames."""

    times: tuple[int, ...]
    per_unit: int
    """Parts into which the source's time base was divided, to make room for frames that share a timestamp."""
    moved: int
    """Timestamps that did not rise and were moved."""
    missing: int
    """Frames without a timestamp, which got one."""


def mended(stamps: Sequence[int | None], period: Fraction) -> Mended | None:
    """Timestamps that rise, for frames of `period` time units; None if too many of those present do not.

    The largest set of timestamps that rise stays, and of several such sets the one that holds the earlier
    frames. A frame of the rest is shown at the possible time that is nearest to its own timestamp or, without
    one, at an even distance from its neighbours. Where most timestamps are each those of several frames, only
    the first of these frames has one.
    """
    known = [(index, stamp) for index, stamp in enumerate(stamps) if stamp is not None]
    kept = _longest_rising(known)
    own = list(stamps)
    if _are_shared(known):
        own = [None] * len(stamps)
        for index, stamp in kept:
            own[index] = stamp
        (before, early), (after, late) = kept[-2:]
        period = Fraction(late - early, after - before)
    elif not kept or 2 * len(kept) < len(known) or 4 * _count_back(known, kept) > len(known):
        return None
    per_unit = max(
        (math.ceil((after - before) / (late - early)) for (before, early), (after, late) in pairwise(kept)),
        default=1,
    )
    times = [0] * len(stamps)
    for index, stamp in kept:
        times[index] = stamp * per_unit
    own = [None if stamp is None else stamp * per_unit for stamp in own]
    first, last = kept[0][0], kept[-1][0]
    step = max(1, round(period * per_unit))
    for index in reversed(range(first)):
        wanted = own[index]
        latest = times[index + 1] - 1
        times[index] = times[index + 1] - step if wanted is None else min(wanted, latest)
    for (before, _), (after, _) in pairwise(kept):
        _fill(times, own, before, after)
    for index in range(last + 1, len(times)):
        wanted = own[index]
        times[index] = times[index - 1] + step if wanted is None else max(wanted, times[index - 1] + 1)
    return Mended(tuple(times), per_unit, len(known) - len(kept), len(stamps) - len(known))


def on_grid(stamps: Sequence[int | None], period: Fraction) -> list[int | None]:
    """The timestamps at multiples of `period` from one another, if they are most of all; None for the others.

    For sources most of whose times are guessed, some of them wrongly, if the guesses are regular at all.
    """
    phases = [None if stamp is None else stamp - round(index * period) for index, stamp in enumerate(stamps)]
    known = Counter(phase for phase in phases if phase is not None)
    if not known:
        return list(stamps)
    usual, _ = known.most_common(1)[0]
    hits = [phase is not None and abs(phase - usual) <= 1 for phase in phases]
    if 2 * sum(hits) <= known.total():
        return list(stamps)
    return [stamp if is_hit else None for stamp, is_hit in zip(stamps, hits, strict=True)]


def apart(times: Iterable[int]) -> Iterator[int]:
    """Times, each at least one unit after the one before it."""
    return accumulate(times, lambda before, time: max(time, before + 1))


def _fill(times: list[int], own: Sequence[int | None], before: int, after: int) -> None:
    """Set the times of the frames between two whose times are set."""
    start, end = times[before], times[after]
    for index in range(before + 1, after):
        wanted = own[index]
        if wanted is None:
            wanted = start + (end - start) * (index - before) // (after - before)
        times[index] = min(max(wanted, times[index - 1] + 1), end - (after - index))


def _are_shared(known: Sequence[Stamp]) -> bool:
    """Whether the timestamps never go back, and most of them are each those of several frames."""
    frames = Counter(stamp for _, stamp in known)
    shared = sum(count > 1 for count in frames.values())
    is_ordered = all(early <= late for (_, early), (_, late) in pairwise(known))
    return is_ordered and len(frames) > 1 and 2 * shared > len(frames)


def _count_back(known: Sequence[Stamp], kept: Sequence[Stamp]) -> int:
    """Timestamps that are earlier than a kept one before them; many of them are times that begin again."""
    stays, latest, count = dict(kept), -math.inf, 0
    for index, stamp in known:
        count += stamp < latest
        latest = stamp if index in stays else latest
    return count


def _longest_rising(known: Sequence[Stamp]) -> list[Stamp]:
    """The longest run of rising timestamps with any between them left out; of several, the earliest."""
    # `ends[n]` is the negated largest timestamp with which n + 1 rising ones begin, among those seen so far.
    ends: list[int] = []
    lengths = []
    for _, stamp in reversed(known):
        place = bisect_left(ends, -stamp)
        ends[place : place + 1] = [-stamp]
        lengths.append(place + 1)
    kept: list[Stamp] = []
    for one, length in zip(known, reversed(lengths), strict=True):
        if length == len(ends) - len(kept) and (not kept or one[1] > kept[-1][1]):
            kept.append(one)
    return kept
