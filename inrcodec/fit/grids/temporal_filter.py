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
        """Fields (5, rows, columns) by filtered frame and by the frame that is moved onto it."""
        self._filtered: dict[int, tuple[float, Planes]] = {}
        """By frame: its tolerance, and its planes in half precision."""

    def begin(self, steps: Tensor) -> None:
        """Filter frames for latents of these steps (T, 1, h, w), except those filtered for similar steps."""
        segment = self._segment
        frames = [int(frame) for frame in (segment.tree.levels <= LAST_LEVEL).nonzero()[0]]
        tolerances = TOLERANCE * steps[segment.rows(frames)].mean((1, 2, 3))
        of_frame = dict(zip(frames, tolerances.tolist(), strict=True))
        stale = [place for place, frame in enumerate(frames) if not self._is_close(frame, of_frame[frame])]
        pixels = segment.height * segment.width
        missing = [
            (frames[place], other)
            for place in stale
            for other in self._around(frames[place])
            if (frames[place], other) not in self._motion
        ]
        for chunk in segment.chunks(range(len(missing)), 2 * pixels):
            self._search([missing[place] for place in chunk])
        for chunk in segment.chunks(stale, 2 * len(WEIGHTS) * pixels):
            some = [frames[place] for place in chunk]
            means = self._means(some, tolerances[segment.rows(chunk)])
            for frame, planes in zip(some, means.map(Tensor.half).frames(), strict=True):
                self._filtered[frame] = of_frame[frame], planes

    def planes(self, batch: list[int]) -> Planes:
        """The planes of these frames of one level after `begin`, float32."""
        if self._segment.tree.levels[batch[0]] > LAST_LEVEL:
            return self._segment.planes(batch)
        return stacked([self._filtered[frame][1] for frame in batch]).map(Tensor.float)

    def _is_close(self, frame: int, tolerance: float) -> bool:
        kept = self._filtered.get(frame)
        return kept is not None and abs(math.log(kept[0] / tolerance)) <= CLOSE

    def _search(self, pairs: list[tuple[int, int]]) -> None:
        """Find the motion of pairs of frames, all at once."""
        now, others = (self._segment.planes(frames).luma for frames in zip(*pairs, strict=True))
        motion = search(now, others)
        fields = torch.zeros(len(pairs), MOTION_CHANNELS, *motion.shape[2:], device=motion.device)
        fields[:, : motion.shape[1]] = motion
        self._motion.update(zip(pairs, fields, strict=True))

    def _means(self, frames: list[int], tolerances: Tensor) -> Planes:
        """The weighted means of `frames` and of those around them, by the `tolerances` (B,)."""
        segment, around = self._segment, [self._around(frame) for frame in frames]
        source = segment.planes(frames)
        luma, chroma = source.luma.clone(), source.chroma.clone()
        total = torch.ones_like(luma), torch.ones_like(chroma[:, :1])
        widths = (2 * tolerances.double() ** 2).float().view(-1, 1, 1, 1)
        for number in range(max(map(len, around))):
            # Frames at the ends of a shot have fewer around them.
            places = [place for place, others in enumerate(around) if len(others) > number]
            others = [around[place][number] for place in places]
            fields = torch.stack([self._motion[frames[place], around[place][number]] for place in places])
            moved = predict_planes(segment.planes(others), None, fields, is_overlapped=True)
            rows = segment.rows(places)
            squares = (moved.luma - source.luma[rows]).square()
            deviation = F.avg_pool2d(squares, WINDOW, 1, WINDOW // 2, count_include_pad=False)
            nearest = self._weights_of([abs(around[place][number] - frames[place]) for place in places])
            weight = nearest * torch.exp(-deviation / widths[rows])
            weights = weight, F.avg_pool2d(weight, 2)
            for sum_of, one, plane, share in zip(
                (luma, chroma), total, (moved.luma, moved.chroma), weights, strict=True
            ):
                sum_of[rows] += share * plane
                one[rows] += share
        return Planes(luma / total[0], chroma / total[1])

    def _weights_of(self, distances: list[int]) -> Tensor:
        """The `WEIGHTS` of frames at these distances, (B, 1, 1, 1)."""
        found = torch.tensor([WEIGHTS[distance - 1] for distance in distances])
        return found.to(self._segment.device, non_blocking=True).view(-1, 1, 1, 1)

    def _around(self, frame: int) -> list[int]:
        """The frames of the same shot whose distance has a weight."""
        starts, reach = self._segment.tree.starts, len(WEIGHTS)
        first = max(start for start in starts if start <= frame)
        stop = min((start for start in starts if start > frame), default=self._segment.frame_count)
        return [one for one in range(max(first, frame - reach), min(stop, frame + reach + 1)) if one != frame]
