"""Sizes of groups of blocks: orthogonal transforms, and the coding of sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bitstream.coders.conditional import ConditionalDecoder, ConditionalEncoder
from bitstream.coders.conditional_bits import ConditionalBits
from inrcodec.models.inrc.block_sizes import MERGED, SIZES, SPLIT, in_blocks, in_blocks_fixed, resized
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS
from inrcodec.models.inrc.lapped import analyse
from inrcodec.models.inrc.planes import Planes
from inrcodec.models.inrc.size_codes import best_classes, code_sizes

KEEPS = pytest.mark.parametrize("keeps_dc", [False, True])
OTHER = pytest.mark.parametrize("size", [MERGED, SPLIT])


def random_latents() -> Tensor:
    return torch.randn(2, 96, 4, 6, generator=torch.Generator().manual_seed(0))


@KEEPS
@OTHER
def test_every_size_is_orthogonal_and_comes_back(size: int, keeps_dc: bool) -> None:
    latents = random_latents()
    other = resized(latents, size, keeps_dc)
    torch.testing.assert_close(other.square().sum((1, 2, 3)), latents.square().sum((1, 2, 3)))
    assert (other - latents).abs().max() > 0.5
    assert keeps_dc == torch.equal(other[:, FIRST_CHANNELS], latents[:, FIRST_CHANNELS])
    sizes = torch.full((2, 2, 3), size, dtype=torch.uint8)
    torch.testing.assert_close(in_blocks(other, sizes, keeps_dc), latents, atol=1e-5, rtol=0)


@KEEPS
def test_a_mixture_is_the_same_by_fixed_operations(keeps_dc: bool) -> None:
    random = torch.Generator().manual_seed(1)
    sizes = torch.randint(0, SIZES, (2, 2, 3), generator=random).to(torch.uint8)
    symbols = torch.randint(-9, 10, (2, 96, 4, 6), generator=random).to(torch.int16)
    symbols = symbols.contiguous(memory_format=torch.channels_last)
    found = in_blocks(symbols, sizes, keeps_dc)
    torch.testing.assert_close(found, in_blocks_fixed(symbols.float(), sizes, keeps_dc), atol=1e-4, rtol=0)
    assert found.stride() == symbols.stride()
    assert in_blocks(symbols, torch.zeros_like(sizes), keeps_dc) is symbols


@OTHER
def test_waves_suit_large_blocks_and_dots_small_ones(size: int) -> None:
    place = torch.arange(64, dtype=torch.float32)
    wave, dot = torch.cos(2 * torch.pi * (place + 0.5) / 6.4), (place == 35).float()
    luma = (wave[:, None] * wave if size == MERGED else dot[:, None] * dot)[None, None]
    coefficients = analyse(Planes(luma, torch.zeros(1, 2, 32, 32)), False)

    def spread(values: Tensor) -> float:
        return float(values.abs().sum())

    assert spread(resized(coefficients, size, False)) < 0.9 * spread(coefficients)


def test_sizes_come_back_and_take_the_fewest_bits() -> None:
    random = np.random.default_rng(0)
    levels = np.array([0, 1, 2, 3, 2])
    latents = random.integers(-1, 2, (5, 96, 8, 8)).astype(np.int16)
    latents[:, :, 2:6] = 0
    sizes = random.choice(3, (5, 4, 4), p=[0.7, 0.2, 0.1]).astype(np.uint8)
    sizes[:, 1:3] = 0
    knots = context_prior(3, 1)["context.latent.knots"]
    classes = best_classes(knots, levels, latents, sizes)
    encoder = ConditionalEncoder(knots, 1)
    code_sizes(encoder, classes, levels, latents, sizes)
    decoder = ConditionalDecoder(knots, 1, encoder.getvalue())
    assert np.array_equal(code_sizes(decoder, classes, levels, latents, None), sizes)
    decoder.expect_end()

    def bits(of_classes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
        counter = ConditionalBits(knots, 1)
        code_sizes(counter, of_classes, levels, latents, sizes)
        return counter.flag_bits

    assert all(bits(classes) <= bits(np.full_like(classes, other)) + 1e-9 for other in range(77))
