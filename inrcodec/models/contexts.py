"""How likely each latent and motion symbol is, told from symbols decoded before it. Normative.

The class of a symbol (`bitstream.coders.conditional`) is a bias plus a weighted sum of logarithms of a few
*counts*: sums of magnitudes, cut off at 15, of symbols that are known already, next to it in frequency, in
space, across components and in the frames it is predicted from. All of it is integers, and the same function
encodes and decodes, so the two cannot differ. SPEC.md, section 10.9, has the definitions.

The idea is the log-linear context of lossless image coders (N. Memon and X. Wu, "Recent developments in
context-based predictive techniques for lossless image compression", 1997) with fitted weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.conditional import (
    ConditionalDecoder,
    ConditionalEncoder,
    check_knots,
    class_count,
)
from inrcodec.models.frequencies import (
    CHANNELS,
    FIRST_CHANNELS,
    GROUP_COUNT,
    GROUPS,
    KERNEL_SIDES,
    ORDER,
    component_neighbours,
    component_of,
    frequency_neighbours,
)

__all__ = [
    "CHANNELS",
    "FEATURE_COUNT",
    "FIRST_CHANNELS",
    "GROUPS",
    "GROUP_COUNT",
    "KERNEL_SIDES",
    "LOG_TABLE",
    "MOTION_FEATURES",
    "ORDER",
    "Coder",
    "ContextModel",
    "code_latents",
    "code_motion",
]

Coder = ConditionalEncoder | ConditionalDecoder
Integers = NDArray[Any]

MAX_COUNT = 4095
LARGEST_MAGNITUDE = 15
"""Magnitudes count as at most this."""
OFFSET = 8 * 1024
"""A sum of zero is knot 8: sums are in 1/1024 of a knot."""
CLASS_SHIFT = 8

LOG_TABLE = np.array([((n + 1) ** 16).bit_length() - 1 for n in range(MAX_COUNT + 1)], dtype=np.int32)
"""floor(16 log2(n + 1)) of n = 0..4095."""

FEATURE_COUNT = 6
"""Counts of a latent."""

PYRAMID_LEVELS = 4
MOTION_CHANNELS = 5
MOTION_FEATURES = 4
"""Counts of a motion symbol."""
FORWARD_CHANNELS = 2
"""Motion channels of a frame with one reference; the others need two."""


@dataclass(frozen=True)
class ContextModel:
    """Where the classes of a kind of symbols come from; ValueError for what does not fit.

    `bias` (rows, channels) is in 1/16 of a knot, `weights` (groups, features) in 1/64 of a knot, both of 16
    bits; `knots` (K, 4) are those of the coder.
    """

    bias: Integers
    weights: Integers
    knots: Integers

    def __post_init__(self) -> None:
        check_knots(self.knots)
        for name, values in (("bias", self.bias), ("weights", self.weights)):
            if values.ndim != 2 or values.dtype.kind not in "iu":
                raise ValueError(f"expected a matrix of integers as {name}, found {values.shape}")
            if values.size and not -(1 << 15) <= int(values.min()) <= int(values.max()) < 1 << 15:
                raise ValueError(f"expected a {name} of 16 bits, found {values.min()}..{values.max()}")

    def weighted_tables(self) -> NDArray[np.int64]:
        """Weight times logarithm of each count, (groups, features, 4096)."""
        return self.weights.astype(np.int64)[:, :, None] * LOG_TABLE

    def classes(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Classes of sums in 1/1024 of a knot, without the offset."""
        shifted = (sums + OFFSET) >> CLASS_SHIFT
        return np.clip(shifted, 0, class_count(len(self.knots)) - 1, out=shifted)


def cut_magnitudes(symbols: Integers) -> NDArray[np.int16]:
    """Magnitudes, at most 15."""
    # Limits before the absolute value: -2^31 has none in 32 bits.
    return np.abs(np.clip(symbols, -LARGEST_MAGNITUDE, LARGEST_MAGNITUDE).astype(np.int16))


def cross_sum(plane: NDArray[np.int16]) -> NDArray[np.int16]:
    """The sum of the four neighbours of each cell, zeros outside, over the last two axes."""
    total = np.zeros_like(plane)
    total[..., 1:, :] += plane[..., :-1, :]
    total[..., :-1, :] += plane[..., 1:, :]
    total[..., 1:] += plane[..., :-1]
    total[..., :-1] += plane[..., 1:]
    return total


