"""A coder for symbols in classes, which the decoder knows from earlier symbols.

A family computes the class of every symbol from earlier symbols, with integers (`models.inrc.contexts`). This
module defines the distribution of a class. It is a point on a curve through knots of four log-odds each, so
a few numbers in the file describe all distributions from nearly always zero to wide. The distribution is the
binarisation of a context-adaptive coder: is it 0? is it 1? is it 2? and then geometric (D. Marpe et al.,
"Context-based adaptive binary arithmetic coding", 2003, section III.A). The product of the binary decisions
is coded at once, so one call codes all symbols of a class. A flag has only the first decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from itertools import accumulate, chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.ans import TOTAL, Frequencies, GroupDecoder, encode_groups, frequency_model
from bitstream.errors import Corrupt
from bitstream.fields import Reader

DECISIONS = 4
"""Log-odds of a knot: for magnitude 0, 1, 2 and each from 3 on, always against larger ones."""
QUARTERS = 4
"""Number of classes from one knot to the next."""
MAX_KNOTS = 64
MAX_LOG_ODDS = 255
"""Maximum magnitude of the log-odds of a knot, in 1/16 nats."""
MAX_MAGNITUDE = (1 << 15) - 1

ONE = 1 << 32
ODDS_STEP = 0x104080AB5
"""floor(2^32 exp(1/64)); the literal is normative."""


def class_count(knots: int) -> int:
    """Number of classes for this many knots: four per interval, and the last knot."""
    return QUARTERS * (knots - 1) + 1


def check_knots(knots: NDArray[Any]) -> NDArray[np.int64]:
    """Return the knots as int64. Raises ValueError unless they are (2..64, 4) integers of -255..255."""
    checked = np.asarray(knots)
    if checked.dtype.kind not in "iu" or checked.ndim != 2 or checked.shape[1] != DECISIONS:
        raise ValueError(f"expected integer knots of shape (K, 4), found {checked.dtype} {checked.shape}")
    if not 2 <= len(checked) <= MAX_KNOTS:
        raise ValueError(f"expected 2..{MAX_KNOTS} knots, found {len(checked)}")
    signed = checked.astype(np.int64)
    if int(np.abs(signed).max()) > MAX_LOG_ODDS:
        raise ValueError(f"expected log-odds of at most {MAX_LOG_ODDS}, found {int(np.abs(signed).max())}")
    return signed


def class_log_odds(knots: NDArray[np.int64]) -> NDArray[np.int64]:
    """The four log-odds of each class in 1/64 nats, (classes, 4), in quarters between two knots."""
    knot, quarter = np.divmod(np.arange(class_count(len(knots))), QUARTERS)
    following = knots[np.minimum(knot + 1, len(knots) - 1)]
    mixed: NDArray[np.int64] = (QUARTERS - quarter)[:, None] * knots[knot] + quarter[:, None] * following
    return mixed


@cache
def all_odds() -> tuple[int, ...]:
    """2^32 times the odds for each log-odds of knots from 0 up, in 1/64 nats. Normative."""
    steps = repeat(ODDS_STEP, QUARTERS * MAX_LOG_ODDS)
    return tuple(accumulate(steps, lambda value, step: value * step >> 32, initial=ONE))


def event_odds(log_odds: int) -> tuple[int, int]:
    """The weights of an event of these log-odds in 1/64 nats and of its opposite. Normative."""
    odds = all_odds()[abs(log_odds)]
    return (odds, ONE) if log_odds >= 0 else (ONE, odds)


def share(weight: int, log_odds: int) -> int:
    """The share of `weight` for an event of these log-odds in 1/64 nats, rounded down. Normative."""
    event, others = event_odds(log_odds)
    return weight * event // (event + others)


def class_weights(log_odds: NDArray[np.int64], max_magnitude: int) -> NDArray[np.int64]:
    """Weights of the magnitudes 0..M in each class, (M + 1, classes), of total 2^32. Normative.

    `log_odds` are those of the classes in 1/64 nats, (classes, 4). The weight 2^32 is split at each magnitude
    in turn, and magnitude M gets the remainder.

    A file may ask for 2^15 magnitudes in every class, so all classes take a step at once, and in floating
    point: a weight below 2^32 is exact, and its share is exact too unless it lies within rounding of a whole
    number. Integers find such shares afterwards, and their classes are computed again.
    """
    pairs = [[event_odds(int(value)) for value in one] for one in log_odds]
    events, others = np.ascontiguousarray(np.array(pairs, dtype=np.uint64).transpose(2, 1, 0))
    shares = events / (events + others).astype(np.float64)
    weights = np.zeros((max_magnitude + 1, len(log_odds)))
    left = np.full(len(log_odds), float(ONE))
    for weight, part in zip(weights[:-1], chain(shares, repeat(shares[-1])), strict=False):
        np.multiply(left, part, out=weight)
        np.floor(weight, out=weight)
        np.subtract(left, weight, out=left)
    weights[-1] = left
    whole = weights.astype(np.int64)
    for number in np.flatnonzero(~_are_shares(whole, events, events + others)):
        whole[:, number] = _exact_weights(log_odds[number], max_magnitude)
    return whole


def _are_shares(
    weights: NDArray[np.int64], events: NDArray[np.uint64], totals: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """For each class, whether every weight is the exact share, rounded down, of what was left before it."""
    parts = weights[:-1].astype(np.uint64)
    left = np.uint64(ONE) - np.cumsum(parts, axis=0) + parts
    exact = np.ones(parts.shape[1], dtype=np.bool_)
    for decision, (event, total) in enumerate(zip(events, totals, strict=True)):
        rows = slice(decision, None if decision == DECISIONS - 1 else decision + 1)
        # Modulo 2^64, which cannot hide an error: remainders are off by less than twice a total, below 2^57.
        exact &= (left[rows] * event - parts[rows] * total < total).all(axis=0)
    return exact


def _exact_weights(log_odds: NDArray[np.int64], max_magnitude: int) -> list[int]:
    """The weights of one class, (M + 1,), by integers alone."""
    pairs = [event_odds(int(value)) for value in log_odds]
    weights, left = [], ONE
    for magnitude in range(max_magnitude):
        event, other = pairs[min(magnitude, DECISIONS - 1)]
        weights.append(left * event // (event + other))
        left -= weights[-1]
    return [*weights, left]


def frequencies_of_weights(weights: NDArray[np.int64]) -> Frequencies:
    """Frequencies of the symbols -M..M, (2 M + 1,), from the weights of magnitudes, (M + 1,). Normative.

    Both signs of a magnitude share its weight equally. Symbol 0 gets what rounding leaves.
    """
    size = 2 * len(weights) - 1
    side = np.uint64(1) + (weights[1:].astype(np.uint64) * np.uint64(TOTAL - size) >> np.uint64(33))
    centre = np.uint64(TOTAL) - np.uint64(2) * side.sum(dtype=np.uint64)
    frequencies: Frequencies = np.concatenate((side[::-1], [centre], side)).astype(np.uint64)
    return frequencies


def flag_frequencies(log_odds: int) -> Frequencies:
    """Frequencies of the flags 0 and 1, (2,), from a class's first log-odds in 1/64 nats. Normative."""
    zero = 1 + (share(ONE, log_odds) * (TOTAL - 2) >> 32)
    return np.array([zero, TOTAL - zero], dtype=np.uint64)


