"""HNeRV: the paper's sizes, the paper's network, and configs that survive anything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from codec_samples import random_source, random_tensors
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bitstream import BitstreamError
from inrcodec.errors import UsageError
from inrcodec.models.family import BudgetTooSmall, Role, VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.layout import Convolution, Grid, choose_grid, covering_grid

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
        """Fill in the weights, from channels (row, column, C) to nn.PixelShuffle's (C, row, column)."""
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


@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 13), (40, 24), (33, 64)])
def test_frames_have_the_display_size(width: int, height: int) -> None:
    video = VideoInfo(width, height, 2)
    config = HNeRVConfig(choose_grid(video), 2, 3)
    assert FAMILY.coded_size(config, video) == (config.grid.coded_width, config.grid.coded_height)
    frames = FAMILY.decoder(config, video, random_tensors(FAMILY, config, video))(torch.tensor([1]))
    assert frames.shape == (1, 3, height, width)
    assert frames.dtype == torch.float32
    assert 0 <= frames.min() <= frames.max() <= 1


def test_a_frame_does_not_depend_on_its_batch() -> None:
    decoder = FAMILY.decoder(SMALL, SMALL_VIDEO, random_tensors(FAMILY, SMALL, SMALL_VIDEO))
    together = decoder(torch.arange(4))
    for index in (3, 0):
        torch.testing.assert_close(decoder(torch.tensor([index]))[0], together[index], atol=1e-6, rtol=0)


def test_representation_and_decoder_render_the_same_frames() -> None:
    representation = FAMILY.representation(SMALL, SMALL_VIDEO, seed=5)
    source = random_source(SMALL_VIDEO)
    with torch.no_grad():
        tensors = representation.transmitted(source, torch.arange(4))
        rendered = representation.render(tensors, torch.arange(4))
        decoded = FAMILY.decoder(SMALL, SMALL_VIDEO, tensors)(torch.arange(4))
    specs = FAMILY.tensors(SMALL, SMALL_VIDEO)
    assert {spec.name: spec.shape for spec in specs} == {name: tuple(v.shape) for name, v in tensors.items()}
    assert torch.equal(rendered, decoded)


def test_the_encoder_is_trained_but_not_transmitted() -> None:
    representation = FAMILY.representation(SMALL, SMALL_VIDEO, seed=5)
    indices = torch.arange(2)
    tensors = representation.transmitted(random_source(SMALL_VIDEO, 2), indices)
    representation.render(tensors, indices).mean().backward()
    grouped = [parameter for group in representation.groups() for parameter in group.parameters]
    assert {id(one) for one in grouped} == {id(one) for one in representation.module.parameters()}
    assert all(parameter.grad is not None for parameter in grouped)
    assert len(grouped) > len(FAMILY.tensors(SMALL, SMALL_VIDEO))


def test_a_representation_is_its_seeds() -> None:
    states = [FAMILY.representation(SMALL, SMALL_VIDEO, seed).module.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["named.stem_weight"], states[2]["named.stem_weight"])


def test_transmitted_wants_frames() -> None:
    with pytest.raises(ValueError, match="embeddings from frames"):
        FAMILY.representation(SMALL, SMALL_VIDEO, 0).transmitted(None, torch.arange(1))


@given(
    st.builds(VideoInfo, st.integers(1, 4096), st.integers(1, 2160), st.integers(1, 600)),
    st.floats(2e4, 1e9),
)
def test_a_plan_fits_its_budget_and_survives_packing(video: VideoInfo, budget_bits: float) -> None:
    try:
        config = FAMILY.plan(video, budget_bits, {}, seed=0)
    except BudgetTooSmall as error:
        assert error.minimum_bits > budget_bits
        return
    # No trained tensor codes below two bits a symbol by plan, whatever the plan assumes exactly.
    assert 2 * count(config, video) < budget_bits
    assert FAMILY.unpack(FAMILY.pack(config), video, 0) == config


@pytest.mark.parametrize("video", [BUNNY, VideoInfo(320, 180, 60), VideoInfo(17, 13, 1)])
def test_a_larger_budget_buys_a_larger_network(video: VideoInfo) -> None:
    counts = [count(FAMILY.plan(video, bits, {}, 0), video) for bits in (2e5, 4e5, 8e5, 2e6, 4e6)]
    assert counts == sorted(set(counts))


def test_a_budget_below_every_network_is_too_small() -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        FAMILY.plan(BUNNY, 100.0, {}, 0)
    assert 100 < caught.value.minimum_bits < 1e5


def test_options() -> None:
    assert FAMILY.plan(BUNNY, 4e6, {"width": "68"}, 0).width == 68
    for options in ({"width": "0"}, {"width": "x"}, {"width": "1025"}, {"depth": "3"}):
        with pytest.raises(UsageError):
            FAMILY.plan(BUNNY, 4e6, options, 0)


@given(st.binary(max_size=24) | st.lists(st.integers(0, 6), max_size=12).map(bytes))
def test_arbitrary_bytes_are_a_config_or_an_error(raw: bytes) -> None:
    try:
        config = FAMILY.unpack(raw, SMALL_VIDEO, 0)
    except BitstreamError:
        return
    assert FAMILY.pack(config) == raw
    assert config.grid == covering_grid(37, 21, config.grid.strides)
    assert all(spec.count > 0 for spec in FAMILY.tensors(config, SMALL_VIDEO))


@pytest.mark.parametrize("change", [{"width": 0}, {"width": 1025}, {"embedding_channels": 0}])
def test_configs_out_of_range_are_refused(change: dict[str, Any]) -> None:
    fields = {"grid": SMALL.grid, "embedding_channels": 3, "width": 14} | change
    with pytest.raises(BitstreamError):
        FAMILY.unpack(FAMILY.pack(HNeRVConfig(**fields)), SMALL_VIDEO, 0)


def test_every_truncation_and_excess_of_a_config_is_refused() -> None:
    raw = FAMILY.pack(SMALL)
    for damaged in [*(raw[:length] for length in range(len(raw))), raw + b"\0"]:
        with pytest.raises(BitstreamError):
            FAMILY.unpack(damaged, SMALL_VIDEO, 0)


def test_roles_and_frames_of_the_tensors() -> None:
    first, *others = FAMILY.tensors(SMALL, SMALL_VIDEO)
    assert (first.role, first.per_frame, first.shape[0]) == (Role.EMBEDDING, True, 4)
    assert {spec.role for spec in others} == {Role.WEIGHT, Role.BIAS}
    assert not any(spec.per_frame for spec in others)
