"""How likely a symbol is, told from symbols decoded before it. Normative.

The class of a symbol (`bitstream.coders.conditional`) is a bias plus a weighted sum of logarithms of a few
*counts*: sums of magnitudes, cut off at 15, of symbols that are known already, next to it in frequency, in
space, across components and in the frames it is predicted from (`latent_contexts`, `motion_contexts`). All of
it is integers, and the same functions encode and decode, so the two cannot differ. SPEC.md, section 10.9, has
the definitions.

The idea is the log-linear context of lossless image coders (N. Memon and X. Wu, "Recent developments in
context-based predictive techniques for lossless image compression", 1997) with fitted weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.conditional import ConditionalDecoder, ConditionalEncoder, check_knots, class_count

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

    def weighted_tables(self) -> NDArray[np.int32]:
        """Weight times logarithm of each count, (groups, features, 4096)."""
        return self.weights.astype(np.int32)[:, :, None] * LOG_TABLE

    def biases(self, rows: Integers) -> NDArray[np.int32]:
        """The biases of these rows, (rows, channels), in 1/1024 of a knot."""
        return 64 * self.bias[rows].astype(np.int32)

    def classes(self, sums: NDArray[np.int32]) -> NDArray[np.int32]:
        """Classes of sums in 1/1024 of a knot, without the offset."""
        shifted = (sums + OFFSET) >> CLASS_SHIFT
        return np.clip(shifted, 0, class_count(len(self.knots)) - 1, out=shifted)


def cut_magnitudes(symbols: Integers) -> NDArray[np.int16]:
    """Magnitudes, at most 15."""
    # Limits before the absolute value: -2^31 has none in 32 bits.
    return np.abs(np.clip(symbols, -LARGEST_MAGNITUDE, LARGEST_MAGNITUDE).astype(np.int16))


def square_sum(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the 3x3 cells around each cell, zeros outside, over the last two axes."""
    rows = plane.copy()
    rows[..., 1:, :] += plane[..., :-1, :]
    rows[..., :-1, :] += plane[..., 1:, :]
    total = rows.copy()
    total[..., 1:] += rows[..., :-1]
    total[..., :-1] += rows[..., 1:]
    return total


def check_rows(model: ContextModel, rows: int, columns: int, groups: int, features: int) -> None:
    if model.bias.shape[0] < rows or model.bias.shape[1] != columns:
        raise ValueError(f"expected a bias of at least {rows} rows by {columns}, found {model.bias.shape}")
    if model.weights.shape != (groups, features):
        raise ValueError(f"expected weights of {(groups, features)}, found {model.weights.shape}")