def square_sum(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the 3x3 cells around each cell, zeros outside, over the last two axes."""
    rows = plane.copy()
    rows[..., 1:, :] += plane[..., :-1, :]
    rows[..., :-1, :] += plane[..., 1:, :]
    total = rows.copy()
    total[..., 1:] += rows[..., :-1]
    total[..., :-1] += rows[..., 1:]
    return total


def _check_order(order: Sequence[Sequence[int]], frames: int) -> None:
    if sorted(frame for batch in order for frame in batch) != list(range(frames)):
        raise ValueError(f"expected an order of the frames 0..{frames - 1}, each once")


def _check_rows(model: ContextModel, rows: int, columns: int, groups: int, features: int) -> None:
    if model.bias.shape[0] < rows or model.bias.shape[1] != columns:
        raise ValueError(f"expected a bias of at least {rows} rows by {columns}, found {model.bias.shape}")
    if model.weights.shape != (groups, features):
        raise ValueError(f"expected weights of {(groups, features)}, found {model.weights.shape}")


def code_latents(
    coder: Coder,
    model: ContextModel,
    symbols: NDArray[np.int32] | None,
    shape: tuple[int, int, int, int],
    levels: Integers,
    references: Integers,
    order: Sequence[Sequence[int]],
) -> NDArray[np.int32]:
    """Encode latents (T, 96, h, w), or decode them where `symbols` is None; the latents either way.

    `levels` (T,) are rows of the bias (levels, 96). `references` (T, 2) are the frames that a frame is
    predicted from, in batches before its own, or -1. `order` lists the batches of frames, all frames once.
    In a batch channel follows channel in coding order; each is one pass over the frames of the batch as they
    are listed, rows, columns. The weights are (12, 6).
    """
    frames, channels, height, width = shape
    if channels != CHANNELS or (symbols is not None and symbols.shape != shape):
        raise ValueError(f"expected {CHANNELS} channels, and symbols of {shape}")
    _check_order(order, frames)
    levels, references = np.asarray(levels), np.asarray(references)
    _check_rows(model, int(levels.max(initial=-1)) + 1, CHANNELS, GROUP_COUNT, FEATURE_COUNT)
    tables = model.weighted_tables()
    # The last entry is the energy of no frame.
    energies = np.zeros((frames + 1, height, width), dtype=np.int64)
    latents = np.zeros(shape, dtype=np.int32)
    for batch in order:
        listed = np.array(batch, dtype=np.int64)
        first, second = references[listed].T
        reference_count = np.minimum((energies[first] + energies[second]) // 18, MAX_COUNT)
        bias = 64 * model.bias[levels[listed]].astype(np.int64)
        known = None if symbols is None else symbols[listed]
        latents[listed], total = _code_batch(coder, model, tables, known, bias, reference_count)
        energies[listed] = 9 * total + 2 * square_sum(total)
    return latents


def _code_batch(
    coder: Coder,
    model: ContextModel,
    tables: NDArray[np.int64],
    symbols: NDArray[np.int32] | None,
    bias: NDArray[np.int64],
    reference_count: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The latents of a batch, (F, 96, h, w), and the sum of their cut magnitudes over channels, (F, h, w).

    `bias` is (F, 96) in 1/1024 of a knot, `reference_count` (F, h, w) the sixth count. The planes of a
    channel are its magnitudes and the sums of their neighbours, so that counts 1 and 4, and counts 2 and 5,
    are the same sums over channels.
    """
    size = reference_count.shape
    latents = np.zeros((size[0], CHANNELS, *size[1:]), dtype=np.int32)
    planes = np.zeros((CHANNELS, 2, *size), dtype=np.int16)
    running = np.zeros((len(KERNEL_SIDES), 2, *size), dtype=np.int16)
    for channel in ORDER:
        lower = np.zeros((2, *size), dtype=np.int16)
        for neighbour, weight in frequency_neighbours(channel):
            lower += planes[neighbour] if weight == 1 else planes[neighbour] * np.int16(weight)
        earlier = running[component_of(channel)]
        table = tables[GROUPS[channel]]
        sums = table[5].take(reference_count)
        sums += bias[:, channel, None, None]
        counts = [(0, lower[0]), (1, earlier[0]), (3, lower[1]), (4, earlier[1])]
        if others := component_neighbours(channel):
            counts.append((2, sum(planes[other, 0] * np.int16(weight) for other, weight in others)))
        for feature, count in counts:
            sums += table[feature].take(count)
        coded = coder.code(model.classes(sums), None if symbols is None else symbols[:, channel])
        latents[:, channel] = coded
        planes[channel, 0] = cut_magnitudes(coded)
        planes[channel, 1] = cross_sum(planes[channel, 0])
        earlier += planes[channel]
    return latents, running[:, 0].sum(axis=0, dtype=np.int64)


def code_motion(
    coder: Coder,
    model: ContextModel,
    grids: Sequence[NDArray[np.int32]] | None,
    shapes: Sequence[tuple[int, int, int, int]],
    levels: Integers,
    has_two: NDArray[np.bool_],
    is_coded: NDArray[np.bool_],
) -> list[NDArray[np.int32]]:
    """Encode the motion grids of `shapes` (T, 5, h_k, w_k), or decode them where `grids` is None.

    `shapes` go from coarse to fine; each has at least half the rows and columns of the next one. Frames that
    are not `is_coded` (T,) have no symbols, and channels 2..4 only those that also `has_two` (T,); the others
    are zeros. Grid after grid and channel after channel is one pass over frames, rows, columns. The bias is
    (4 levels, 5) with the row 4 level + k for grid k, the weights (4, 4) with the row k.
    """
    _check_motion(grids, shapes)
    levels = np.asarray(levels)
    rows = PYRAMID_LEVELS * (int(levels.max(initial=-1)) + 1)
    _check_rows(model, rows, MOTION_CHANNELS, PYRAMID_LEVELS, MOTION_FEATURES)
    tables = model.weighted_tables()
    active = [is_coded if c < FORWARD_CHANNELS else is_coded & has_two for c in range(MOTION_CHANNELS)]
    coded: list[NDArray[np.int32]] = []
    for k, shape in enumerate(shapes):
        parent = _enlarged(cut_magnitudes(coded[-1]), shape) if coded else np.zeros(shape, dtype=np.int16)
        cells = square_sum(np.ones(shape[2:], dtype=np.int64))
        around = 4 * square_sum(parent.astype(np.int64)) // cells
        together = tables[k, 3].take(parent.sum(axis=1, dtype=np.int64))
        grid = np.zeros(shape, dtype=np.int32)
        for channel, where in enumerate(active):
            bias = 64 * model.bias[PYRAMID_LEVELS * levels[where] + k, channel].astype(np.int64)
            sums = together[where] + bias[:, None, None]
            sums += tables[k, 0].take(parent[where, channel])
            if channel:
                sums += tables[k, 1].take(cut_magnitudes(grid[where, channel - 1]))
            sums += tables[k, 2].take(around[where, channel])
            known = None if grids is None else grids[k][where, channel]
            grid[where, channel] = coder.code(model.classes(sums), known)
        if grids is not None and not np.array_equal(grid, grids[k]):
            raise ValueError("expected zeros where no motion is coded")
        coded.append(grid)
    return coded


def _enlarged(magnitudes: NDArray[np.int16], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Each cell doubled in both directions, and cut to the last two axes of `shape`."""
    doubled = magnitudes.repeat(2, axis=-2).repeat(2, axis=-1)
    return doubled[..., : shape[-2], : shape[-1]]


def _check_motion(
    grids: Sequence[NDArray[np.int32]] | None, shapes: Sequence[tuple[int, int, int, int]]
) -> None:
    if len(shapes) != PYRAMID_LEVELS or any(shape[1] != MOTION_CHANNELS for shape in shapes):
        raise ValueError(f"expected {PYRAMID_LEVELS} grids of {MOTION_CHANNELS} channels, found {shapes}")
    for coarse, fine in zip(shapes, shapes[1:], strict=False):
        if 2 * coarse[2] < fine[2] or 2 * coarse[3] < fine[3]:
            raise ValueError(f"expected at least half the cells in the coarser grid, found {coarse}, {fine}")
    if grids is not None and [grid.shape for grid in grids] != list(shapes):
        raise ValueError(f"expected grids of {list(shapes)}, found {[grid.shape for grid in grids]}")
