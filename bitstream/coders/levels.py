"""A coder for nested masks: one level 0..N per weight, with the exact count of every level stored."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.ans import TOTAL, GroupDecoder, apportion, encode_groups, frequency_model
from bitstream.coders.coder import TalliedCoder, no_symbols, varint_bytes
from bitstream.coders.tally import Tally
from bitstream.errors import Corrupt
from bitstream.fields import Writer

MAX_LEVEL = 255


class LevelsCoder(TalliedCoder):
    """Payload: N, the counts of the levels 0..N-1, ANS words over the levels that occur.

    M_1 contains M_2, which contains M_3, and so on. The level of a weight is the number of masks that contain
    it. The counts cost a few bytes and make the frequencies exact.
    """

    wire_id: ClassVar[int] = CoderId.LEVELS
    name: ClassVar[str] = coder_name(CoderId.LEVELS)

    def encode_tally(self, tally: Tally) -> bytes:
        """Return the payload. Raises ValueError for a symbol outside 0..255."""
        if tally.count == 0:
            return b""
        counts = level_counts(tally)
        if counts is None:
            raise ValueError(f"expected levels of 0..{MAX_LEVEL}, found {tally.minimum}..{tally.maximum}")
        writer = Writer()
        writer.varint(tally.maximum)
        for count in counts[:-1]:
            writer.varint(int(count))
        present = np.flatnonzero(counts)
        dense = np.searchsorted(present, np.arange(len(counts))).astype(np.int32)
        model = frequency_model(apportion(counts[present]))
        numbered = tally.symbols if len(present) == len(counts) else dense[tally.symbols]
        writer.raw(encode_groups([(numbered, model)]))
        return writer.getvalue()

    def decode(self, payload: bytes, count: int) -> NDArray[np.int32]:
        """Symbols of shape (count,)."""
        reader = self.open_payload(payload, count)
        if count == 0:
            return no_symbols()
        maximum = reader.varint(MAX_LEVEL)
        listed = [reader.varint() for _ in range(maximum)]
        if sum(listed) > count:
            raise reader.fault(Corrupt, f"expected counts of {count} in all, found {sum(listed)}")
        counts = np.array([*listed, count - sum(listed)], dtype=np.int64)
        present = np.flatnonzero(counts)
        groups = GroupDecoder(reader)
        symbols = groups.decode(frequency_model(apportion(counts[present])), count)
        groups.expect_end()
        if len(present) < len(counts):
            symbols = present.astype(np.int32)[symbols]
        return symbols

    def tally_cost_bits(self, tally: Tally) -> float:
        """Compute the bits from the exact frequencies."""
        if tally.count == 0:
            return 0.0
        counts = level_counts(tally)
        if counts is None:
            return math.inf
        used = counts[counts > 0]
        bits = float(used @ -np.log2(apportion(used) / TOTAL))
        return 8 * (2 + sum(varint_bytes(int(count)) for count in counts[:-1])) + bits


def level_counts(tally: Tally) -> NDArray[np.int64] | None:
    """Occurrences of the levels 0..maximum; None if the symbols are not levels."""
    counts = tally.counts
    if counts is None or tally.minimum < 0 or tally.maximum > MAX_LEVEL:
        return None
    return np.concatenate((np.zeros(tally.minimum, dtype=np.int64), counts))
