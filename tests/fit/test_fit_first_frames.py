"""Predicted DC: the choice of residuals, and the latents that come back from them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inrcodec.fit.grids.first_frames import choose_first, round_first
from inrcodec.fit.grids.latent_entropy import LatentEntropy, flags_of
from inrcodec.models.inrc.dc_prediction import DC, restored, skewed, unskewed
from inrcodec.models.inrc.hierarchy import hierarchy
from inrcodec.models.inrc.latent_contexts import part_channels

SIZES = [(1, 1), (1, 4), (3, 1), (2, 5), (6, 4)]
SIZE = pytest.mark.parametrize(("rows", "columns"), SIZES)


def smooth_coefficients(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Coefficients (2, 96, rows, columns) in steps, with a large DC that changes slowly, and the steps."""
    random = torch.Generator().manual_seed(0)
    wanted = torch.randn(2, 96, rows, columns, generator=random)
    ramp = 40 + 3 * torch.arange(rows)[:, None] - 2 * torch.arange(columns)
    for channels in DC:
        wanted[:, channels] += ramp
    return wanted, 0.5 + torch.rand(2, 1, rows, columns, generator=random)


@SIZE
def test_antidiagonals_come_back(rows: int, columns: int) -> None:
    blocks = torch.randn(2, 3, rows, columns)
    diagonals = skewed(blocks)
    assert diagonals.shape == (2, 3, rows + columns - 1, rows)
    for row in range(rows):
        for column in range(columns):
            assert torch.equal(diagonals[..., row + column, row], blocks[..., row, column])
    assert torch.equal(unskewed(diagonals), blocks)


@SIZE
def test_residuals_give_the_wanted_coefficients(rows: int, columns: int) -> None:
    wanted, steps = smooth_coefficients(rows, columns)
    latents = round_first(wanted, steps, 0.5).to(torch.int16)
    assert (restored(latents, steps) - wanted).abs().max() < 0.5 + 1e-3


def test_residuals_are_smaller_than_the_dc() -> None:
    wanted, steps = smooth_coefficients(6, 4)
    latents = round_first(wanted, torch.ones_like(steps), 0.5)
    for channels in DC:
        inner = latents[:, channels, 1:, 1:].abs().mean()
        assert inner < 0.1 * wanted[:, channels].abs().mean()


@SIZE
def test_rate_and_distortion_are_weighed(rows: int, columns: int) -> None:
    wanted, steps = smooth_coefficients(rows, columns)
    entropy = LatentEntropy(hierarchy(1, 16), 1)
    before, levels = torch.zeros_like(wanted), torch.zeros(2, dtype=torch.int64)
    reference = torch.zeros_like(wanted)
    errors, sizes = [], []
    with torch.no_grad():
        for price in (0.0, 0.06, 3.0):
            chosen = choose_first(entropy, wanted, steps, before, reference, levels, price)
            assert torch.equal(chosen, chosen.round())
            errors.append(float((restored(chosen, steps) - wanted).abs().max()))
            sizes.append(int(chosen.ne(0).sum()))
    assert errors[0] < 0.5 + 1e-3
    assert errors[0] < errors[1] < errors[2] and sizes[0] > sizes[1] > sizes[2]


def test_a_block_whose_flag_costs_too_much_is_its_prediction() -> None:
    wanted, steps = torch.zeros(1, 96, 3, 3), torch.ones(1, 1, 3, 3)
    wanted[:, 0] = 8
    wanted[:, 0, 1, 1] = 8.6
    entropy = LatentEntropy(hierarchy(1, 16), 1)
    arguments = torch.zeros_like(wanted), torch.zeros_like(wanted), torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        chosen = choose_first(entropy, wanted, steps, *arguments, 0.3)
    assert flags_of(chosen, 0).sum() == 1 and not chosen[:, part_channels(1)].any()
    assert torch.equal(restored(chosen, steps)[0, 0], torch.full((3, 3), 8.0))
