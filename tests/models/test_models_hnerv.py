"""HNeRV: the paper's sizes, the paper's network, and robust configs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from codec_samples import random_tensors
from torch import Tensor, nn

from bitstream import BitstreamError
from bitstream.fields import Writer
from inrcodec.errors import UsageError
from inrcodec.models.family import VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.layers.layout import Convolution, Grid, choose_grid, covering_grid

FAMILY = HNeRV()
BUNNY = VideoInfo(1280, 640, 132)
SMALL = HNeRVConfig(covering_grid(37, 21, (5, 2, 2)), 3, 14)
SMALL_VIDEO = VideoInfo(37, 21, 4)


def count(config: HNeRVConfig, video: VideoInfo) -> int:
    return sum(spec.count for spec in FAMILY.tensors(config, video))


class PaperDecoder(nn.Module):
    """The HNeRV decoder as its authors wrote it: nn.Conv2d, nn.PixelShuffle, nn.GELU."""

    def __init__(self, embedding_channels: int, width: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(embedding_channels, width, 1), nn.GELU()]
        for index, stride in enumerate(strides):
            narrowed, kernel = max(round(width / 1.2), 12), min(1 + 2 * index, 5)
            conv = nn.Conv2d(width, narrowed * stride**2, kernel, padding=kernel // 2)
            layers += [conv, nn.PixelShuffle(stride), nn.GELU()]
            width = narrowed
        layers.append(nn.Conv2d(width, 3, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def load(self, convolutions: tuple[Convolution, ...], tensors: dict[str, Tensor]) -> None:
        """Load the weights, reordering channels (row, column, C) to nn.PixelShuffle's (C, row, column)."""
        modules = [module for module in self.layers if isinstance(module, nn.Conv2d)]
        for module, layer in zip(modules, convolutions, strict=True):
            order = torch.arange(layer.bias_count).reshape(layer.stride**2, layer.output_channels).T.flatten()
            module.load_state_dict(
                {
                    "weight": tensors[f"{layer.name}.weight"][order],
                    "bias": tensors[f"{layer.name}.bias"][order],
                }
            )

    def forward(self, embedding: Tensor) -> Tensor:
        frames: Tensor = torch.tanh(self.layers(embedding)) * 0.5 + 0.5
        return frames


@pytest.mark.parametrize(
    ("width", "millions", "exact"),
    [(32, 0.35, 329726), (48, 0.75, 736152), (68, 1.5, 1505172), (97, 3.0, 3029582)],
)
def test_parameter_counts_of_the_paper(width: int, millions: float, exact: int) -> None:
    """HNeRV, section 4.1, at 640x1280 and 132 frames, embeddings included."""
    config = HNeRVConfig(choose_grid(BUNNY), 16, width)
    assert count(config, BUNNY) == exact
    assert exact == pytest.approx(1e6 * millions, rel=0.07)
    assert exact - 132 * 128 == sum(p.numel() for p in PaperDecoder(16, width, (5, 4, 4, 2, 2)).parameters())


def test_paper_budget_plans_the_papers_embedding() -> None:
    config = FAMILY.plan(BUNNY, 0.06 * BUNNY.pixel_count, {}, seed=0)
    assert (config.grid, config.embedding_channels) == (Grid(2, 4, (5, 4, 4, 2, 2)), 16)


def test_decoder_is_the_papers() -> None:
    tensors = random_tensors(FAMILY, SMALL, SMALL_VIDEO)
    paper = PaperDecoder(3, 14, (5, 2, 2))
    paper.load(SMALL.convolutions, tensors)
    with torch.no_grad():
        expected = paper(tensors["embedding"])
        frames = FAMILY.decoder(SMALL, SMALL_VIDEO, tensors)(torch.arange(4))
    assert expected.shape == (4, 3, 40, 40)
    assert expected.std() > 0.02
    torch.testing.assert_close(frames, expected[:, :, :21, :37], atol=1e-5, rtol=0)


def test_transmitted_wants_frames() -> None:
    with pytest.raises(ValueError, match="embeddings from frames"):
        FAMILY.representation(SMALL, SMALL_VIDEO, 0).transmitted(None, torch.arange(1))


def test_options() -> None:
    assert FAMILY.plan(BUNNY, 4e6, {"width": "68"}, 0).width == 68
    for options in ({"width": "0"}, {"width": "x"}, {"width": "1025"}, {"depth": "3"}):
        with pytest.raises(UsageError):
            FAMILY.plan(BUNNY, 4e6, options, 0)


@pytest.mark.parametrize("change", [{"width": 0}, {"width": 1025}, {"embedding_channels": 0}])
def test_configs_out_of_range_are_refused(change: dict[str, Any]) -> None:
    fields = {"grid": SMALL.grid, "embedding_channels": 3, "width": 14} | change
    with pytest.raises(BitstreamError):
        FAMILY.unpack(FAMILY.pack(HNeRVConfig(**fields)), SMALL_VIDEO, 0)


VARIANT = HNeRVConfig(SMALL.grid, 3, 14, kernels=(3, 7), reduction=200)


def test_kernels_and_reduction_of_the_ablations() -> None:
    """HNeRV, section 4.4: K_min, K_max and r are settings."""
    layers = VARIANT.convolutions
    assert [layer.kernel for layer in layers] == [1, 3, 5, 7, 3]
    assert [layer.output_channels for layer in layers] == [14, 12, 12, 12, 3]
    assert FAMILY.unpack(FAMILY.pack(VARIANT), SMALL_VIDEO, 0) == VARIANT
    planned = FAMILY.plan(BUNNY, 4e6, {"kernels": "3-3", "reduction": "2", "channels": "8"}, 0)
    assert (planned.kernels, planned.reduction, planned.embedding_channels) == ((3, 3), 200, 8)
    for options in ({"kernels": "5-1"}, {"kernels": "2-3"}, {"reduction": "0.9"}, {"reduction": "nan"}):
        with pytest.raises(UsageError):
            FAMILY.plan(BUNNY, 4e6, options, 0)


@pytest.mark.parametrize("fields", [(1, 5, 120), (5, 3, 120), (2, 5, 120), (1, 3, 99), (1, 3, 401)])
def test_a_variant_out_of_range_or_not_in_its_short_form_is_refused(fields: tuple[int, int, int]) -> None:
    writer = Writer()
    writer.raw(FAMILY.pack(SMALL))
    for value in fields:
        writer.varint(value)
    with pytest.raises(BitstreamError):
        FAMILY.unpack(writer.getvalue(), SMALL_VIDEO, 0)
