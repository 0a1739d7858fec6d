"""Where a video is cut into segments, and how the bits of the file are shared out: plain arithmetic.

Every segment is a network of its own: it decodes alone, and fitting it needs the memory of its frames only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import UsageError
from inrcodec.settings.source import SegmentRule

LARGEST_SEGMENT_BYTES = 512 << 20
"""Of the pixels of a segment as RGB, where nobody asks for another length; the same on every machine, so that
the same settings give the same file."""
SHORTEST_SCENE = 12
"""Frames; a network costs a fixed part of its bits whatever the length of its scene."""
SCENE_CHANGE = 10.0
"""Least mean difference of the thumbnails across a cut, in code values 0 to 255."""
SCENE_CONTRAST = 4.0
"""How far above the median difference of the frames around it a cut stands out."""
SCENE_WINDOW = 12
"""Frames on each side that this median is over."""
LEAST_DIFFICULTY = 0.2
"""Of the mean one; less would leave a still or black segment without the bits for its network."""


def cut(
    rule: SegmentRule,
    frame_count: int,
    frame_bytes: int,
    changes: NDArray[np.float64],
    most_frames: int | None = None,
) -> list[range]:
    """The frames of each segment, in order and without gaps.

    `auto` makes as few segments as keep each within `LARGEST_SEGMENT_BYTES` and `most_frames`, of equal
    length but for one frame. A number makes segments of so many frames and a shorter last one; where less
    than half of the number were left for it, the last two share their frames, because a network costs a fixed
    part of its bits however short it is. `scene` cuts where `changes` (T,) of the thumbnails say that another
    scene begins, and what is longer than `auto` allows once more. Raises `UsageError` for a number below 1 or
    above `most_frames`.
    """
    longest = max(1, min(LARGEST_SEGMENT_BYTES // frame_bytes, most_frames or frame_count))
    if isinstance(rule, int):
        if rule < 1:
            raise UsageError(f"--segment: expected at least one frame, found {rule}")
        if most_frames is not None and min(rule, frame_count) > most_frames:
            raise UsageError(f"--segment: this model takes at most {most_frames} frames of this size")
        left = frame_count % rule
        is_short = 2 * left < rule < frame_count and left > 0
        whole = frame_count - left - (rule if is_short else 0)
        last = _even_parts(whole, frame_count, rule) if whole < frame_count else []
        return [*(range(first, first + rule) for first in range(0, whole, rule)), *last]
    starts = [0, *(scene_starts(changes) if rule == "scene" else ()), frame_count]
    return [part for first, stop in pairwise(starts) for part in _even_parts(first, stop, longest)]


def _even_parts(first: int, stop: int, longest: int) -> list[range]:
    """Frames `first` to `stop` in as few parts as have at most `longest` frames, equal but for one frame."""
    count = math.ceil((stop - first) / longest)
    bounds = [first + index * (stop - first) // count for index in range(count + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


def scene_starts(changes: NDArray[np.float64]) -> list[int]:
    """First frames of scenes but the first, from the change (T,) of each thumbnail from the one before.

    A cut is a change that is large and stands out of those around it, which a fast movement does not. The
    largest come first, and none is closer than `SHORTEST_SCENE` to a cut before it or to an end.
    """
    count = len(changes)
    bounds = [0, count]
    for start in sorted(range(1, count), key=lambda frame: (-changes[frame], frame)):
        if changes[start] < SCENE_CHANGE:
            break
        around = [
            *changes[max(1, start - SCENE_WINDOW) : start],
            *changes[start + 1 : start + 1 + SCENE_WINDOW],
        ]
        stands_out = changes[start] >= SCENE_CONTRAST * float(np.median(around or [0.0]))
        if stands_out and all(abs(start - bound) >= SHORTEST_SCENE for bound in bounds):
            bounds.append(start)
    return sorted(bounds)[1:-1]


def difficulties(
    runs: Sequence[range], spatial: NDArray[np.float64], temporal: NDArray[np.float64]
) -> list[float]:
    """How many bits each segment needs, relative to the others, for about the same quality.

    The mean absolute gradient in space and in time, times the frames. Of the gradient in time no more counts
    than there is in space: what changes faster than it has detail (noise) is not learnt with more bits, as
    `benchmarks/evenness.py` measures. The change into a segment's first frame is no difficulty of its own: it
    lies between two networks.
    """
    totals = []
    for run in runs:
        detail, change = (
            float(spatial[run.start : run.stop].sum()),
            float(temporal[run.start + 1 : run.stop].sum()),
        )
        totals.append(detail + min(change, detail))
    least = LEAST_DIFFICULTY * max(sum(totals), 1e-9) / sum(len(run) for run in runs)
    return [max(total, least * len(run)) for total, run in zip(totals, runs, strict=True)]


def share_of_time(lengths: Sequence[int], worker_count: int) -> float:
    """What share of the time left the first of these segments may take: that by frames of its worker's queue.

    A worker's queue is every N-th of them, as far as one can tell beforehand, N being `worker_count`.
    """
    return lengths[0] / sum(lengths[::worker_count])
