"""Cuts a video into segments, and divides the bits of the file among them: plain arithmetic.

Every segment has its own network: it decodes independently, and fitting it needs memory for its frames only.
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
"""Maximum size of a segment's RGB pixels, unless a length is given; the same on every machine, so that the
same settings give the same file."""
SHORTEST_SCENE = 12
"""Minimum frames of a scene: part of a network's bits does not depend on the length of its scene."""
SCENE_CHANGE = 10.0
"""Minimum mean difference of the thumbnails across a cut, in code values 0 to 255."""
SCENE_CONTRAST = 4.0
"""Minimum ratio of the difference at a cut to the median difference of the frames around it."""
SCENE_WINDOW = 12
"""Frames on each side that the median covers."""
LEAST_DIFFICULTY = 0.2
"""Minimum difficulty, relative to the mean; a still or black segment also needs bits for its network."""


def cut(
    rule: SegmentRule,
    frame_count: int,
    frame_bytes: int,
    changes: NDArray[np.float64],
    most_frames: int | None = None,
) -> list[range]:
    """The frames of each segment, in order and without gaps.

    `auto` makes the fewest segments within `LARGEST_SEGMENT_BYTES` and `most_frames`; their lengths differ by
    at most one frame. A number makes segments of that many frames and a shorter last one. If that would have
    less than half the number, the last two share their frames, because part of a network's bits does not
    depend on its length. `scene` cuts where `changes` (T,) of the thumbnails show a new scene, and divides
    scenes that are longer than `auto` allows. Raises `UsageError` for a number below 1 or above
    `most_frames`.
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
    """Divide frames `first` to `stop` into the fewest parts of at most `longest`, as equal as possible."""
    count = math.ceil((stop - first) / longest)
    bounds = [first + index * (stop - first) // count for index in range(count + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


def scene_starts(changes: NDArray[np.float64], shortest: int = SHORTEST_SCENE) -> list[int]:
    """First frames of all scenes but the first, from the change (T,) of each thumbnail from the previous one.

    A cut is a large change that stands out from those around it, unlike fast movement. Larger changes take
    precedence, and no cut is closer than `shortest` frames to one already chosen or to an end.
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
        if stands_out and all(abs(start - bound) >= shortest for bound in bounds):
            bounds.append(start)
    return sorted(bounds)[1:-1]


def difficulties(
    runs: Sequence[range], spatial: NDArray[np.float64], temporal: NDArray[np.float64]
) -> list[float]:
    """Bits that each segment needs, relative to the others, for about the same quality.

    A difficulty is the mean absolute gradient in space plus that in time, times the frames. The temporal
    gradient counts only up to the spatial one: content that changes more than it has detail (noise) does not
    improve with more bits, as `benchmarks/evenness.py` measures. The change into a segment's first frame does
    not count, because it lies between two networks.
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
    """Fraction of the time left for the first of these segments: its share of its worker's frames.

    The worker is expected to fit every `worker_count`-th segment.
    """
    return lengths[0] / sum(lengths[::worker_count])
