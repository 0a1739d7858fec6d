"""A coder for symbols that are equally likely from the smallest to the largest."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.ans import PRECISION_BITS, TOTAL, GroupDecoder, encode_groups, uniform_model
from bitstream.coders.coder import TalliedCoder, no_symbols, range_bits, read_range
from bitstream.coders.tally import Tally
from bitstream.fields import Writer

MAX_SPAN = TOTAL - 1


class UniformCoder(TalliedCoder):
    """Payload: smallest symbol, span, ANS words. A constant tensor takes two bytes."""

    wire_id: ClassVar[int] = CoderId.UNIFORM
    name: ClassVar[str] = coder_name(CoderId.UNIFORM)

    def encode_tally(self, tally: Tally) -> bytes:
        """Return the payload. Raises ValueError for a span of 2^24 or more."""
        if tally.count == 0:
            return b""
        if tally.span > MAX_SPAN:
            raise ValueError(f"expected a span of at most {MAX_SPAN}, found {tally.span}")
        writer = Writer()
        writer.signed_varint(tally.minimum)
        writer.varint(tally.span)
        writer.raw(encode_groups([(tally.shifted, uniform_model(tally.span + 1))]))
        return writer.getvalue()

    def decode(self, payload: bytes, count: int) -> NDArray[np.int32]:
        """Symbols of shape (count,)."""
        reader = self.open_payload(payload, count)
        if count == 0:
            return no_symbols()
        minimum, span = read_range(reader, MAX_SPAN)
        groups = GroupDecoder(reader)
        symbols = groups.decode(uniform_model(span + 1), count)
        groups.expect_end()
        symbols += np.int32(minimum)
        return symbols

    def tally_cost_bits(self, tally: Tally) -> float:
        """Estimate the bits with equal frequencies; only the last symbol has a different one."""
        if tally.count == 0:
            return 0.0
        if tally.span > MAX_SPAN:
            return math.inf
        frequency = TOTAL // (tally.span + 1)
        bits = 0.0 if tally.span == 0 else PRECISION_BITS - math.log2(frequency)
        return range_bits(tally) + tally.count * bits