class _Built(dict[int, Any]):
    """Models by class, which are built when they are looked up for the first time."""

    def __init__(self, frequencies: Callable[[int], Frequencies]) -> None:
        super().__init__()
        self._frequencies = frequencies

    def __missing__(self, index: int) -> Any:
        self[index] = model = frequency_model(self._frequencies(index))
        return model


class ClassModels:
    """The models of the classes between given knots, each built at its first use."""

    def __init__(self, knots: NDArray[Any], max_magnitude: int) -> None:
        if not 1 <= max_magnitude <= MAX_MAGNITUDE:
            raise ValueError(f"expected a largest magnitude of 1..{MAX_MAGNITUDE}, found {max_magnitude}")
        self._log_odds = class_log_odds(check_knots(knots))
        self.max_magnitude = max_magnitude
        self.count = len(self._log_odds)
        self.symbols: Mapping[int, Any] = _Built(self.frequencies)
        """The models of symbols by class."""
        self.flags: Mapping[int, Any] = _Built(self.flag_frequencies)
        """The models of flags by class."""

    def frequencies(self, index: int) -> Frequencies:
        """Frequencies of the symbols -M..M of this class, (2 M + 1,)."""
        return frequencies_of_weights(self._weights[:, index])

    @cached_property
    def _weights(self) -> NDArray[np.int64]:
        return class_weights(self._log_odds, self.max_magnitude)

    def flag_frequencies(self, index: int) -> Frequencies:
        """Frequencies of the flags 0 and 1 of this class, (2,)."""
        return flag_frequencies(int(self._log_odds[index, 0]))

    def groups(self, classes: NDArray[Any]) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
        """Return the order of a pass's symbols, (count,), and the class and size of each group.

        Classes ascend, and so do positions within a class. Raises ValueError for a class out of range.
        """
        numbers = np.bincount(classes, minlength=self.count)
        if len(numbers) > self.count:
            raise ValueError(f"expected classes below {self.count}, found {len(numbers) - 1}")
        # All classes are below 256, and NumPy sorts bytes stably by radix.
        order = classes.astype(np.uint8).argsort(kind="stable")
        (present,) = numbers.nonzero()
        return order, [*zip(present.tolist(), numbers[present].tolist(), strict=True)]


