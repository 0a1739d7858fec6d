"""Finds the shots of a segment, so that no frame is predicted from another scene.

A cut replaces a predicted frame by an intra-coded one and adds an anchor. A false cut thus costs bits, and a
missed one no more than if there were no shots. A cut has to pass three tests: the picture changes much more
than around it, the change lasts (unlike a short flash), and the frame has less detail than what its
prediction from the frame before leaves (unlike a fade). The last test is that of x264's scene detection.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.fit.grids.block_search import search
from inrcodec.fit.grids.source_planes import with_chroma_of
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS
from inrcodec.models.inrc.lapped import analyse
from inrcodec.models.inrc.planes import Planes, components, halved
from inrcodec.models.inrc.prediction import predict_planes
from inrcodec.models.inrc.shapes import CELL, MOTION_CHANNELS, InrcConfig
from inrcodec.models.layers.codes import as_tensor
from inrcodec.plan.cuts import scene_starts
from inrcodec.plan.network import SegmentPlan
from inrcodec.samples import Samples
from inrcodec.video.survey import thumbnail

SHORTEST_SHOT = 6
"""Minimum frames of a shot, a quarter of a second at 24 frames a second: shorter ones are mostly flashes."""
LEAST_GAIN = 1.25
"""Minimum ratio of the size of the prediction residual to that of the frame itself. More than 1, because a
cut also adds an anchor."""
COMPARED_ANCHORS = 2
"""Ends of earlier shots, the nearest by their thumbnails, that a first frame is predicted from for a test."""
MOST_SHARE = 0.9
"""Maximum size of a first frame with prediction, as a share of its size without."""
LEAST_SIZE = 1e-9
"""Keeps shares of frames of a single colour finite."""


def planned_for(clip: Samples, plan: SegmentPlan) -> SegmentPlan:
    """The plan for these frames (T, height, width, 3): with their chroma upsampling and their cuts."""
    config = with_chroma_of(clip, plan.config)
    if config.version >= 1:
        config = replace(config, cuts=found_cuts(clip, config))
    if config.cuts and config.version >= 2:
        config = replace(config, returns=found_returns(clip, config))
    if not config.returns:
        # Older readers read it, too.
        config = replace(config, version=min(config.version, 1))
    # Shorter shots have fewer levels, and so other shapes of the entropy models.
    return plan.with_config(config)


def found_cuts(clip: Samples, config: InrcConfig) -> tuple[int, ...]:
    """First frames of all shots but the first in the frames (T, height, width, 3)."""
    starts = scene_starts(lasting_changes(clip), SHORTEST_SHOT)
    return tuple(frame for frame in starts if _is_worth_it(clip[frame - 1 : frame + 1], config))


def lasting_changes(clip: Samples) -> NDArray[np.float64]:
    """The change into each frame, (T,), in code values; 0 for the first.

    It is the least mean difference between the thumbnails of a frame before and one after the change, over
    all pairs of frames less than `SHORTEST_SHOT` + 1 apart. After a flash the picture is as before.
    """
    small = np.stack([thumbnail(frame) for frame in clip])
    changes = np.full(len(small), np.inf)
    changes[0] = 0.0
    for apart in range(1, min(SHORTEST_SHOT + 1, len(small))):
        differences = np.abs(small[apart:] - small[:-apart]).mean((1, 2, 3))
        for before, difference in enumerate(differences):
            inside = slice(before + 1, before + apart + 1)
            changes[inside] = np.minimum(changes[inside], difference)
    return changes


def found_returns(clip: Samples, config: InrcConfig) -> tuple[int, ...]:
    """For each cut the anchor that its shot returns to, or -1; empty if no shot does.

    First and last frames of shots are anchors whatever their distance is.
    """
    small = np.stack([thumbnail(frame) for frame in clip]).astype(np.float64)
    returns = []
    for shot, first in enumerate(config.cuts):
        ends = (0, *(end for cut in config.cuts[:shot] for end in (cut - 1, cut)), first - 1)
        earlier = [*dict.fromkeys(ends)]
        differences = np.abs(small[earlier] - small[first]).mean((1, 2, 3))
        nearest = [earlier[place] for place in differences.argsort(kind="stable")[:COMPARED_ANCHORS]]
        shares = {anchor: _predicted_share(clip[[anchor, first]], config) for anchor in nearest}
        best = min(shares, key=shares.__getitem__)
        returns.append(best if shares[best] <= MOST_SHARE else -1)
    return tuple(returns) if max(returns) >= 0 else ()


def _is_worth_it(pair: Samples, config: InrcConfig) -> bool:
    """Whether the second of two frames (2, height, width, 3) costs less without the first."""
    return _predicted_share(pair, config) >= LEAST_GAIN


@torch.no_grad()
def _predicted_share(pair: Samples, config: InrcConfig) -> float:
    """The size of the second of two frames (2, height, width, 3) predicted from the first, as a share.

    The whole is its size without prediction.
    """
    before, now = (
        components(as_tensor(frame[None]), config.rows * CELL, config.columns * CELL) for frame in pair
    )
    motion = search(now[:, :1], before[:, :1])
    field = torch.zeros(1, MOTION_CHANNELS, *motion.shape[2:])
    field[:, : motion.shape[1]] = motion
    source, reference = (halved(one, config.is_smooth) for one in (now, before))
    residual = source - predict_planes(reference, None, field, config.is_overlapped)
    whole = _size(source, config, is_first=True)
    return _size(residual, config, is_first=False) / max(whole, LEAST_SIZE)


def _size(planes: Planes, config: InrcConfig, is_first: bool) -> float:
    """The sum of the magnitudes of all coefficients; the DC of a first frame is predicted."""
    coefficients = analyse(planes, config.is_smooth)
    size = float(coefficients.abs().sum())
    if is_first:
        dc = coefficients[:, list(FIRST_CHANNELS)]
        size += float(_steps_between(dc).sum() - dc.abs().sum())
    return size


def _steps_between(dc: Tensor) -> Tensor:
    """The differences of (1, 3, h, w) from the left neighbour, and of the first column from that above."""
    before = dc.roll(1, 3)
    before[..., 0] = dc[..., 0].roll(1, 2)
    before[..., 0, 0] = 0
    return (dc - before).abs()
