"""Blocks of other sizes than 8x8: groups of 2x2 blocks that are one block of 16x16, or 16 blocks of 4x4.

The transform of `lapped` stays as it is. A group of another size has an orthogonal matrix between its latents
and those of its 8x8 blocks: it undoes the DCT of the blocks and the border filter between them, and applies
the larger DCT instead, or a border filter inside the blocks and smaller DCTs. Any mixture of sizes is thus
orthogonal, and only groups of other sizes cost time.

In frames without references the DC of the 8x8 blocks stays, because it is predicted. The matrix of all other
latents is then the nearest orthogonal one (its polar factor).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from inrcodec.models.inrc.frequencies import FIRST_CHANNELS, KERNEL_SIDES
from inrcodec.models.inrc.lapped import border_matrix, dct_matrix

WHOLE, MERGED, SPLIT = range(3)
"""Sizes of a group: four blocks of 8x8 pixels, one of 16x16, or sixteen of 4x4 in luma alone."""
SIZES = 3


def _twice(matrix: Tensor) -> Tensor:
    """The block diagonal matrix of twice the size."""
    zero = torch.zeros_like(matrix)
    return torch.cat([torch.cat([matrix, zero], 1), torch.cat([zero, matrix], 1)])


def _merging(side: int) -> Tensor:
    """From the frequencies of two neighbouring blocks along one axis to those of one of twice the size."""
    inner = torch.eye(2 * side, dtype=torch.float64)
    half = side // 2
    inner[half : half + side, half : half + side] = border_matrix(side)
    both = dct_matrix(2 * side) @ inner @ _twice(dct_matrix(side).T)
    # Frequency 2 k + i is stored as frequency k of block i.
    return both.view(side, 2, 2 * side).transpose(0, 1).reshape(2 * side, 2 * side)


def _splitting(side: int) -> Tensor:
    """From the frequencies of a block along one axis to those of its halves, frequency by frequency."""
    half, quarter = side // 2, side // 4
    inner = torch.eye(side, dtype=torch.float64)
    inner[quarter:-quarter, quarter:-quarter] = border_matrix(half).T
    halves = _twice(dct_matrix(half)) @ inner @ dct_matrix(side).T
    return halves.view(2, half, side).transpose(0, 1).reshape(side, side)


def _without_dc(matrix: Tensor, count: int) -> Tensor:
    """The nearest orthogonal matrix that keeps the first of each `count` values."""
    others = torch.arange(len(matrix)) % count != 0
    left, _, right = torch.linalg.svd(matrix[others][:, others])
    found = torch.eye(len(matrix), dtype=torch.float64)
    rows = others.nonzero()
    found[rows, rows.T] = left @ right
    return found


@lru_cache(maxsize=32)
def _matrix(size: int, side: int, keeps_dc: bool, device: torch.device) -> Tensor | None:
    """The matrix from latents of 8x8 blocks to those of `size`, by component side; None for the identity.

    It is (4 side^2, 4 side^2) for merged groups, and (side^2, side^2), for each block, for split ones.
    """
    if size == WHOLE or (size == SPLIT and side != KERNEL_SIDES[0]):
        return None
    with torch.inference_mode(False):
        if size == MERGED:
            axis = _merging(side).view(2, side, 2, side)
            both = torch.einsum("piau,qjbv->pqijabuv", axis, axis).reshape(4 * side**2, 4 * side**2)
        else:
            axis = _splitting(side)
            both = torch.einsum("iu,jv->ijuv", axis, axis).reshape(side**2, side**2)
        return (_without_dc(both, side**2) if keeps_dc else both).float().to(device)


def _groups(latents: Tensor) -> Tensor:
    """Latents (B, 96, h, w) by group: (B, h / 2, w / 2, 2, 2, 96); a view."""
    count, channels, height, width = latents.shape
    return latents.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 3, 5, 1)


def _ungrouped(groups: Tensor) -> Tensor:
    """The inverse of `_groups`."""
    count, rows, columns, _, _, channels = groups.shape
    return groups.permute(0, 5, 1, 3, 2, 4).reshape(count, channels, 2 * rows, 2 * columns)


def _applied(groups: Tensor, size: int, keeps_dc: bool, is_inverse: bool) -> Tensor:
    """Groups (..., 2, 2, 96) of 8x8 blocks as groups of `size`, or the other way round."""
    parts = []
    for first, side in zip(FIRST_CHANNELS, KERNEL_SIDES, strict=True):
        own = groups[..., first : first + side * side]
        matrix = _matrix(size, side, keeps_dc, groups.device)
        if matrix is not None:
            turned = matrix if is_inverse else matrix.T
            flat = own.reshape(*own.shape[:-3], -1, len(matrix))
            own = (flat @ turned).reshape(own.shape)
        parts.append(own)
    return torch.cat(parts, -1)


def resized(latents: Tensor, size: int, keeps_dc: bool) -> Tensor:
    """Coefficients (B, 96, h, w) of 8x8 blocks as those of groups that all have `size`."""
    if size == WHOLE:
        return latents
    return _ungrouped(_applied(_groups(latents), size, keeps_dc, is_inverse=False))


def in_blocks(latents: Tensor, sizes: Tensor, keeps_dc: bool) -> Tensor:
    """Latents (B, 96, h, w) of groups of these `sizes` (B, h / 2, w / 2) as those of 8x8 blocks.

    `latents` have any type and are returned as float32, or as they are if all groups have 8x8 blocks.
    `keeps_dc` says whether the DC of 8x8 blocks is kept, as in frames without references.
    """
    if not sizes.is_cpu:
        # The host would wait for the number of groups of each size.
        return in_blocks_fixed(latents.float(), sizes, keeps_dc)
    if not sizes.any():
        return latents
    full = torch.empty_like(latents, dtype=torch.float32).copy_(latents)
    by_group = _groups(full)
    for size in (MERGED, SPLIT):
        cells = sizes.eq(size).nonzero(as_tuple=True)
        if len(cells[0]):
            by_group[cells] = _applied(by_group[cells], size, keeps_dc, is_inverse=True)
    return full


def in_blocks_fixed(latents: Tensor, sizes: Tensor, keeps_dc: bool) -> Tensor:
    """`in_blocks` by operations that are the same for all sizes."""
    whole = _groups(latents)
    chosen = whole
    for size in (MERGED, SPLIT):
        is_size = sizes.eq(size)[..., None, None, None]
        chosen = torch.where(is_size, _applied(whole, size, keeps_dc, is_inverse=True), chosen)
    return _ungrouped(chosen)
