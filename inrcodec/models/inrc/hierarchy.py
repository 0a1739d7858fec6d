"""The order in which frames are coded: anchors a group apart, and frames between them by halving.

    anchors   0 -> 16 -> 32 -> ...               each is predicted from the anchor before it
    between   8 from 0 and 16, 4 from 0 and 8, ...   each is predicted from the nearest coded frames around it

As in the hierarchical B pictures of ordinary codecs (Schwarz et al., "Analysis of hierarchical B pictures and
MCTF", 2006). Everything here follows from the number of frames and the size of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MOST_GROUP_FRAMES = 64


@dataclass(frozen=True)
class Hierarchy:
    """Who is predicted from whom in a run of frames."""

    frame_levels: tuple[int, ...]
    """0 for the first frame, 1 for other anchors, from 2 on for the halvings."""
    frame_references: tuple[tuple[int, int], ...]
    """The frames before and after that a frame is predicted from; an anchor names the one before it twice,
    the first frame has (-1, -1)."""
    order: tuple[tuple[int, ...], ...]
    """Batches of frames: the references of a batch are all in batches before it."""

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
        """`frames` and all that they are predicted from, directly or not."""
        found, waiting = set(frames), list(frames)
        while waiting:
            for reference in self.frame_references[waiting.pop()]:
                if reference >= 0 and reference not in found:
                    found.add(reference)
                    waiting.append(reference)
        return found


@lru_cache(maxsize=8)
def hierarchy(frame_count: int, group_frames: int) -> Hierarchy:
    """The hierarchy of `frame_count` frames with anchors about `group_frames` apart, evenly spread.

    Anchor i of n is frame floor((2 i (T - 1) + n) / (2 n)), the last frame being an anchor; the frame between
    a and b is floor((a + b) / 2).
    """
    groups = max(1, -(-(frame_count - 1) // group_frames)) if frame_count > 1 else 0
    anchors = (
        [(2 * i * (frame_count - 1) + groups) // (2 * groups) for i in range(groups + 1)] if groups else [0]
    )
    levels, references = [0] * frame_count, [(-1, -1)] * frame_count
    order: list[tuple[int, ...]] = [(anchor,) for anchor in anchors]
    for before, anchor in zip(anchors[:-1], anchors[1:], strict=True):
        levels[anchor], references[anchor] = 1, (before, before)
    spans, level = list(zip(anchors[:-1], anchors[1:], strict=True)), 2
    while spans := [(a, b) for a, b in spans if b - a > 1]:
        middles = [(a + b) // 2 for a, b in spans]
        for middle, span in zip(middles, spans, strict=True):
            levels[middle], references[middle] = level, span
        order.append(tuple(middles))
        spans = [part for (a, b), m in zip(spans, middles, strict=True) for part in ((a, m), (m, b))]
        level += 1
    return Hierarchy(tuple(levels), tuple(references), tuple(order))
