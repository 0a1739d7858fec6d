"""Counts the bits that symbols in classes take, without writing a payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.ans import PRECISION_BITS, Frequencies
from bitstream.coders.conditional import ClassModels


class ConditionalBits:
    """Takes the passes that a `ConditionalEncoder` takes, and adds up their information content.

    A symbol of frequency f costs log2(2^24 / f) bits. A payload of the same passes is at most a few bytes
    longer, which are the final state of the coder. It is shorter where the last symbols are the first ones of
    their alphabets: these leave a state of zero as it is. Raises ValueError for values out of range.
    """

    def __init__(self, knots: NDArray[Any], max_magnitude: int) -> None:
        """Start with no bits; the arguments are those of `ConditionalEncoder`."""
        self._models = ClassModels(knots, max_magnitude)
        self._costs: dict[tuple[int, bool], NDArray[np.float64]] = {}
        self.symbol_bits = 0.0
        self.flag_bits = 0.0

    def code(self, classes: NDArray[Any], symbols: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Add one pass of symbols and their classes, of the same shape. Returns the symbols."""
        if symbols is None or symbols.shape != classes.shape:
            raise ValueError("expected a symbol for each class")
        bound = self._models.max_magnitude
        if symbols.size and max(-int(symbols.min()), int(symbols.max())) > bound:
            raise ValueError(f"expected symbols of -{bound}..{bound}")
        numbered = symbols.ravel().astype(np.int64) + bound
        self.symbol_bits += self._bits(classes.ravel(), numbered, self._models.frequencies, is_flag=False)
        return symbols.astype(np.int32, copy=False)

    def code_flags(self, classes: NDArray[Any], flags: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Add one pass of flags and their classes, both (count,). Returns the flags."""
        if flags is None or flags.shape != classes.shape:
            raise ValueError("expected a flag for each class")
        numbered = flags.astype(np.int64)
        self.flag_bits += self._bits(classes, numbered, self._models.flag_frequencies, is_flag=True)
        return flags

    def _bits(
        self,
        classes: NDArray[Any],
        numbered: NDArray[np.int64],
        frequencies: Callable[[int], Frequencies],
        is_flag: bool,
    ) -> float:
        """The bits of symbols `numbered` from 0, (count,)."""
        order, groups = self._models.groups(classes)
        ordered, bits, start = numbered[order], 0.0, 0
        for index, number in groups:
            if (index, is_flag) not in self._costs:
                self._costs[index, is_flag] = PRECISION_BITS - np.log2(frequencies(index).astype(np.float64))
            bits += float(self._costs[index, is_flag].take(ordered[start : start + number]).sum())
            start += number
        return bits