class ConditionalEncoder:
    """Collects the passes of one payload; `ConditionalDecoder` decodes them in the same order.

    `knots` are integers of -255..255, (K, 4), in 1/16 nats. Symbols are -max_magnitude..max_magnitude. Raises
    ValueError for values out of range.
    """

    def __init__(self, knots: NDArray[Any], max_magnitude: int) -> None:
        self._models = ClassModels(knots, max_magnitude)
        self._groups: list[tuple[NDArray[np.int32], Any]] = []

    def code(self, classes: NDArray[Any], symbols: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Add one pass of symbols and their classes, of the same shape. Returns the symbols."""
        if symbols is None or symbols.shape != classes.shape:
            raise ValueError("expected a symbol for each class")
        kept = symbols.astype(np.int32, copy=False)
        if not kept.size:
            return kept
        bound = self._models.max_magnitude
        if int(kept.min()) < -bound or int(kept.max()) > bound:
            raise ValueError(f"expected symbols of -{bound}..{bound}, found {kept.min()}..{kept.max()}")
        order, groups = self._models.groups(classes.ravel())
        numbered = kept.ravel()[order] + np.int32(bound)
        self._add(numbered, self._models.symbols, groups)
        return kept

    def code_flags(self, classes: NDArray[Any], flags: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Add one pass of flags and their classes, both (count,). Returns the flags."""
        if flags is None or flags.shape != classes.shape:
            raise ValueError("expected a flag for each class")
        order, groups = self._models.groups(classes)
        numbered = flags[order].astype(np.int32)
        self._add(numbered, self._models.flags, groups)
        return flags

    def _add(
        self, numbered: NDArray[np.int32], models: Mapping[int, Any], groups: list[tuple[int, int]]
    ) -> None:
        start = 0
        for index, number in groups:
            self._groups.append((numbered[start : start + number], models[index]))
            start += number

    def getvalue(self) -> bytes:
        """The payload of all passes so far."""
        return encode_groups(self._groups)


class ConditionalDecoder:
    """Decodes the passes of a payload, in the order in which they were encoded.

    Raises Corrupt if knots or magnitude are out of range, because they come from the file as well.
    """

    def __init__(self, knots: NDArray[Any], max_magnitude: int, data: bytes) -> None:
        reader = Reader(data, block=f"coder {coder_name(CoderId.CONTEXTUAL)}")
        try:
            self._models = ClassModels(knots, max_magnitude)
        except ValueError as error:
            raise reader.fault(Corrupt, str(error)) from None
        self._groups = GroupDecoder(reader)

    def code(self, classes: NDArray[Any], symbols: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """Return the symbols of the next pass, in the shape of its classes."""
        if symbols is not None:
            raise ValueError("expected no symbols, because the decoder returns them")
        if not classes.size:
            return np.zeros(classes.shape, dtype=np.int32)
        order, groups = self._models.groups(classes.ravel())
        decoded = np.empty(classes.size, dtype=np.int32)
        decoded[order] = self._groups.decode_all(self._models.symbols, groups)
        decoded -= np.int32(self._models.max_magnitude)
        return decoded.reshape(classes.shape)

    def code_flags(self, classes: NDArray[Any], flags: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return the flags of the next pass, one for each of its classes, (count,)."""
        if flags is not None:
            raise ValueError("expected no flags, because the decoder returns them")
        order, groups = self._models.groups(classes)
        decoded = np.empty(len(classes), dtype=np.bool_)
        decoded[order] = self._groups.decode_all(self._models.flags, groups)
        return decoded

    def expect_end(self) -> None:
        """Raise Corrupt unless the payload is used up."""
        self._groups.expect_end()
