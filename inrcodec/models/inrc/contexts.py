"""Context modelling: the class of a symbol, which fixes its probabilities, from earlier symbols. Normative.

The class (`bitstream.coders.conditional`) is a bias plus a weighted sum of logarithms of a few *counts*. A
count is a sum of magnitudes, each clipped to 15, of symbols coded before: neighbours in frequency and in
space, other components, reference frames (`latent_contexts`, `motion_contexts`). All arithmetic is in
integers and the same functions encode and decode, so the two cannot differ. SPEC.md, section 10.9, has the
definitions.

The idea is the log-linear context of lossless image coders (N. Memon and X. Wu, "Recent developments in
context-based predictive techniques for lossless image compression", 1997) with fitted weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.conditional import ConditionalDecoder, ConditionalEncoder, check_knots, class_count
from bitstream.coders.conditional_bits import ConditionalBits

Coder = ConditionalEncoder | ConditionalDecoder | ConditionalBits
Integers = NDArray[Any]

MAX_COUNT = 4095
"""Counts are clipped to this."""
LARGEST_MAGNITUDE = 15
"""Magnitudes are clipped to this in counts."""
OFFSET = 8 * 1024
"""Added to sums, which are in 1/1024 of a knot, so that a sum of zero is knot 8."""
CLASS_SHIFT = 8
"""The right shift from sums to classes, which are in 1/4 of a knot."""

LOG_TABLE = np.array([((n + 1) ** 16).bit_length() - 1 for n in range(MAX_COUNT + 1)], dtype=np.int32)
"""floor(16 log2(n + 1)) for n = 0..4095."""


@dataclass(frozen=True)
class ContextModel:
    """The parameters that map the counts of one kind of symbols to classes.

    `bias` (rows, channels) is in 1/16 of a knot, `weights` (groups, features) in 1/64 of a knot per doubling
    of a count, both 16-bit integers. `knots` (K, 4) are the coder's. Raises `ValueError` for other types,
    shapes or ranges.
    """

    bias: Integers
    weights: Integers
    knots: Integers

    def __post_init__(self) -> None:
        check_knots(self.knots)
        for name, values in (("bias", self.bias), ("weights", self.weights)):
            if values.ndim != 2 or values.dtype.kind not in "iu":
                raise ValueError(f"expected an integer matrix for the {name}, found {values.shape}")
            if values.size and not -(1 << 15) <= int(values.min()) <= int(values.max()) < 1 << 15:
                raise ValueError(f"expected a 16-bit {name}, found {values.min()}..{values.max()}")

    def weighted_tables(self) -> NDArray[np.int32]:
        """Weight times logarithm of each count 0..4095, (groups, features, 4096), in 1/1024 of a knot."""
        return self.weights.astype(np.int32)[:, :, None] * LOG_TABLE

    def split_weights(self) -> NDArray[np.float32]:
        """Weights as 256 times their first part plus their second one, 0..255: (groups, 2, features).

        Products with logarithms are exact in binary32, in any order: both are integers of eight bits.
        """
        high, low = self.weights.astype(np.int32) >> 8, self.weights.astype(np.int32) & 255
        return np.stack([high, low], 1).astype(np.float32)

    def biases(self, rows: Integers) -> NDArray[np.int32]:
        """The biases of the given rows, (rows, channels), in 1/1024 of a knot."""
        return 64 * self.bias[rows].astype(np.int32)

    def classes(self, sums: NDArray[np.int32]) -> NDArray[np.int32]:
        """Classes of the given sums, which are in 1/1024 of a knot and do not include `OFFSET`."""
        # A look-up clips in less time than `clip`, or `minimum` and `maximum`, for a few hundred values.
        found: NDArray[np.int32] = self._numbers.take((sums + OFFSET) >> CLASS_SHIFT, mode="clip")
        return found

    @cached_property
    def _numbers(self) -> NDArray[np.int32]:
        return np.arange(class_count(len(self.knots)), dtype=np.int32)


_CUT = np.abs(np.arange(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE + 1)).astype(np.int16)


def cut_magnitudes(symbols: Integers, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """Magnitudes clipped to 15, in `out` if it is given."""
    # The type of an index holds the sum, whatever the type of the symbols.
    found: NDArray[np.int16] = _CUT.take(
        np.add(symbols, LARGEST_MAGNITUDE, dtype=np.intp), mode="clip", out=out
    )
    return found


def square_sum(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum over the 3x3 cells around each cell of the last two axes, zeros outside."""
    rows = plane.copy()
    rows[..., 1:, :] += plane[..., :-1, :]
    rows[..., :-1, :] += plane[..., 1:, :]
    total = rows.copy()
    total[..., 1:] += rows[..., :-1]
    total[..., :-1] += rows[..., 1:]
    return total


def box_sum(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of set flags in the 5x5 cells around each cell of (F, h, w), itself included."""
    height, width = flags.shape[1:]
    padded = np.pad(flags.astype(np.int64), ((0, 0), (2, 2), (2, 2)))
    rows = np.sum([padded[:, down : down + height] for down in range(5)], axis=0)
    found: NDArray[np.int64] = np.sum([rows[:, :, across : across + width] for across in range(5)], axis=0)
    return found


def check_rows(model: ContextModel, rows: int, columns: int, groups: int, features: int) -> None:
    """Raise `ValueError` unless bias is (`rows` or more, `columns`) and weights (`groups`, `features`)."""
    if model.bias.shape[0] < rows or model.bias.shape[1] != columns:
        raise ValueError(f"expected a bias of at least {rows} rows by {columns}, found {model.bias.shape}")
    if model.weights.shape != (groups, features):
        raise ValueError(f"expected weights of shape {(groups, features)}, found {model.weights.shape}")
