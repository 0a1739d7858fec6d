"""Motion-compensated temporal filtering of the frames that many others are predicted from.

Every frame has other noise. The noise of an anchor costs bits, and does not help the frames predicted from
it. The latents of first frames and of other anchors are therefore chosen for a weighted mean of the frame and
of those around it, moved onto it. Pixels that do not match count less, and the more so the finer the latents'
steps are. The encoder alone does this (P. Wennersten et al., "Encoder-only GOP-based temporal filter", JVET
document O0549, 2019).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fit.grids.block_search import search
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.models.inrc.planes import Planes, stacked
from inrcodec.models.inrc.prediction import predict_planes
from inrcodec.models.inrc.shapes import MOTION_CHANNELS

WEIGHTS = (0.6, 0.5)
"""The weight of a frame that matches, by its distance in frames, where the filtered frame itself has 1."""
LAST_LEVEL = 1
"""The last level of the hierarchy whose frames are filtered."""
TOLERANCE = 1.1
"""The deviation of a pixel at which its weight falls to exp(-1/2), in latent steps."""
WINDOW = 5
"""Side of the square over which squared deviations are averaged, pixels."""
CLOSE = 0.1
"""Relative change of the steps below which a filtered frame is kept."""


class TemporalFilter:
    """The frames of a segment as latents are chosen for them."""

    def __init__(self, segment: SegmentPlanes) -> None:
        self._segment = segment
        self._motion: dict[tuple[int, int], Tensor] = {}
        """Fields (1, 5, rows, columns) by filtered frame and by the frame that is moved onto it."""
        self._filtered: dict[int, tuple[float, Planes]] = {}
        """By frame: its tolerance, and its planes in half precision."""

    def planes(self, batch: list[int], steps: Tensor) -> Planes:
        """The planes of these frames of one level, whose latents have steps (B, 1, h, w), float32."""
        if self._segment.tree.levels[batch[0]] > LAST_LEVEL:
            return self._segment.planes(batch)
        tolerances = (TOLERANCE * steps.mean((1, 2, 3))).tolist()
        found = [self._frame(*pair) for pair in zip(batch, tolerances, strict=True)]
        return stacked(found).map(Tensor.float)

    def _frame(self, frame: int, tolerance: float) -> Planes:
        """The planes of one frame, without the first axis."""
        kept = self._filtered.get(frame)
        if kept is None or abs(math.log(kept[0] / tolerance)) > CLOSE:
            planes = self._mean(frame, tolerance).map(lambda plane: plane[0].half())
            kept = self._filtered[frame] = tolerance, planes
        return kept[1]

    def _mean(self, frame: int, tolerance: float) -> Planes:
        now = self._segment.planes([frame])
        luma, chroma = now.luma.clone(), now.chroma.clone()
        total = torch.ones_like(luma), torch.ones_like(chroma[:, :1])
        for other in self._around(frame):
            moved = self._moved(other, frame, now)
            squares = (moved.luma - now.luma).square()
            deviation = F.avg_pool2d(squares, WINDOW, 1, WINDOW // 2, count_include_pad=False)
            weight = WEIGHTS[abs(other - frame) - 1] * torch.exp(-deviation / (2 * tolerance**2))
            weights = weight, F.avg_pool2d(weight, 2)
            for sum_of, one, plane, share in zip(
                (luma, chroma), total, (moved.luma, moved.chroma), weights, strict=True
            ):
                sum_of += share * plane
                one += share
        return Planes(luma / total[0], chroma / total[1])

    def _around(self, frame: int) -> list[int]:
        """The frames of the same shot whose distance has a weight."""
        starts, reach = self._segment.tree.starts, len(WEIGHTS)
        first = max(start for start in starts if start <= frame)
        stop = min((start for start in starts if start > frame), default=self._segment.frame_count)
        return [one for one in range(max(first, frame - reach), min(stop, frame + reach + 1)) if one != frame]

    def _moved(self, other: int, frame: int, now: Planes) -> Planes:
        """The planes of `other`, moved onto `frame`, whose planes are `now`."""
        planes = self._segment.planes([other])
        field = self._motion.get((frame, other))
        if field is None:
            motion = search(now.luma, planes.luma)
            field = torch.zeros(1, MOTION_CHANNELS, *motion.shape[2:], device=motion.device)
            field[:, : motion.shape[1]] = motion
            self._motion[frame, other] = field
        return predict_planes(planes, None, field, is_overlapped=True)
