"""A coder that stores the frequency of each symbol, for distributions of no particular shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.ans import PRECISION_BITS, Frequencies, GroupDecoder, encode_groups, frequency_model
from bitstream.coders.coder import TalliedCoder, no_symbols, range_bits, read_range
from bitstream.coders.tally import Tally
from bitstream.errors import Corrupt, Truncated
from bitstream.fields import Reader, Writer

MAX_SPAN = (1 << 16) - 1
TABLE_PRECISIONS = (6, 8, 10, 12, 14, 16)
"""Precisions that the encoder tries; stored frequencies sum to 2^precision. The format allows 1..16."""
ORDERS = np.arange(16)[:, None]
"""Orders of Exp-Golomb codes that the encoder tries, (16, 1): all that the format allows."""
MAX_TABLE_BITS_PER_SYMBOL = 72
"""Upper bound: a frequency and the length of a run of zeros each take less than 36 bits."""
MAX_ZEROS = 17


@dataclass(frozen=True)
class CategoricalPlan:
    """A frequency table (span + 1,) of total 2^precision, the order of its code, and the cost."""

    table: NDArray[np.int64]
    precision: int
    order: int
    cost_bits: float


class CategoricalCoder(TalliedCoder):
    """Payload: smallest symbol, span, precision and order, frequencies in Exp-Golomb codes, ANS words.

    Symbols of frequency zero do not occur, and the model leaves them out.
    """

    wire_id: ClassVar[int] = CoderId.CATEGORICAL
    name: ClassVar[str] = coder_name(CoderId.CATEGORICAL)

    def encode_tally(self, tally: Tally) -> bytes:
        """Return the payload. Raises ValueError for a span above 2^16 - 1."""
        if tally.count == 0:
            return b""
        counts = tally.counts
        if counts is None:
            raise ValueError(f"expected a span of at most {MAX_SPAN}, found {tally.span}")
        writer = Writer()
        writer.signed_varint(tally.minimum)
        writer.varint(tally.span)
        if tally.span == 0:
            return writer.getvalue()
        plan = tally.planned(self.name, lambda: plan_table(counts))
        writer.u8(plan.order << 4 | plan.precision - 1)
        writer.raw(text_to_bytes(table_text(plan.table, plan.order)))
        present = np.flatnonzero(plan.table)
        model = frequency_model(scaled_frequencies(plan.table[present], plan.precision))
        if len(present) == len(counts):
            numbered = tally.shifted
        else:
            numbered = np.searchsorted(present, np.arange(len(counts))).astype(np.int32)[tally.shifted]
        writer.raw(encode_groups([(numbered, model)]))
        return writer.getvalue()

    def decode(self, payload: bytes, count: int) -> NDArray[np.int32]:
        """Symbols of shape (count,)."""
        reader = self.open_payload(payload, count)
        if count == 0:
            return no_symbols()
        minimum, span = read_range(reader, MAX_SPAN)
        if span == 0:
            reader.expect_end()
            return np.full(count, minimum, dtype=np.int32)
        packed = reader.u8()
        precision, order = (packed & 15) + 1, packed >> 4
        table = read_table(reader, span, precision, order)
        present = np.flatnonzero(table)
        groups = GroupDecoder(reader)
        symbols = groups.decode(frequency_model(scaled_frequencies(table[present], precision)), count)
        groups.expect_end()
        if len(present) <= span:
            symbols = present.astype(np.int32)[symbols]
        symbols += np.int32(minimum)
        return symbols

    def tally_cost_bits(self, tally: Tally) -> float:
        """Estimate the bits from the table that `encode` would store."""
        if tally.count == 0:
            return 0.0
        counts = tally.counts
        if counts is None:
            return math.inf
        if tally.span == 0:
            return range_bits(tally)
        return range_bits(tally) + 8 + tally.planned(self.name, lambda: plan_table(counts)).cost_bits


def scaled_frequencies(table: NDArray[np.int64], precision: int) -> Frequencies:
    """Scale frequencies of total 2^precision to the total 2^24."""
    return table.astype(np.uint64) << np.uint64(PRECISION_BITS - precision)


def plan_table(counts: NDArray[np.int64]) -> CategoricalPlan:
    """Choose the precision and order with the fewest bits for table and symbols together."""
    plans = []
    present = counts > 0
    used = counts[present]
    for precision in TABLE_PRECISIONS:
        if len(used) > 1 << precision:
            continue
        rounded = quantise_counts(used, precision)
        table = np.zeros_like(counts)
        table[present] = rounded
        symbol_bits = float(used @ (precision - np.log2(rounded)))
        order, table_bits = best_order(table)
        plans.append(CategoricalPlan(table, precision, order, table_bits + symbol_bits))
    return min(plans, key=lambda plan: plan.cost_bits)


def quantise_counts(counts: NDArray[np.int64], precision: int) -> NDArray[np.int64]:
    """Frequencies of at least 1 and total 2^precision that are nearly proportional to the counts."""
    total = 1 << precision
    rounded: NDArray[np.int64] = np.maximum(1, np.rint(counts * (total / counts.sum())).astype(np.int64))
    largest = int(np.argmax(rounded))
    rounded[largest] += total - int(rounded.sum())
    if rounded[largest] < 1:
        floors = counts * (total - len(counts)) // counts.sum()
        rounded = 1 + floors
        rounded[largest] += total - int(rounded.sum())
    return rounded


def zero_runs(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of the runs of zeros in a table that does not end in zero."""
    edges = np.diff(np.concatenate(([0], (table == 0).astype(np.int8), [0])))
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


