"""Context modelling of motion by the coarser grid and the previous channel. Normative; see `contexts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.inrc.contexts import (
    Coder,
    ContextModel,
    Integers,
    check_rows,
    cut_magnitudes,
    square_sum,
)
from inrcodec.models.inrc.shapes import MOTION_CHANNELS, PYRAMID_LEVELS, MotionFeature

FORWARD_CHANNELS = 2
"""Motion channels of a frame with one reference; the other channels need two references."""


def code_motion(
    coder: Coder,
    model: ContextModel,
    grids: Sequence[NDArray[np.int32]] | None,
    shapes: Sequence[tuple[int, int, int, int]],
    levels: Integers,
    has_two: NDArray[np.bool_],
    is_coded: NDArray[np.bool_],
) -> list[NDArray[np.int32]]:
    """Encode motion `grids` of `shapes` (T, 5, h_k, w_k), or decode them if `grids` is None; return them.

    `shapes` go from coarse to fine; each has at least half the rows and columns of the next one. Channels 0
    and 1 are coded for the frames in `is_coded` (T,), channels 2..4 for those that are also in `has_two`
    (T,); all other symbols are 0. Each channel of each grid, coarse to fine, is one pass by frame, row and
    column. The bias is (4 levels, 5), with row 4 level + k for grid k; the weights are (4, 4), with row k.

    Raises `ValueError` for inconsistent shapes, or non-zero symbols that are not coded.
    """
    _check_motion(grids, shapes)
    levels = np.asarray(levels)
    rows = PYRAMID_LEVELS * (int(levels.max(initial=-1)) + 1)
    check_rows(model, rows, MOTION_CHANNELS, PYRAMID_LEVELS, len(MotionFeature))
    tables = model.weighted_tables()
    active = [is_coded if c < FORWARD_CHANNELS else is_coded & has_two for c in range(MOTION_CHANNELS)]
    coded: list[NDArray[np.int32]] = []
    for k, shape in enumerate(shapes):
        parent = _enlarged(cut_magnitudes(coded[-1]), shape) if coded else np.zeros(shape, dtype=np.int16)
        cells = square_sum(np.ones(shape[2:], dtype=np.int64))
        around = 4 * square_sum(parent.astype(np.int64)) // cells
        together = tables[k, MotionFeature.PARENT_CHANNELS].take(parent.sum(axis=1, dtype=np.int64))
        grid = np.zeros(shape, dtype=np.int32)
        for channel, where in enumerate(active):
            bias = model.biases(PYRAMID_LEVELS * levels[where] + k)[:, channel]
            sums = together[where] + bias[:, None, None]
            sums += tables[k, MotionFeature.PARENT].take(parent[where, channel])
            if channel:
                before = cut_magnitudes(grid[where, channel - 1])
                sums += tables[k, MotionFeature.CHANNEL_BEFORE].take(before)
            sums += tables[k, MotionFeature.PARENT_AROUND].take(around[where, channel])
            known = None if grids is None else grids[k][where, channel]
            grid[where, channel] = coder.code(model.classes(sums), known)
        if grids is not None and not np.array_equal(grid, grids[k]):
            raise ValueError("expected zeros where no motion is coded")
        coded.append(grid)
    return coded


def _enlarged(magnitudes: NDArray[np.int16], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Each cell repeated over 2 x 2 cells, cropped to the last two axes of `shape`."""
    doubled = magnitudes.repeat(2, axis=-2).repeat(2, axis=-1)
    return doubled[..., : shape[-2], : shape[-1]]


def _check_motion(
    grids: Sequence[NDArray[np.int32]] | None, shapes: Sequence[tuple[int, int, int, int]]
) -> None:
    if len(shapes) != PYRAMID_LEVELS or any(shape[1] != MOTION_CHANNELS for shape in shapes):
        raise ValueError(f"expected {PYRAMID_LEVELS} grids of {MOTION_CHANNELS} channels, found {shapes}")
    for coarse, fine in zip(shapes, shapes[1:], strict=False):
        if 2 * coarse[2] < fine[2] or 2 * coarse[3] < fine[3]:
            raise ValueError(
                f"expected at least half the rows and columns in the coarser grid, found {coarse}, {fine}"
            )
    if grids is not None and [grid.shape for grid in grids] != list(shapes):
        raise ValueError(f"expected grids of {list(shapes)}, found {[grid.shape for grid in grids]}")
