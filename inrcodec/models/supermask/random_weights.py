"""A seed's random weights, the same bits on every machine, device and version of NumPy.

The generator is Philox4x64-10 (Salmon et al. 2011), counter-based. NumPy guarantees its raw stream; NumPy's
distributions may change and are not used. Integers become weights by comparisons, sums and products that are
exact or correctly rounded under IEEE 754, so no maths library decides a weight.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 64
CHUNK_WORDS = 1 << 20
"""Words made at a time: a network may have 2^27 weights."""


def raw_words(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """The first `count` 64-bit outputs of Philox4x64-10 with key (seed, stream), from counter 1 on.

    `seed` and `stream` are unsigned 64-bit integers; a stream is one tensor of a network.
    """
    return _words(_generator(seed, stream), count)


def _generator(seed: int, stream: int) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))


def _words(generator: np.random.Philox, count: int) -> NDArray[np.uint64]:
    return np.asarray(generator.random_raw(count), dtype=np.uint64)


def random_signs(seed: int, stream: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Signs +1 and -1: bit i of the stream, least significant first within a word; a set bit is +1."""
    count = math.prod(shape)
    words = raw_words(seed, stream, -(-count // WORD_BITS))
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little", count=count)
    signs = bits.astype(np.float32)
    signs *= np.float32(2)
    signs -= np.float32(1)
    return signs.reshape(shape)


def random_uniform(seed: int, stream: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform values in (-1, 1): a word's top 24 bits u give (2u + 1 - 2^24) / 2^24, exact in float32."""
    generator, values = _generator(seed, stream), np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, len(values), CHUNK_WORDS):
        part = values[start : start + CHUNK_WORDS]
        top = (_words(generator, len(part)) >> np.uint64(40)).astype(np.int64)
        part[:] = (2 * top + 1 - 2**24) / 2.0**24
    return values.reshape(shape)


def kaiming_deviation(fan_in: int, density: float) -> float:
    """Standard deviation sqrt(2 / (fan_in x density)) of weights if a share `density` of them is kept.

    He et al. 2015, with the correction for sparsity of Ramanujan et al. 2020, section 3. Division and square
    root are correctly rounded everywhere.
    """
    return math.sqrt(2.0 / (fan_in * density))
