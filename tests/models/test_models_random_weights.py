"""Random weights drawn from seeds, as literals; any change breaks every existing supermask file."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.models.supermask.random_weights import (
    kaiming_deviation,
    random_signs,
    random_uniform,
    raw_words,
)

MASK = (1 << 64) - 1
U64 = st.integers(0, MASK)


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    """Philox4x64-10 of Salmon et al. 2011, Table 2, in Python integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = second >> 64 ^ c1 ^ k0, second & MASK, first >> 64 ^ c3 ^ k1, first & MASK
        k0, k1 = k0 + 0x9E3779B97F4A7C15 & MASK, k1 + 0xBB67AE8584CAA73B & MASK
    return [c0, c1, c2, c3]


KNOWN_ANSWERS = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    ),
    (
        (MASK, MASK, MASK, MASK),
        (MASK, MASK),
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
]
"""Random123's `kat_vectors`, philox4x64 with 10 rounds: counter, key, output."""


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_published_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert philox(counter, key) == list(expected)
    # NumPy increments the counter before it makes a block.
    whole = sum(word << (64 * index) for index, word in enumerate(counter))
    generator = np.random.Philox(counter=(whole - 1) % (1 << 256), key=np.array(key, dtype=np.uint64))
    assert generator.random_raw(4).tolist() == list(expected)


@given(U64, U64, st.integers(0, 40))
def test_raw_words_are_philox_blocks_from_counter_one(seed: int, stream: int, count: int) -> None:
    blocks = [word for block in range(1, 11) for word in philox((block, 0, 0, 0), (seed, stream))]
    words = raw_words(seed, stream, count)
    assert words.dtype == np.uint64
    assert words.tolist() == blocks[:count]


def test_first_signs_of_a_seed() -> None:
    signs = random_signs(7, 3, (4, 6))
    assert signs.dtype == np.float32
    assert signs.astype(int).tolist() == [
        [-1, 1, -1, -1, 1, 1],
        [1, 1, 1, -1, 1, -1],
        [-1, -1, 1, 1, -1, -1],
        [1, 1, -1, 1, -1, -1],
    ]


def test_first_uniform_weights_of_a_seed() -> None:
    weights = random_uniform(7, 3, (5,))
    assert weights.dtype == np.float32
    assert [float(weight).hex() for weight in weights] == [
        "-0x1.24ce200000000p-5",
        "0x1.cb07940000000p-2",
        "-0x1.cc8a360000000p-1",
        "-0x1.78927c0000000p-2",
        "0x1.722c4c0000000p-2",
    ]


@given(U64, U64, st.integers(0, 300))
def test_signs_are_the_bits_and_uniform_weights_the_top_bits(seed: int, stream: int, count: int) -> None:
    words = [int(word) for word in raw_words(seed, stream, count)]
    bits = [word >> bit & 1 for word in words[: -(-count // 64)] for bit in range(64)]
    assert random_signs(seed, stream, (count,)).tolist() == [2 * bit - 1 for bit in bits[:count]]
    expected = [(2 * (word >> 40) + 1 - 2**24) / 2**24 for word in words]
    assert random_uniform(seed, stream, (count,)).tolist() == expected


def test_a_shape_only_reshapes_and_a_longer_draw_starts_the_same() -> None:
    for draw in (random_signs, random_uniform):
        assert draw(1, 2, (3, 4, 5)).shape == (3, 4, 5)
        assert draw(1, 2, (3, 4, 5)).ravel().tolist() == draw(1, 2, (100,))[:60].tolist()


def test_moments_and_independence_of_streams() -> None:
    count = 1 << 16
    for draw, variance in ((random_signs, 1.0), (random_uniform, 1 / 3)):
        first, second, other_seed = draw(1, 0, (count,)), draw(1, 1, (count,)), draw(2, 0, (count,))
        assert abs(first.mean()) < 5 / count**0.5
        assert first.var() == pytest.approx(variance, rel=0.02)
        assert np.abs(first).max() <= 1
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / count**0.5
        assert abs(np.corrcoef(first, other_seed)[0, 1]) < 5 / count**0.5
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 5 / count**0.5


def test_kaiming_deviation() -> None:
    assert kaiming_deviation(50, 1.0) == 0.2
    assert kaiming_deviation(32, 0.25) == 0.5
    assert kaiming_deviation(27, 0.6) == math.sqrt(2 / (27 * 0.6))
