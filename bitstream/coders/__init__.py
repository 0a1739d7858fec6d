"""The symbol coders by wire id, and the choice of the coder with the smallest payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.categorical import CategoricalCoder
from bitstream.coders.coder import SymbolCoder
from bitstream.coders.gaussian import GaussianCoder
from bitstream.coders.laplace import LaplaceCoder
from bitstream.coders.levels import LevelsCoder
from bitstream.coders.packed import PackedCoder
from bitstream.coders.tally import Tally
from bitstream.coders.uniform import UniformCoder
from bitstream.errors import Corrupt
from bitstream.header import Section
from bitstream.limits import DEFAULT_LIMITS, Limits

ESTIMATE_SLACK_BITS = 64

_ALL: tuple[SymbolCoder, ...] = (
    UniformCoder(),
    PackedCoder(),
    CategoricalCoder(),
    LaplaceCoder(),
    GaussianCoder(),
    LevelsCoder(),
)
CODERS: Mapping[int, SymbolCoder] = MappingProxyType({int(coder.wire_id): coder for coder in _ALL})


def coder_by_id(wire_id: int) -> SymbolCoder:
    """The coder of this wire id. Raises Corrupt for an unknown id, and for `contextual`."""
    if wire_id not in CODERS:
        raise Corrupt(f"expected a coder of {sorted(CODERS)}, found {wire_id}", block="SEGM")
    return CODERS[wire_id]


def encode_smallest(
    symbols: NDArray[np.int32], candidates: Iterable[SymbolCoder] | None = None
) -> tuple[int, bytes]:
    """Return wire id and payload of the coder with the smallest payload.

    Runs only coders whose estimate comes close to the best payload so far. Raises ValueError if no candidate
    can represent the symbols.
    """
    tally = Tally.of(symbols)
    coders = CODERS.values() if candidates is None else candidates
    ranked = sorted((coder.tally_cost_bits(tally), coder.wire_id, coder) for coder in coders)
    best: tuple[int, bytes] | None = None
    for cost, wire_id, coder in ranked:
        if cost == float("inf") or (best and cost > 8 * len(best[1]) + ESTIMATE_SLACK_BITS):
            break
        payload = coder.encode_tally(tally)
        if best is None or len(payload) < len(best[1]):
            best = wire_id, payload
    if best is None:
        raise ValueError(f"expected a coder for symbols of {tally.minimum}..{tally.maximum}, found none")
    return best


def decode_section(section: Section, count: int, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.int32]:
    """Return the symbols of a section, shape (count,); `count` follows from the network's shapes.

    Raises `BitstreamError` if the coder is unknown, the count is above the limit, or the payload is damaged.
    """
    limits.check("max_symbols", count, block="SEGM")
    return coder_by_id(section.coder).decode(section.payload, count)


__all__ = [
    "CODERS",
    "SymbolCoder",
    "coder_by_id",
    "decode_section",
    "encode_smallest",
]
