"""The entropy coder: stream ANS with integer frequencies of total 2^24, run by constriction.

ANS is a stack: the symbol encoded last is decoded first, so the encoder runs in reverse. The state is one
integer. Coding a symbol of frequency f and cumulative frequency c replaces the state s by
(s // f) * 2^24 + c + s % f, which makes it longer by log2(2^24 / f) bits. SPEC.md, section 8.1, has the rest
(J. Duda, "Asymmetric numeral systems", 2013; R. Bamler, "Understanding entropy coding with ANS", 2022).

No other module uses constriction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import constriction  # type: ignore[import-untyped]  # it ships no types
import numpy as np
from numpy.typing import NDArray

from bitstream.errors import Corrupt
from bitstream.fields import Reader

PRECISION_BITS = 24
TOTAL = 1 << PRECISION_BITS

Frequencies = NDArray[np.uint64]
"""One frequency of at least 1 per symbol, with the sum 2^24."""


def uniform_model(alphabet: int) -> Any | None:
    """Equal frequencies floor(2^24 / alphabet), the last symbol with the remainder; None for one symbol."""
    return None if alphabet == 1 else constriction.stream.model.Uniform(alphabet)


def frequency_model(frequencies: Frequencies) -> Any | None:
    """A model with exactly these frequencies; None for one symbol, which costs nothing.

    constriction scales float weights p_i to cumulative frequencies
    floor(scale * (p_0 + ... + p_{i-1})) + i with scale = (2^24 - n) / sum(p). For p_i = f_i - 1 the
    sum is 2^24 - n, the scale is exactly 1 and all sums are integers below 2^53, so nothing is rounded.
    """
    if len(frequencies) == 1:
        return None
    if int(frequencies.sum()) != TOTAL or int(frequencies.min()) < 1:
        raise ValueError("expected frequencies of at least 1 with the sum 2^24")
    if len(frequencies) == TOTAL:
        return uniform_model(TOTAL)
    return constriction.stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False)


def apportion(counts: NDArray[np.int64]) -> Frequencies:
    """Frequencies 1 + floor(count * (2^24 - n) / sum); the first largest count gets the remainder.

    Normative: `levels` decodes with it. Counts are at least 1 and sum to at most 2^27.
    """
    weights = counts.astype(np.uint64)
    frequencies: Frequencies = np.uint64(1) + weights * np.uint64(TOTAL - len(counts)) // weights.sum()
    frequencies[int(np.argmax(counts))] += np.uint64(TOTAL) - frequencies.sum()
    return frequencies


def encode_groups(groups: Sequence[tuple[NDArray[np.int32], Any | None]]) -> bytes:
    """Encode groups of (symbols, model), to be decoded in the same order.

    The words are little-endian u32, without the zero bytes at the end of the last one.
    """
    coder = constriction.stream.stack.AnsCoder()
    for symbols, model in reversed(groups):
        if model is not None and symbols.size:
            coder.encode_reverse(np.ascontiguousarray(symbols.ravel(), dtype=np.int32), model)
    return bytes(coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))


class GroupDecoder:
    """Decodes groups from the rest of a payload, in the order in which they were encoded."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        start = reader.offset
        data = bytes(reader.raw(reader.remaining))
        if data.endswith(b"\0"):
            raise reader.fault(
                Corrupt, "expected a last byte other than zero, found 0", start + len(data) - 1
            )
        words = np.frombuffer(data + bytes(-len(data) % 4), dtype="<u4").astype(np.uint32)
        self._coder = constriction.stream.stack.AnsCoder(words)

    def decode(self, model: Any | None, count: int) -> NDArray[np.int32]:
        """Return the next `count` symbols, shape (count,), numbered from 0."""
        if model is None or count == 0:
            return np.zeros(count, dtype=np.int32)
        decoded: NDArray[np.int32] = self._coder.decode(model, count)
        return decoded

    def decode_all(self, models: Mapping[int, Any], groups: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
        """Return the symbols of successive groups, each given by the key of its model and its size."""
        decode = self._coder.decode
        found = [decode(models[key], count) for key, count in groups]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int32)

    def expect_end(self) -> None:
        """Raise Corrupt unless the coder is back in its empty state."""
        if not self._coder.is_empty():
            raise self._reader.fault(Corrupt, "expected an exhausted entropy coder, found more data")
