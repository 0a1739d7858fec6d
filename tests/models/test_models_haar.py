"""The Haar transform: bands and signs as in PyWavelets, orthogonality, exact inversion."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from inrcodec.models.layers.haar import haar, inverse_haar


def frames(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_bands_of_one_cell() -> None:
    low, high = haar(torch.tensor([[[[7.0, 1.0], [2.0, 0.0]]]]))
    assert low.flatten().tolist() == [5.0]
    assert high.flatten().tolist() == [3.0, 4.0, 2.0]


@pytest.mark.parametrize("size", [(6, 10), (2, 2), (7, 9), (1, 1), (5, 4)])
def test_bands_are_those_of_pywavelets(size: tuple[int, int]) -> None:
    source = frames(*size)
    # The mode "symmetric" also repeats the last row or column of an odd size.
    low, (between_rows, between_columns, diagonal) = pywt.dwt2(source.numpy(), "haar", mode="symmetric")
    ours, high = haar(source)
    assert np.allclose(ours.numpy(), low)
    expected = np.stack([between_rows, between_columns, diagonal], axis=2)
    assert high.shape == expected.shape
    assert np.allclose(high.numpy(), expected)


@pytest.mark.parametrize("size", [(6, 10), (2, 4)])
def test_the_inverse_gives_the_frames_back(size: tuple[int, int]) -> None:
    source = frames(*size)
    assert torch.allclose(inverse_haar(*haar(source)), source)


def test_an_odd_frame_comes_back_in_the_top_left_part() -> None:
    source = frames(5, 7)
    back = inverse_haar(*haar(source))
    assert back.shape == (2, 3, 6, 8)
    assert torch.allclose(back[..., :5, :7], source)


def test_the_transform_is_orthogonal() -> None:
    source = frames(8, 6)
    low, high = haar(source)
    energy = low.square().sum() + high.square().sum()
    assert energy.item() == pytest.approx(source.square().sum().item())


def test_gradients_pass_both_ways() -> None:
    source = frames(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: inverse_haar(*haar(value)), (source,))
