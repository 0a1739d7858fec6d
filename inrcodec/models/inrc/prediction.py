"""Frames from motion grids and latents: predicted from other frames, plus a synthesised difference.

    motion grids (T, 5, cells) -> field (T, 5, rows, columns)       four grids, coarse to fine, are summed up
    frame t = prediction(frames around t, field t) + synthesis(latents t x steps t)

The five channels of a field: (x, y) of half the way from the frame before to the one after, (x, y) of a
common shift, and by how much the frame before counts for more than one half. Of an anchor, which has only
one reference, the first two are the motion itself. Motion is in pixels, at one node for 16 x 16 pixels,
linear between nodes.

Latents of a frame that others are predicted from are finer: their steps are divided by a power of how often
their error shows again, which both sides compute from the fields alone (as "macroblock-tree rate control" of
x264 does on the encoder's side: J. Garrett-Glaser, 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.lapped import BLOCK
from inrcodec.models.inrc.planes import Planes, stacked
from inrcodec.models.inrc.shapes import CELL

DECAY = 0.95
"""What is left of an error from a frame to one that is predicted from it, beside what the weights do."""


def doubled(grid: Tensor, rows: int, columns: int) -> Tensor:
    """Each node repeated over 2 x 2, cut to `rows` and `columns`."""
    return grid.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :rows, :columns]


def field_of(grids: Sequence[Tensor]) -> Tensor:
    """The sum of the grids, each spread over the finest: (T, 5, rows, columns)."""
    field = grids[0]
    for grid in grids[1:]:
        field = doubled(field, *grid.shape[2:]) + grid
    return field


@lru_cache(maxsize=32)
def _shares(pixels: int, device: torch.device) -> Tensor:
    """What the nodes before, at and after a pixel's cell are worth to it: (pixels, 3)."""
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels - 0.5
    around = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    # Whoever asks first: what inference mode makes, a fit may not save for its backward pass.
    with torch.inference_mode(False):
        return (1 - (places[:, None] - around).abs()).clamp(min=0).float().to(device)


@lru_cache(maxsize=32)
def _spread(pixels: int, channels: int, device: torch.device) -> Tensor:
    """`_shares` of values that have channels beside each other: (3 x channels, pixels x channels)."""
    shares = _shares(pixels, device)
    with torch.inference_mode(False):
        return torch.kron(shares.T.contiguous(), torch.eye(channels, device=device))


