"""The protocol of the symbol coders, and the checks that all of them share."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.tally import Tally
from bitstream.errors import Corrupt
from bitstream.fields import Reader

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


class SymbolCoder(Protocol):
    """Turns a tensor of integers into bytes and back. The bytes carry every parameter but the count.

    Symbols are int32 of shape (count,) or (rows, columns). A coder with parameters per row takes the rows of
    axis 0. The payload of zero symbols is always empty.
    """

    wire_id: ClassVar[int]
    """Id in files, never reused."""
    name: ClassVar[str]

    def encode(self, symbols: NDArray[np.int32]) -> bytes:
        """Return the payload. Raises ValueError if this coder cannot represent the symbols."""

    def decode(self, payload: bytes, count: int) -> NDArray[np.int32]:
        """Return symbols of shape (count,). Raises `BitstreamError` for an invalid payload."""

    def cost_bits(self, symbols: NDArray[np.int32]) -> float:
        """Estimate the payload's bits without encoding; infinity if this coder cannot encode the symbols."""

    def encode_tally(self, tally: Tally) -> bytes:
        """`encode` for counted symbols, so that coders share the counting."""

    def tally_cost_bits(self, tally: Tally) -> float:
        """`cost_bits` for counted symbols."""


class TalliedCoder:
    """Implements `encode` and `cost_bits` by a tally."""

    name: ClassVar[str]

    def encode(self, symbols: NDArray[np.int32]) -> bytes:
        """Return the payload. Raises ValueError if this coder cannot represent the symbols."""
        return self.encode_tally(Tally.of(symbols))

    def encode_tally(self, tally: Tally) -> bytes:
        raise NotImplementedError

    def cost_bits(self, symbols: NDArray[np.int32]) -> float:
        """Estimate the payload's bits; infinity if this coder cannot represent the symbols."""
        return self.tally_cost_bits(Tally.of(symbols))

    def tally_cost_bits(self, tally: Tally) -> float:
        raise NotImplementedError

    def open_payload(self, payload: bytes, count: int) -> Reader:
        """Check the count and return a reader of the payload, which must be empty for zero symbols."""
        if count < 0:
            raise ValueError(f"expected a count of at least 0, found {count}")
        reader = Reader(payload, block=f"coder {self.name}")
        if count == 0:
            reader.expect_end()
        return reader


def read_range(reader: Reader, max_span: int) -> tuple[int, int]:
    """Read the smallest symbol and the span, which is the largest minus the smallest. Raises Corrupt."""
    start = reader.offset
    minimum = reader.signed_varint()
    span = reader.varint(max_span)
    if not INT32_MIN <= minimum <= INT32_MAX - span:
        raise reader.fault(Corrupt, f"expected symbols of 32 bits, found {minimum}..{minimum + span}", start)
    return minimum, span


def no_symbols() -> NDArray[np.int32]:
    return np.empty(0, dtype=np.int32)


def varint_bytes(value: int) -> int:
    """Size of `value` as an unsigned varint in bytes."""
    return max(1, -(-value.bit_length() // 7))


def range_bits(tally: Tally) -> int:
    """Bits of the smallest symbol and the span."""
    zigzag = 2 * tally.minimum if tally.minimum >= 0 else -2 * tally.minimum - 1
    return 8 * (varint_bytes(zigzag) + varint_bytes(tally.span))
