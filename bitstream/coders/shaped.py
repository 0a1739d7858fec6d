"""Coders for bell-shaped distributions: a stored scale per tensor or per row selects an integer table."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.ans import TOTAL, Frequencies, GroupDecoder, encode_groups, frequency_model
from bitstream.coders.coder import TalliedCoder, no_symbols, range_bits, read_range, varint_bytes
from bitstream.coders.packed import pack_bits, packed_bytes, read_packed
from bitstream.coders.tally import Tally
from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer

MAX_SPAN = (1 << 16) - 1
MAX_INDEX_BITS = 7
MAX_ROWS = 1 << 16
ONE = 1 << 32
"""The number 1 in the fixed point of the profiles."""

Profile = NDArray[np.uint64]
"""Weights of the distances 0, 1, 2, ... from the centre, in units of 2^-32, without trailing zeros."""


@dataclass(frozen=True)
class ShapedPlan:
    """Parameters that the encoder chose: one scale index per row, or one for the tensor."""

    centre: int
    """The most likely symbol minus the smallest."""
    indices: NDArray[np.int64]
    """Shape (rows,) or (1,)."""
    width: int
    """Bits per index above the smallest one."""
    cost_bits: float


def frequencies_from_profile(profile: Profile, centre: int, span: int) -> Frequencies:
    """Frequencies of the symbols 0..span, shape (span + 1,).

    Each is 1 + floor(weight * (2^24 - n) / sum of weights) with n = span + 1, and the centre gets the
    remainder of 2^24. Weights are at most 2^32, so unsigned 64-bit integers suffice.
    """
    weights = np.zeros(span + 1, dtype=np.uint64)
    right = profile[: span - centre + 1]
    weights[centre : centre + len(right)] = right
    left = profile[1 : centre + 1]
    weights[centre - len(left) : centre] = left[::-1]
    frequencies: Frequencies = np.uint64(1) + weights * np.uint64(TOTAL - span - 1) // weights.sum()
    frequencies[centre] += np.uint64(TOTAL) - frequencies.sum()
    return frequencies


class ShapedCoder(TalliedCoder):
    """Payload: smallest symbol, span, centre, rows, scale indices, ANS words.

    A shape is a list of profiles, and the index of a row selects one. Rows that share an index are coded
    together in one call, in the order of the indices.
    """

    wire_id: ClassVar[int]
    scale_count: ClassVar[int]

    @abstractmethod
    def profile(self, index: int) -> Profile:
        """The weights of scale `index`."""

    @abstractmethod
    def centre(self, counts: NDArray[np.int64]) -> int:
        """The best centre for these counts, as a symbol minus the smallest."""

    @abstractmethod
    def distance(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances of offsets from the centre; their mean determines the scale."""

    def encode_tally(self, tally: Tally) -> bytes:
        """Return the payload. Raises ValueError for a span above 2^16 - 1."""
        if tally.count == 0:
            return b""
        if tally.span > MAX_SPAN:
            raise ValueError(f"expected a span of at most {MAX_SPAN}, found {tally.span}")
        writer = Writer()
        writer.signed_varint(tally.minimum)
        writer.varint(tally.span)
        if tally.span == 0:
            return writer.getvalue()
        plan = tally.planned(self.name, lambda: self._plan(tally))
        writer.varint(plan.centre)
        write_indices(writer, plan.indices, plan.width)
        rows = tally.shifted.reshape(len(plan.indices), -1)
        groups = [
            (rows if len(rows) == 1 else rows[where], self._model(index, plan.centre, tally.span))
            for index, where in rows_by_index(plan.indices)
        ]
        writer.raw(encode_groups(groups))
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
        centre = reader.varint(span)
        indices = read_indices(reader, count, self.scale_count)
        columns = count // len(indices)
        groups = GroupDecoder(reader)
        symbols = np.empty((len(indices), columns), dtype=np.int32)
        for index, where in rows_by_index(indices):
            decoded = groups.decode(self._model(index, centre, span), len(where) * columns)
            if len(where) == len(indices):
                symbols = decoded
            else:
                symbols[where] = decoded.reshape(len(where), columns)
        groups.expect_end()
        symbols += np.int32(minimum)
        return symbols.ravel()

    def tally_cost_bits(self, tally: Tally) -> float:
        """Compute the bits from the exact frequencies of the scales that `encode` would use."""
        if tally.count == 0:
            return 0.0
        if tally.span > MAX_SPAN:
            return math.inf
        if tally.span == 0:
            return range_bits(tally)
        return tally.planned(self.name, lambda: self._plan(tally)).cost_bits

    def _model(self, index: int, centre: int, span: int) -> object | None:
        return frequency_model(self._frequencies(index, centre, span))

    def _frequencies(self, index: int, centre: int, span: int) -> Frequencies:
        return frequencies_from_profile(self.profile(index), centre, span)

    def _plan(self, tally: Tally) -> ShapedPlan:
        """One scale per tensor or per row, whichever makes the smaller payload."""
        counts = tally.counts
        if counts is None:
            raise ValueError("expected a span that can be counted")
        centre = self.centre(counts)
        head_bits = range_bits(tally) + 8 * varint_bytes(centre)
        best = self._tensor_plan(counts, centre, head_bits)
        if tally.row_counts is None or tally.rows > MAX_ROWS:
            return best
        by_row = self._row_plan(tally.row_counts, centre, head_bits)
        return min(best, by_row, key=lambda plan: plan.cost_bits)

    def _tensor_plan(self, counts: NDArray[np.int64], centre: int, head_bits: float) -> ShapedPlan:
        nearest = int(self._nearest_scales(counts[None], centre)[0])
        scales = np.arange(max(0, nearest - 4), min(self.scale_count, nearest + 5))
        bits = self._symbol_bits(counts[None], scales, centre)[0]
        chosen = int(np.argmin(bits))
        return ShapedPlan(centre, scales[chosen : chosen + 1], 0, head_bits + 16 + float(bits[chosen]))

    def _row_plan(self, row_counts: NDArray[np.int64], centre: int, head_bits: float) -> ShapedPlan:
        """Choose the cheapest width of indices, and for each row the best index of that width."""
        nearest = self._nearest_scales(row_counts, centre)
        first = max(0, int(nearest.min()) - 2)
        scales = np.arange(first, min(self.scale_count, int(nearest.max()) + 3))
        bits = self._symbol_bits(row_counts, scales, centre)
        middle = int(np.median(np.argmin(bits, axis=1)))
        rows = len(row_counts)
        plans = []
        for width in range(1, MAX_INDEX_BITS + 1):
            low = min(max(0, middle - (1 << width) // 2), max(0, len(scales) - (1 << width)))
            window = bits[:, low : low + (1 << width)]
            indices = scales[low + np.argmin(window, axis=1)]
            side_bits = 8 * (varint_bytes(rows) + 2 + packed_bytes(rows, width))
            cost = head_bits + side_bits + float(window.min(axis=1).sum())
            exact_width = int(indices.max() - indices.min()).bit_length()
            plans.append(ShapedPlan(centre, indices, exact_width, cost))
            if low == 0 and 1 << width >= len(scales):
                break
        return min(plans, key=lambda plan: plan.cost_bits)

    def _nearest_scales(self, row_counts: NDArray[np.int64], centre: int) -> NDArray[np.int64]:
        """For each row the smallest scale whose mean distance is at least that of the row."""
        distances = self.distance(np.arange(row_counts.shape[1]) - centre)
        means = row_counts @ distances / np.maximum(row_counts.sum(axis=1), 1)
        nearest: NDArray[np.int64] = np.searchsorted(mean_distances(self, float(means.max())), means)
        return np.minimum(nearest, self.scale_count - 1)

    def _symbol_bits(
        self, row_counts: NDArray[np.int64], scales: NDArray[np.int64], centre: int
    ) -> NDArray[np.float64]:
        """Ideal bits of each row under each scale, (rows, scales)."""
        span = row_counts.shape[1] - 1
        tables = [-np.log2(self._frequencies(int(index), centre, span) / TOTAL) for index in scales]
        bits: NDArray[np.float64] = row_counts.astype(np.float64) @ np.stack(tables, axis=1)
        return bits


_MEANS_LOCK = Lock()
"""Two threads that extend the same list would shift its scales."""


def mean_distances(coder: ShapedCoder, most: float) -> NDArray[np.float64]:
    """Mean distance from the centre for each scale from the first on, ascending, until one is `most` or more.

    The profiles of large scales take seconds to build, and few tensors need them. Only the encoder uses it.
    """
    with _MEANS_LOCK:
        means = _known_means(coder)
        while len(means) < coder.scale_count and (not means or means[-1] < most):
            weights = coder.profile(len(means)).astype(np.float64)
            total = 2 * weights.sum() - weights[0]
            mean = 2 * (weights @ coder.distance(np.arange(len(weights)))) / total
            means.append(max(mean, means[-1]) if means else mean)
        return np.array(means)


@lru_cache(maxsize=8)
def _known_means(coder: ShapedCoder) -> list[float]:
    return []


def rows_by_index(indices: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each index that occurs, ascending, with the numbers of its rows, ascending."""
    for index in np.unique(indices):
        yield int(index), np.flatnonzero(indices == index)


def write_indices(writer: Writer, indices: NDArray[np.int64], width: int) -> None:
    """Write the number of rows and the smallest index; for several rows also width and differences."""
    smallest = int(indices.min())
    writer.varint(len(indices))
    writer.u8(smallest)
    if len(indices) > 1:
        writer.u8(width)
        writer.raw(pack_bits((indices - smallest).astype(np.uint32), width))


def read_indices(reader: Reader, count: int, scale_count: int) -> NDArray[np.int64]:
    """Read the scale index of each row, (rows,), below `scale_count`; rows divide `count`. Raises Corrupt."""
    start = reader.offset
    rows = reader.varint()
    if not 1 <= rows <= MAX_ROWS or count % rows:
        raise reader.fault(
            Corrupt, f"expected 1..{MAX_ROWS} rows that divide {count} symbols, found {rows}", start
        )
    smallest = reader.u8()
    width = reader.u8() if rows > 1 else 0
    if width > MAX_INDEX_BITS:
        raise reader.fault(
            Corrupt, f"expected indices of at most {MAX_INDEX_BITS} bits, found {width}", start
        )
    indices = (read_packed(reader, rows, width) if width else np.zeros(rows)).astype(np.int64) + smallest
    largest = int(indices.max())
    if largest >= scale_count:
        raise reader.fault(Corrupt, f"expected scale indices below {scale_count}, found {largest}", start)
    return indices