@lru_cache(maxsize=32)
def _centres(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Places of nodes, one row and column around the image included, as `grid_sample` has them."""
    with torch.inference_mode(False):
        y = torch.arange(-1, rows + 1, dtype=dtype, device=device)
        x = torch.arange(-1, columns + 1, dtype=dtype, device=device)
        across, down = torch.meshgrid((2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1, indexing="xy")
        return torch.stack([across, down], -1)


def _stretched(nodes: Tensor, pixels: int) -> Tensor:
    """Linear between nodes `pixels` apart: (B, rows + 2, columns + 2, C) -> (B, h, w, C).

    The outermost nodes lie outside of the image. Products of matrices take half the time of `lerp`; rows come
    first, while there are few, and then whole rows are weighted.
    """
    count, height, _, channels = nodes.shape
    around = torch.cat([nodes[:, :, :-2], nodes[:, :, 1:-1], nodes[:, :, 2:]], -1)
    wide = torch.matmul(around, _spread(pixels, channels, nodes.device)).view(count, height, -1)
    # A view of one frame: its windows of three rows overlap.
    above_at_below = wide.unfold(1, 3, 1).transpose(2, 3).reshape(-1, 3, wide.shape[2])
    shares = _shares(pixels, nodes.device).expand(len(above_at_below), -1, -1)
    return torch.bmm(shares, above_at_below).view(count, (height - 2) * pixels, -1, channels)


def look_up(images: Tensor, places: Tensor) -> Tensor:
    """Images (B, C, h, w) at `places` (B, h, w, 2), -1 to 1 from edge to edge; edges go on outside."""
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def _warped(images: Tensor, motion: Tensor) -> Tensor:
    """Images (B, C, h, w) looked up at motion (B, 2, rows, columns), in pixels, from each place.

    Motion is linear between the nodes, and so are places: both are stretched at once.
    """
    height, width = images.shape[2:]
    rows, columns = motion.shape[2:]
    around = F.pad(motion, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    scales = motion.new_tensor([2 / width, 2 / height])
    nodes = _centres(rows, columns, motion.dtype, motion.device) + around * scales
    return look_up(images, _stretched(nodes, height // rows))


def predict(before: Tensor, after: Tensor | None, field: Tensor, pixels_per_unit: float = 1.0) -> Tensor:
    """Frames (B, C, h, w) from their references and their fields (B, 5, rows, columns).

    `after` is None for anchors. The motion is divided by `pixels_per_unit`, for images that are smaller.
    """
    if after is None:
        return _warped(before, field[:, :2] / pixels_per_unit)
    half, common = field[:, :2] / pixels_per_unit, field[:, 2:4] / pixels_per_unit
    balance = F.pad(field[:, 4:5], (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    share = _stretched(0.5 + balance, before.shape[2] // field.shape[2]).permute(0, 3, 1, 2)
    return torch.lerp(_warped(after, common + half), _warped(before, common - half), share)


def predict_planes(before: Planes, after: Planes | None, field: Tensor) -> Planes:
    """See `predict`. Chroma has half the pixels in each direction, and half the motion."""
    luma = predict(before.luma, None if after is None else after.luma, field)
    return Planes(luma, predict(before.chroma, None if after is None else after.chroma, field, 2.0))


def predict_batch(
    frames: Mapping[int, Planes], batch: Sequence[int], tree: Hierarchy, field: Tensor
) -> Planes:
    """Predictions of the frames of a batch; `field` (B, 5, rows, columns) is theirs."""
    before, after = references_of(batch, tree)
    after_planes = None if after is None else stacked([frames[frame] for frame in after])
    return predict_planes(stacked([frames[frame] for frame in before]), after_planes, field)


def references_of(batch: Sequence[int], tree: Hierarchy) -> tuple[list[int], list[int] | None]:
    """The frames before and after each of a batch; None for anchors, which have only the first."""
    before, after = tree.references[list(batch)].T.tolist()
    return before, after if tree.has_two[batch[0]] else None


def step_sizes(field: Tensor, tree: Hierarchy, exponent: float, most: float) -> Tensor:
    """What the step of the latents is multiplied by, of each block: (T, 1, rows of blocks, columns).

    An error in a block of a frame shows again, fainter by the weights of the prediction and `DECAY`, in
    frames predicted from it. The sum of all that, 1 for a frame that no other uses, to the power -`exponent`,
    but not less than 1 / `most`. Computed by one pass backwards through the predictions, at one value a
    block.
    """
    height, width = field.shape[2] * CELL // BLOCK, field.shape[3] * CELL // BLOCK
    # The values of an error are looked up with gradients, whatever the caller does.
    with torch.inference_mode(False), torch.enable_grad():
        errors = torch.zeros(len(field), 1, height, width, device=field.device, requires_grad=True)
        frames: dict[int, Tensor] = {}
        for batch in tree.order:
            shown = errors[list(batch)]
            if tree.levels[batch[0]] > 0:
                before, after = references_of(batch, tree)
                first = torch.stack([frames[frame] for frame in before])
                second = None if after is None else torch.stack([frames[frame] for frame in after])
                shown = shown + DECAY * predict(first, second, field[list(batch)].clone(), BLOCK)
            frames.update(zip(batch, shown, strict=True))
        total = torch.stack([frame.sum() for frame in frames.values()]).sum()
        (seen,) = torch.autograd.grad(total, errors)
    smooth = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return smooth.clamp(min=1).pow(-exponent).clamp(min=1 / most)
