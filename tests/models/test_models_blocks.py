"""Layers shared by the families, compared with PyTorch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inrcodec.models.layers.blocks import (
    angular_frequencies,
    frames_at,
    initial_parameters,
    position_encoding,
    shuffle_pixels,
)
from inrcodec.models.layers.layout import hnerv_convolutions


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_pixel_shuffle_is_the_usual_one_on_permuted_channels(
    stride: int, memory_format: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(stride)
    features = torch.randn(2, 4 * stride**2, 3, 5, generator=generator).to(memory_format=memory_format)
    usual = features.reshape(2, stride, stride, 4, 3, 5).permute(0, 3, 1, 2, 4, 5).reshape(features.shape)
    expected = torch.nn.PixelShuffle(stride)(usual)
    assert torch.equal(shuffle_pixels(features, stride), expected)


def test_pixel_shuffle_places_each_channel() -> None:
    channels = torch.arange(8.0).reshape(1, 8, 1, 1)
    expected = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]], [[1.0, 3.0], [5.0, 7.0]]]])
    assert torch.equal(shuffle_pixels(channels, 2), expected)


def test_frames_at_picks_whole_positions_and_mixes_between_them() -> None:
    values = torch.randn(4, 2, 3, 5, generator=torch.Generator().manual_seed(3))
    whole = torch.tensor([3, 0, 2, 2])
    assert torch.equal(frames_at(values, whole), values[whole])
    assert torch.equal(frames_at(values, whole.double()), values[whole])
    largest = torch.tensor([3e38, -3e38])
    assert torch.equal(frames_at(largest, torch.tensor([0.0], dtype=torch.float64)), largest[:1])
    between = frames_at(values, torch.tensor([0.5, 2.75, 3.0], dtype=torch.float64))
    expected = torch.stack(
        [(values[0] + values[1]) / 2, 0.25 * values[2] + 0.75 * values[3], values[3]],
    )
    assert between.dtype == torch.float32
    torch.testing.assert_close(between, expected)


def test_position_encoding_takes_times_between_frames() -> None:
    """Half way between frames 1 and 2 of 4 is frame 3 of 8."""
    between = position_encoding(torch.tensor([1.5], dtype=torch.float64), 4, base=1.25, frequencies=80)
    assert torch.equal(between, position_encoding(torch.tensor([3]), 8, base=1.25, frequencies=80))


def test_position_encoding_is_the_papers() -> None:
    """NeRV, section 3.1: sin(b^0 pi t), ..., cos(b^(l-1) pi t)."""
    encoded = position_encoding(torch.tensor([0, 1]), frame_count=4, base=1.25, frequencies=80)
    assert encoded.shape == (2, 160, 1, 1)
    for index in (0, 1, 7, 20):
        phase = 1.25**index * math.pi * 0.25
        assert encoded[1, index, 0, 0].item() == pytest.approx(math.sin(phase), abs=1e-4)
        assert encoded[1, 80 + index, 0, 0].item() == pytest.approx(math.cos(phase), abs=1e-4)
    assert torch.equal(encoded[0].flatten(), torch.cat([torch.zeros(80), torch.ones(80)]))


def test_position_encoding_keeps_its_highest_frequencies() -> None:
    """At 1.25^79 the spacing of float32 exceeds a period, so phases are computed in float64."""
    indices = np.array([1, 7, 130])
    phases = np.array(angular_frequencies(1.25, 80)) * (indices[:, None] / 131)
    expected = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
    encoded = position_encoding(torch.from_numpy(indices), frame_count=131, base=1.25, frequencies=80)
    assert encoded.dtype == torch.float32
    assert np.abs(encoded.numpy()[:, :, 0, 0] - expected).max() < 1e-6


def test_frequencies_are_those_of_the_authors_code() -> None:
    """Powers and their products with pi are in float32; all powers but one are rounded correctly."""
    frequencies = angular_frequencies(1.25, 80)
    nearest = np.float64(1.25) ** np.arange(80)
    nearest[45] = 22958.873046875
    expected = nearest.astype(np.float32) * np.float32(math.pi)
    assert np.array_equal(np.array(frequencies), expected.astype(np.float64))
    assert abs(1.25**45 - 22958.873046875) < 2 * np.spacing(np.float32(22958.8))


def test_initial_parameters_are_pytorchs_and_depend_on_the_seed_alone() -> None:
    layers = hnerv_convolutions(16, 20, (4, 2))
    first, again, other = (
        initial_parameters(layers, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert set(first) == {f"{layer.name}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    for layer in layers:
        bound = (layer.input_channels * layer.kernel**2) ** -0.5
        weight = first[f"{layer.name}.weight"]
        assert weight.shape == layer.weight_shape
        assert 0.8 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert first[f"{layer.name}.bias"].abs().max() <= bound
