"""Exp-Golomb codes, which store small numbers of unknown size in few bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitstream.errors import Corrupt, Truncated
from bitstream.fields import Reader

MAX_ZEROS = 17


def golomb_text(value: int, order: int) -> str:
    """`value` >= 0 as a text of 0 and 1: value + 2^order behind one zero per bit above order + 1."""
    digits = f"{value + (1 << order):b}"
    return "0" * (len(digits) - 1 - order) + digits


def golomb_bits(values: NDArray[np.int64], order: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Length of each code in bits, shape of `values`, or of what they and the orders are broadcast to."""
    digits = np.frexp((values + (1 << order)).astype(np.float64))[1].astype(np.int64)
    return 2 * digits - 1 - order


def text_to_bytes(text: str) -> bytes:
    """Bits as bytes, first bit highest, with zeros up to a whole byte."""
    size = -(-len(text) // 8)
    return int(text.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")


class BitReader:
    """Reads codes from the next bytes of a payload, of which at most `max_bytes` belong to them."""

    def __init__(self, reader: Reader, max_bytes: int) -> None:
        self._reader = reader
        data = bytes(reader.peek(max_bytes))
        self._text = f"{int.from_bytes(data, 'big'):b}".zfill(8 * len(data)) if data else ""
        self._position = 0

    def golomb(self, order: int) -> int:
        """The next number."""
        one = self._text.find("1", self._position, self._position + MAX_ZEROS + 1)
        end = one + (one - self._position) + 1 + order
        if one < 0 or end > len(self._text):
            raise self._reader.fault(Truncated, f"expected an Exp-Golomb code at bit {self._position}")
        self._position = end
        return int(self._text[one:end], 2) - (1 << order)

    def finish(self) -> None:
        """Skip to the next whole byte and advance the payload's reader; Corrupt for padding of ones."""
        size = -(-self._position // 8)
        if "1" in self._text[self._position : 8 * size]:
            raise self._reader.fault(Corrupt, "expected padding bits of zero")
        self._reader.raw(size)
