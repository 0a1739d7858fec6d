"""Frames between two coded frames, which files do not contain: bi-prediction by the motion that they store.

One of two consecutive frames of a shot is always a reference of the other, whose field therefore has the
motion between them. A frame in between is predicted from both, each moved by its share of that motion. Where
they then differ more than without motion (at occlusions, or where the encoder stored other motion because it
costs fewer bits), a block takes the motion of a block beside it, or none.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.overlapped import moved_tiles, windows
from inrcodec.models.inrc.planes import Planes
from inrcodec.models.inrc.prediction import bordered, predict_planes


def motion_from(frame: int, tree: Hierarchy, field: Tensor) -> Tensor:
    """The motion of content from a frame to the next one of its shot, in pixels: (2, rows, columns).

    `field` is (T, 5, rows, columns). The nodes are those of the frame whose field has the motion.
    """
    if frame + 1 in tree.frame_references[frame]:
        return field[frame, 2:4] + field[frame, :2]
    half, common = field[frame + 1, :2], field[frame + 1, 2:4]
    return half - common if tree.has_two[frame + 1] else -half


def between(before: Planes, after: Planes, motion: Tensor, part: float) -> Planes:
    """Predict the frame at `part`, 0 to 1, of the way between two frames; all planes lack the first axis.

    `motion` (2, rows, columns) is that from one to the other, in pixels. Each node moves as the luma of both
    frames agrees best: not at all, by its own motion or by that of a node beside it.
    """
    first, second = (planes.map(lambda plane: plane[None]) for planes in (before, after))
    # Luma of half the resolution chooses as well, in half the time.
    halves = F.avg_pool2d(first.luma, 2), F.avg_pool2d(second.luma, 2)
    field = _field(torch.zeros_like(motion), part)
    least = _disagreement(*halves, field)
    for moved in _near(motion):
        tried = _field(moved, part)
        found = _disagreement(*halves, tried)
        field, least = torch.where(found < least, tried, field), torch.minimum(found, least)
    return predict_planes(first, second, field, True).frames()[0]


def _near(motion: Tensor) -> Iterator[Tensor]:
    """The motion of each node itself, above, below, left and right of it; content may have moved that far."""
    rows, columns = motion.shape[1:]
    around = bordered(motion[None])[0]
    for row, column in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)):
        yield around[:, row : row + rows, column : column + columns]


def _field(motion: Tensor, part: float) -> Tensor:
    """The field (1, 5, rows, columns) of a frame at `part` of the way between its references."""
    balance = torch.full_like(motion[:1], 0.5 - part)
    return torch.cat([motion / 2, (0.5 - part) * motion, balance])[None]


def _disagreement(before: Tensor, after: Tensor, field: Tensor) -> Tensor:
    """The squared error between images (1, 1, h, w) of half the resolution that the field moves, by node."""
    first, second = moved_tiles(before, after, field, 2.0)
    rows, columns = field.shape[2:]
    weights = windows(rows, columns, before.shape[2] // rows, before.device)
    return (first - second).mul_(weights).square_().sum((2, 3, 4))
