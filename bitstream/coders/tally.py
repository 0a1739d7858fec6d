"""Counts of each symbol, made once per tensor and shared by all coders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bitstream.limits import DEFAULT_LIMITS

MAX_COUNTED_SPAN = (1 << 16) - 1
MAX_ROW_COUNTS = 1 << 22
Plan = TypeVar("Plan")


@dataclass(frozen=True)
class Tally:
    """Symbols as int32 (rows, columns) with their range. A tensor of one axis is one row."""

    symbols: NDArray[np.int32]
    minimum: int
    maximum: int
    _plans: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Plans by coder name."""

    @classmethod
    def of(cls, symbols: NDArray[Any]) -> Self:
        """Check shape and type of the symbols and find their range. Raises ValueError if they do not fit."""
        checked = np.ascontiguousarray(symbols)
        if checked.dtype.kind not in "iu":
            raise ValueError(f"expected integer symbols, found {checked.dtype}")
        if np.ndim(symbols) not in (1, 2):
            raise ValueError(f"expected one or two axes, found the shape {np.shape(symbols)}")
        if checked.size > DEFAULT_LIMITS.max_symbols:
            raise ValueError(f"expected at most {DEFAULT_LIMITS.max_symbols} symbols, found {checked.size}")
        if checked.size == 0:
            return cls(np.empty((1, 0), dtype=np.int32), 0, 0)
        minimum, maximum = int(checked.min()), int(checked.max())
        if minimum < -(1 << 31) or maximum >= 1 << 31:
            raise ValueError(f"expected symbols of 32 bits, found {minimum}..{maximum}")
        rows = checked.shape[0] if checked.ndim == 2 else 1
        return cls(checked.astype(np.int32, copy=False).reshape(rows, -1), minimum, maximum)

    @property
    def count(self) -> int:
        return int(self.symbols.size)

    @property
    def rows(self) -> int:
        return int(self.symbols.shape[0])

    @property
    def span(self) -> int:
        """Largest symbol minus smallest."""
        return self.maximum - self.minimum

    @cached_property
    def shifted(self) -> NDArray[np.int32]:
        """Symbols minus the smallest, (rows, columns). Valid for spans below 2^31."""
        shifted: NDArray[np.int32] = self.symbols - np.int32(self.minimum) if self.minimum else self.symbols
        return shifted

    @cached_property
    def row_counts(self) -> NDArray[np.int64] | None:
        """Counts per row of each symbol of the range, (rows, span + 1); None for 1 row or > 2^22 counts."""
        alphabet = self.span + 1
        if self.rows < 2 or self.rows * alphabet > MAX_ROW_COUNTS:
            return None
        places = self.shifted + np.arange(0, self.rows * alphabet, alphabet, dtype=np.int32)[:, None]
        return np.bincount(places.ravel(), minlength=self.rows * alphabet).reshape(self.rows, alphabet)

    @cached_property
    def counts(self) -> NDArray[np.int64] | None:
        """Counts of each symbol of the range, (span + 1,); None for a span above 2^16 - 1."""
        if self.span > MAX_COUNTED_SPAN:
            return None
        if self.row_counts is not None:
            summed: NDArray[np.int64] = self.row_counts.sum(axis=0)
            return summed
        return np.bincount(self.shifted.ravel(), minlength=self.span + 1)

    def planned(self, coder: str, make: Callable[[], Plan]) -> Plan:
        """Return the plan of this coder, made once because estimate and payload need the same one."""
        if coder not in self._plans:
            self._plans[coder] = make()
        plan: Plan = self._plans[coder]
        return plan
