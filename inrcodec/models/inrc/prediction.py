"""Frames from motion grids and latents: prediction from reference frames plus a synthesised residual.

    motion grids (T, 5, cells) -> field (T, 5, rows, columns)       four grids, coarse to fine, are summed
    frame t = prediction(references of t, field t) + synthesis(latents t x steps t)

A field is a frame's motion vector field, in pixels, with one node per 16 x 16 pixels and linear between
nodes.

| channels | two references (bi-prediction) | one reference (anchor) |
|---|---|---|
| 0, 1 | half_x, half_y: half the motion from the frame before to the frame after | the motion vector (x, y) |
| 2, 3 | common_x, common_y: a shift of both motion vectors | unused |
| 4 | balance: the weight of the frame before, minus one half | unused |

Blocks that other frames are predicted from have finer quantisation steps: the step is divided by a power of
how much of a block's error propagates, which encoder and decoder compute from the fields alone (x264's
"macroblock-tree rate control" does so in the encoder only: J. Garrett-Glaser, 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.lapped import BLOCK
from inrcodec.models.inrc.overlapped import predict_moving, predict_overlapped
from inrcodec.models.inrc.planes import Planes, stacked
from inrcodec.models.inrc.shapes import CELL

DECAY = 0.95
"""Share of an error that propagates to a frame predicted from it, on top of the prediction weights."""


def doubled(grid: Tensor, rows: int, columns: int) -> Tensor:
    """Each node of (..., h, w) repeated over 2 x 2 nodes, cropped to `rows` and `columns`."""
    return grid.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :rows, :columns]


def field_of(grids: Sequence[Tensor]) -> Tensor:
    """The sum of the grids, coarse to fine, each repeated over the finest: (T, 5, rows, columns)."""
    field = grids[0]
    for grid in grids[1:]:
        field = doubled(field, *grid.shape[2:]) + grid
    return field


@lru_cache(maxsize=32)
def _shares(pixels: int, device: torch.device) -> Tensor:
    """Interpolation weights of the previous, own and next node for each pixel of a cell: (pixels, 3)."""
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels - 0.5
    around = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    # The cache serves fits too, which cannot save tensors made in inference mode for their backward pass.
    with torch.inference_mode(False):
        return (1 - (places[:, None] - around).abs()).clamp(min=0).float().to(device)


@lru_cache(maxsize=32)
def _spread(pixels: int, channels: int, device: torch.device) -> Tensor:
    """`_shares` for values with interleaved channels: (3 x channels, pixels x channels)."""
    shares = _shares(pixels, device)
    with torch.inference_mode(False):
        return torch.kron(shares.T.contiguous(), torch.eye(channels, device=device))


@lru_cache(maxsize=32)
def _centres(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Positions of the nodes and of one row and column around the image, in units of `grid_sample`."""
    with torch.inference_mode(False):
        y = torch.arange(-1, rows + 1, dtype=dtype, device=device)
        x = torch.arange(-1, columns + 1, dtype=dtype, device=device)
        across, down = torch.meshgrid((2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1, indexing="xy")
        return torch.stack([across, down], -1)


@lru_cache(maxsize=32)
def pixel_units(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A pixel in the units of `look_up`, x and y: (2,)."""
    with torch.inference_mode(False):
        return torch.tensor([2 / width, 2 / height], dtype=dtype, device=device)


def bordered(nodes: Tensor) -> Tensor:
    """Nodes (B, C, h, w) with their edges repeated: (B, C, h + 2, w + 2).

    The gradients of `F.pad` would be summed in any order on GPUs.
    """
    tall = torch.cat([nodes[:, :, :1], nodes, nodes[:, :, -1:]], 2)
    return torch.cat([tall[..., :1], tall, tall[..., -1:]], 3)


def _stretched(nodes: Tensor, pixels: int) -> Tensor:
    """Bilinear interpolation of nodes `pixels` apart: (B, rows + 2, columns + 2, C) -> (B, h, w, C).

    The outermost nodes lie outside the image. Matrix products take half the time of `lerp`. Rows are widened
    first, while they are few, and then whole rows are weighted.
    """
    count, height, _, channels = nodes.shape
    around = torch.cat([nodes[:, :, :-2], nodes[:, :, 1:-1], nodes[:, :, 2:]], -1)
    wide = torch.matmul(around, _spread(pixels, channels, nodes.device)).view(count, height, -1)
    # For one frame this stays a view with overlapping windows of three rows.
    above_at_below = wide.unfold(1, 3, 1).transpose(2, 3).reshape(-1, 3, wide.shape[2])
    shares = _shares(pixels, nodes.device).expand(len(above_at_below), -1, -1)
    return torch.bmm(shares, above_at_below).view(count, (height - 2) * pixels, -1, channels)


def look_up(images: Tensor, places: Tensor) -> Tensor:
    """Sample images (B, C, h, w) bilinearly at `places` (B, h, w, 2), as x and y from -1 to 1 between edges.

    Beyond the edges their values are replicated.
    """
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def _warped(images: Tensor, motion: Tensor) -> Tensor:
    """Images (B, C, h, w) warped by motion (B, 2, rows, columns) in pixels.

    Motion and pixel positions are both linear between nodes, so their sum is interpolated once.
    """
    height, width = images.shape[2:]
    rows, columns = motion.shape[2:]
    around = bordered(motion).permute(0, 2, 3, 1)
    scales = pixel_units(height, width, motion.dtype, motion.device)
    nodes = _centres(rows, columns, motion.dtype, motion.device) + around * scales
    return look_up(images, _stretched(nodes, height // rows))


def predict(before: Tensor, after: Tensor | None, field: Tensor, pixels_per_unit: float = 1.0) -> Tensor:
    """Predict frames (B, C, h, w) from their references and their fields (B, 5, rows, columns).

    `after` is None for anchors. `pixels_per_unit` is the number of luma pixels per pixel of these images, by
    which the motion is divided.
    """
    if after is None:
        return _warped(before, field[:, :2] / pixels_per_unit)
    half, common = field[:, :2] / pixels_per_unit, field[:, 2:4] / pixels_per_unit
    balance = bordered(field[:, 4:5]).permute(0, 2, 3, 1)
    share = _stretched(0.5 + balance, before.shape[2] // field.shape[2]).permute(0, 3, 1, 2)
    return torch.lerp(_warped(after, common + half), _warped(before, common - half), share)


def predict_planes(before: Planes, after: Planes | None, field: Tensor, is_overlapped: bool) -> Planes:
    """`predict`, or `predict_overlapped`, for luma and chroma, which has half the resolution and motion."""
    return _predicted(predict_overlapped if is_overlapped else predict, before, after, field)


def _predicted(
    function: Callable[..., Tensor], before: Planes, after: Planes | None, field: Tensor
) -> Planes:
    luma = function(before.luma, None if after is None else after.luma, field)
    return Planes(luma, function(before.chroma, None if after is None else after.chroma, field, 2.0))


def predict_batch(
    frames: Mapping[int, Planes], batch: Sequence[int], tree: Hierarchy, field: Tensor, is_overlapped: bool
) -> Planes:
    """Predict the frames of a batch from `frames`, decoded before; `field` is (B, 5, rows, columns)."""
    before, after = references_of(batch, tree)
    first = stacked([frames[frame] for frame in before])
    second = None if after is None else stacked([frames[frame] for frame in after])
    return _predicted(predict_moving if is_overlapped else predict, first, second, field)


def references_of(batch: Sequence[int], tree: Hierarchy) -> tuple[list[int], list[int] | None]:
    """The references before and after each frame of a batch; the latter is None for anchors."""
    before, after = tree.references[list(batch)].T.tolist()
    return before, after if tree.has_two[batch[0]] else None


def step_sizes(field: Tensor, tree: Hierarchy, exponent: float, most: float) -> Tensor:
    """Factors on the quantisation step of each block's latents, 1 / `most` to 1: (T, 1, h, w), in blocks.

    `field` is (T, 5, rows, columns). An error in a block propagates, scaled by the prediction weights and
    `DECAY`, to the frames predicted from it. The importance of a block is the sum of its propagated errors,
    itself included: 1 for a frame that no other uses. The factor is the importance, averaged over 3 x 3
    blocks, to the power -`exponent`. One backward pass through the predictions, at one value per block,
    computes it, on the CPU: a GPU would add gradients in an order that differs from run to run, and frames
    could differ by a level. The result is where `field` is.
    """
    device, field = field.device, field.cpu()
    height, width = field.shape[2] * CELL // BLOCK, field.shape[3] * CELL // BLOCK
    # Importance is a gradient, so autograd is needed even if the caller has disabled it.
    with torch.inference_mode(False), torch.enable_grad():
        errors = torch.zeros(len(field), 1, height, width, requires_grad=True)
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
    return smooth.clamp(min=1).pow(-exponent).clamp(min=1 / most).to(device)