def best_order(table: NDArray[np.int64]) -> tuple[int, float]:
    """The order of the Exp-Golomb code with the fewest bits, and these bits."""
    written = table[:-1]
    starts, lengths = zero_runs(table)
    values = np.concatenate((written[written > 0], np.zeros(len(starts), dtype=np.int64)))
    run_bits = float(golomb_bits(lengths - 1, 0).sum())
    different, occurrences = np.unique(values, return_counts=True)
    costs = golomb_bits(different, ORDERS) @ occurrences + run_bits
    order = int(np.argmin(costs))
    return order, float(costs[order])


def table_text(table: NDArray[np.int64], order: int) -> str:
    """All frequencies but the last as a string of 0 and 1; a run of zeros is a zero and its length."""
    runs = dict(zip(*(part.tolist() for part in zero_runs(table)), strict=True))
    parts = []
    place = 0
    listed = table.tolist()
    while place < len(listed) - 1:
        parts.append(golomb_text(listed[place], order))
        run = runs.get(place, 1)
        if listed[place] == 0:
            parts.append(golomb_text(run - 1, 0))
        place += run
    return "".join(parts)


def read_table(reader: Reader, span: int, precision: int, order: int) -> NDArray[np.int64]:
    """Read frequencies (span + 1,) of total 2^precision; the last one is the remainder.

    Raises Corrupt or Truncated.
    """
    start = reader.offset
    bits = BitReader(reader, -(-span * MAX_TABLE_BITS_PER_SYMBOL // 8))
    table = np.zeros(span + 1, dtype=np.int64)
    left = 1 << precision
    place = 0
    while place < span:
        frequency = bits.golomb(order)
        if frequency == 0:
            place += bits.golomb(0) + 1
            continue
        table[place] = frequency
        left -= frequency
        place += 1
    if place != span or left < 1:
        raise reader.fault(
            Corrupt, f"expected {span + 1} frequencies of total {1 << precision}, last one above zero", start
        )
    bits.finish()
    table[span] = left
    return table


def golomb_text(value: int, order: int) -> str:
    """`value` >= 0 as a string of 0 and 1: one zero per bit above order + 1, then value + 2^order."""
    digits = f"{value + (1 << order):b}"
    return "0" * (len(digits) - 1 - order) + digits


def golomb_bits(values: NDArray[np.int64], order: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Length of each code in bits, in the shape of `values` broadcast with `order`."""
    digits = np.frexp((values + (1 << order)).astype(np.float64))[1].astype(np.int64)
    return 2 * digits - 1 - order


def text_to_bytes(text: str) -> bytes:
    """Pack a string of bits into bytes, first bit highest, padded with zeros to a whole byte."""
    size = -(-len(text) // 8)
    return int(text.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")


class BitReader:
    """Reads Exp-Golomb codes from at most the next `max_bytes` bytes of a payload."""

    def __init__(self, reader: Reader, max_bytes: int) -> None:
        self._reader = reader
        data = bytes(reader.peek(max_bytes))
        self._text = f"{int.from_bytes(data, 'big'):b}".zfill(8 * len(data)) if data else ""
        self._position = 0

    def golomb(self, order: int) -> int:
        """Read the next number. Raises Truncated."""
        one = self._text.find("1", self._position, self._position + MAX_ZEROS + 1)
        end = one + (one - self._position) + 1 + order
        if one < 0 or end > len(self._text):
            raise self._reader.fault(Truncated, f"expected an Exp-Golomb code at bit {self._position}")
        self._position = end
        return int(self._text[one:end], 2) - (1 << order)

    def finish(self) -> None:
        """Skip zero bits to the next byte and advance the payload's reader. Raises Corrupt for other bits."""
        size = -(-self._position // 8)
        if "1" in self._text[self._position : 8 * size]:
            raise self._reader.fault(Corrupt, "expected padding bits of zero")
        self._reader.raw(size)
