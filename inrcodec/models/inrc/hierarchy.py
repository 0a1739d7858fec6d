"""The prediction structure: anchors one group (GOP) apart, and the frames between them by halving.

    anchors   0 -> 16 -> 32 -> ...               each is predicted from the anchor before it
    between   8 from 0 and 16, 4 from 0 and 8, ...   each is predicted from the nearest coded frames around it

Frame 0 is intra-coded, the other anchors have one reference (like P pictures), and the frames between anchors
are bi-predicted hierarchical B pictures (Schwarz et al., "Analysis of hierarchical B pictures and MCTF",
2006). A *shot* has such a structure by itself. It is predicted from its own frames alone, except that its
first frame may return to an anchor of an earlier shot. The number of frames, the group size, the first frames
of the shots and what they return to determine everything here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MOST_GROUP_FRAMES = 64
LEAST_SHOT = 2
"""Minimum frames of a shot where there are several, so that at most half of all frames are in one batch."""


@dataclass(frozen=True)
class Hierarchy:
    """The level, references and coding order of each of T frames."""

    frame_levels: tuple[int, ...]
    """0 for intra-coded frames, 1 for other anchors, 2 and above for the frames of each halving."""
    frame_references: tuple[tuple[int, int], ...]
    """The reference frames before and after each frame. An anchor has the anchor before it twice, or
    the one that its shot returns to. An intra-coded frame has (-1, -1)."""
    order: tuple[tuple[int, ...], ...]
    """Batches of frames of one level in coding order; the references of a batch are all in earlier batches.
    The first batch has all frames of level 0."""
    starts: frozenset[int] = frozenset({0})
    """The first frames of all shots."""

    @property
    def level_count(self) -> int:
        return max(self.frame_levels) + 1

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """(T,): `frame_levels` as an array."""
        import numpy as np

        return np.array(self.frame_levels, np.int64)

    @cached_property
    def references(self) -> NDArray[np.int64]:
        """(T, 2): `frame_references` as an array."""
        import numpy as np

        return np.array(self.frame_references, np.int64)

    @property
    def has_two(self) -> NDArray[np.bool_]:
        """(T,): whether a frame has two different references."""
        two: NDArray[np.bool_] = self.references[:, 0] != self.references[:, 1]
        return two

    def needed(self, frames: set[int]) -> set[int]:
        """`frames` and their direct and indirect references."""
        found, waiting = set(frames), list(frames)
        while waiting:
            for reference in self.frame_references[waiting.pop()]:
                if reference >= 0 and reference not in found:
                    found.add(reference)
                    waiting.append(reference)
        return found

    def up_to(self, level: int) -> tuple[tuple[int, ...], Hierarchy]:
        """The frames of levels 0..`level`, ascending, and their hierarchy, in which they are numbered anew.

        A frame's references are on its own level or below, so that all of them are kept.
        """
        kept = tuple(frame for frame, own in enumerate(self.frame_levels) if own <= level)
        number = {frame: place for place, frame in enumerate(kept)} | {-1: -1}
        batches = [tuple(number[frame] for frame in batch if frame in number) for batch in self.order]
        pairs = [self.frame_references[frame] for frame in kept]
        return kept, Hierarchy(
            tuple(self.frame_levels[frame] for frame in kept),
            tuple((number[before], number[after]) for before, after in pairs),
            tuple(batch for batch in batches if batch),
            frozenset(number[frame] for frame in self.starts if frame in number),
        )


@lru_cache(maxsize=8)
def hierarchy(
    frame_count: int, group_frames: int, cuts: tuple[int, ...] = (), returns: tuple[int, ...] = ()
) -> Hierarchy:
    """The hierarchy of `frame_count` frames with anchors evenly spread, about `group_frames` apart.

    `cuts` are the first frames of all shots but the first. Anchor i = 0..n of a shot of T frames is its frame
    floor((2 i (T - 1) + n) / (2 n)), so that its last frame is one. The frame between a and b is
    floor((a + b) / 2). `returns` has for each cut the anchor of an earlier shot that the first frame of its
    shot is predicted from, or -1 if that is intra-coded; nothing stands for -1 everywhere. The depth of an
    anchor is 0 without reference and otherwise one more than that of its reference. Anchors of each depth are
    one batch, as are the frames of each level from 2 on. Raises `ValueError` unless the shots have
    `LEAST_SHOT` frames each and shots return to anchors of earlier shots.
    """
    check_cuts(frame_count, cuts)
    if returns and len(returns) != len(cuts):
        raise ValueError(f"expected {len(cuts)} returns, one for each cut, found {len(returns)}")
    levels, references = [0] * frame_count, [(-1, -1)] * frame_count
    depths: dict[int, int] = {-1: -1}
    batches: dict[tuple[int, int], list[int]] = defaultdict(list)
    earlier = (-1, *(returns or (-1,) * len(cuts)))
    for back, (first, stop) in zip(earlier, pairwise((0, *cuts, frame_count)), strict=True):
        if back not in depths:
            raise ValueError(f"expected an anchor before frame {first} to return to, found {back}")
        anchors = [first + anchor for anchor in _anchors(stop - first, group_frames)]
        for before, anchor in pairwise((back, *anchors)):
            levels[anchor], references[anchor] = int(before >= 0), (before, before)
            depths[anchor] = depths[before] + 1
            batches[levels[anchor], depths[anchor]].append(anchor)
        for level, middle, span in _halvings(anchors):
            levels[middle], references[middle] = level, span
            batches[level, 0].append(middle)
    order = tuple(tuple(batches[key]) for key in sorted(batches))
    return Hierarchy(tuple(levels), tuple(references), order, frozenset((0, *cuts)))


def check_cuts(frame_count: int, cuts: Sequence[int]) -> None:
    """Raise `ValueError` unless `cuts` divide the frames into shots of at least `LEAST_SHOT`."""
    if cuts and min(stop - first for first, stop in pairwise((0, *cuts, frame_count))) < LEAST_SHOT:
        raise ValueError(f"expected shots of {LEAST_SHOT} frames or more, found cuts at {list(cuts)}")


def _anchors(frame_count: int, group_frames: int) -> list[int]:
    """The anchors of a shot, counted from its first frame."""
    groups = -(-(frame_count - 1) // group_frames)
    if not groups:
        return [0]
    return [(2 * i * (frame_count - 1) + groups) // (2 * groups) for i in range(groups + 1)]


def _halvings(anchors: Sequence[int]) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield level, number and references of each frame between anchors; on each level, frames ascend."""
    spans, level = [*pairwise(anchors)], 2
    while spans := [(a, b) for a, b in spans if b - a > 1]:
        for a, b in spans:
            yield level, (a + b) // 2, (a, b)
        spans = [part for a, b in spans for part in ((a, (a + b) // 2), ((a + b) // 2, b))]
        level += 1
