"""The prediction structure: anchors one group (GOP) apart, and the frames between them by halving.

    anchors   0 -> 16 -> 32 -> ...               each is predicted from the anchor before it
    between   8 from 0 and 16, 4 from 0 and 8, ...   each is predicted from the nearest coded frames around it

Frame 0 is intra-coded, the other anchors have one reference (like P pictures), and the frames between anchors
are bi-predicted hierarchical B pictures (Schwarz et al., "Analysis of hierarchical B pictures and MCTF",
2006). The number of frames and the group size determine everything here.
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
    """The level, references and coding order of each of T frames."""

    frame_levels: tuple[int, ...]
    """0 for the first frame, 1 for the other anchors, 2 and above for the frames of each halving."""
    frame_references: tuple[tuple[int, int], ...]
    """The reference frames before and after each frame. An anchor has the anchor before it twice, the first
    frame has (-1, -1)."""
    order: tuple[tuple[int, ...], ...]
    """Batches of frames in coding order; the references of a batch are all in earlier batches."""

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
        )


@lru_cache(maxsize=8)
def hierarchy(frame_count: int, group_frames: int) -> Hierarchy:
    """The hierarchy of `frame_count` (T) frames with anchors evenly spread, about `group_frames` apart.

    Anchor i = 0..n is frame floor((2 i (T - 1) + n) / (2 n)), so that the last frame is an anchor. The frame
    between a and b is floor((a + b) / 2).
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
