"""Supermask: masks of planned size over the seed's weights, and the paper's straight-through gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import random_source, random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bitstream import BitstreamError
from inrcodec.errors import UsageError
from inrcodec.models.family import BudgetTooSmall, Representation, Role, VideoInfo
from inrcodec.models.layers.layout import covering_grid
from inrcodec.models.source import SourceFrames
from inrcodec.models.supermask import masks as masking
from inrcodec.models.supermask.config import SupermaskConfig, random_layer
from inrcodec.models.supermask.supermask import Supermask

FAMILY = Supermask()
VIDEO = VideoInfo(37, 21, 3)
SEED = 11


def sample_config(**changes: Any) -> SupermaskConfig:
    hybrid = changes.get("decoder", "hnerv") == "hnerv"
    config = SupermaskConfig(
        decoder="hnerv",
        weights="signed",
        scales="learned",
        biases=True,
        grid=covering_grid(37, 21, (4, 2) if hybrid else (5, 2)),
        embedding_channels=3 if hybrid else 160,
        width=13,
        densities=(39322, 19661, 6554),
        seed=SEED,
    )
    return replace(config, **changes)


SETTINGS = [
    dict(zip(("decoder", "weights", "scales", "biases"), choices, strict=True))
    for choices in itertools.product(
        ("hnerv", "nerv"), ("signed", "uniform"), ("learned", "fixed", "offset"), (True, False)
    )
]
SETTINGS += [
    {"decoder": "hnerv", "scales": "offset", "trained": (0, 3)},
    {"decoder": "nerv", "scales": "learned", "trained": (1, 2, 3)},
    {"decoder": "nerv", "scales": "fixed", "biases": False, "trained": (2,)},
]
VARIANTS = pytest.mark.parametrize("changes", SETTINGS, ids=lambda c: "-".join(map(str, c.values())))
DECODERS = pytest.mark.parametrize("decoder", ["hnerv", "nerv"])


def source(video: VideoInfo = VIDEO) -> SourceFrames:
    return random_source(video)


def scales_of(config: SupermaskConfig, tensors: Mapping[str, Tensor], index: int) -> Tensor:
    """Alphas 0 to N of a random layer; alpha_0 is 0 without an offset."""
    if config.scales == "fixed":
        return torch.tensor([0.0] + [config.initial_scale] * len(config.densities))
    row = tensors["scales"][[one for one in range(6) if one not in config.trained].index(index)]
    return row if config.scales == "offset" else torch.cat([torch.zeros(1), row])


@pytest.fixture
def used_weights(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Records every set of weights with which a network runs."""
    used: list[dict[str, Tensor]] = []
    run = masking.upsample

    def spy(layers: Any, tensors: Mapping[str, Tensor], *others: Any) -> Tensor:
        used.append({name: value.detach() for name, value in tensors.items() if name.endswith(".weight")})
        return run(layers, tensors, *others)

    monkeypatch.setattr(masking, "upsample", spy)
    return used


@VARIANTS
def test_file_and_fit_use_the_same_weights_to_the_bit(
    changes: dict[str, Any], used_weights: list[dict[str, Tensor]]
) -> None:
    config = sample_config(**changes)
    tensors = random_tensors(FAMILY, config, VIDEO)
    representation = FAMILY.representation(config, VIDEO, seed=4)
    read = FAMILY.unpack(FAMILY.pack(config), VIDEO, SEED)
    assert read == config
    with torch.no_grad():
        rendered = representation.render(tensors, torch.arange(3))
        decoded = FAMILY.decoder(read, VIDEO, tensors)(torch.arange(3))
    fitted, rebuilt = used_weights
    assert len(rebuilt) == len(config.convolutions)
    trained = [f"{config.convolutions[index].name}.weight" for index in config.trained]
    assert all(torch.equal(rebuilt[name], tensors[name]) for name in trained)
    assert all(torch.equal(fitted[name], rebuilt[name]) for name in rebuilt)
    assert torch.equal(rendered, decoded)
    assert rendered.shape == (3, 3, 21, 37)


@VARIANTS
def test_weights_are_random_values_times_sums_of_scales(
    changes: dict[str, Any], used_weights: list[dict[str, Tensor]]
) -> None:
    config = sample_config(**changes)
    tensors = random_tensors(FAMILY, config, VIDEO)
    FAMILY.decoder(config, VIDEO, tensors)(torch.tensor([0]))
    for index, layer in enumerate(config.convolutions):
        if index in config.trained:
            continue
        sums = np.cumsum(scales_of(config, tensors, index).numpy(), dtype=np.float32)
        levels = tensors[f"{layer.name}.levels"].numpy().astype(int)
        expected = random_layer(config, index) * sums[levels]
        assert np.array_equal(used_weights[0][f"{layer.name}.weight"].numpy(), expected)
        if config.weights == "signed":
            deviation = np.float32(math.sqrt(2 / (layer.input_channels * layer.kernel**2 * 39322 / 65536)))
            assert np.isin(np.abs(expected), np.abs(deviation * sums)).all()


class PaperNeRV(nn.Module):
    """The NeRV decoder with a 1x1 stem: nn.Linear, nn.Conv2d, nn.PixelShuffle, nn.GELU."""

    def __init__(
        self, frequencies: int, width: int, rows: int, columns: int, strides: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.frequencies, self.grid = frequencies, (width, rows, columns)
        self.stem = nn.Linear(2 * frequencies, width * rows * columns)
        layers: list[nn.Module] = []
        for stride in strides:
            narrowed = max(round(width / 2), min(12, self.grid[0]))
            conv = nn.Conv2d(width, narrowed * stride**2, 3, padding=1)
            layers += [conv, nn.PixelShuffle(stride), nn.GELU()]
            width = narrowed
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, time: float) -> Tensor:
        phases = [1.25**index * math.pi * time for index in range(self.frequencies)]
        encoded = torch.tensor([*map(math.sin, phases), *map(math.cos, phases)])
        features = nn.functional.gelu(self.stem(encoded)).reshape(1, *self.grid)
        frame: Tensor = torch.tanh(self.layers(features)) * 0.5 + 0.5
        return frame[0]


def test_the_nerv_decoder_is_the_papers() -> None:
    config = sample_config(decoder="nerv", embedding_channels=16, width=30)
    tensors = random_tensors(FAMILY, config, VIDEO)
    paper = PaperNeRV(8, 30, config.grid.rows, config.grid.columns, (5, 2))
    modules = [paper.stem, *(module for module in paper.layers if isinstance(module, nn.Conv2d))]
    for index, (module, layer) in enumerate(zip(modules, config.convolutions, strict=True)):
        sums = torch.cat([torch.zeros(1), tensors["scales"][index].cumsum(0)])
        weight = torch.from_numpy(random_layer(config, index)) * sums[tensors[f"{layer.name}.levels"].long()]
        order = torch.arange(layer.bias_count).reshape(layer.stride**2, layer.output_channels).T.flatten()
        state = {
            "weight": weight[order].reshape(module.weight.shape),
            "bias": tensors[f"{layer.name}.bias"][order],
        }
        module.load_state_dict(state)
    with torch.no_grad():
        expected = torch.stack([paper(index / 3) for index in range(3)])
        frames = FAMILY.decoder(config, VIDEO, tensors)(torch.arange(3))
    assert expected.std() > 0.05
    torch.testing.assert_close(frames, expected[:, :, :21, :37], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("decoder", "deviation", "uniform"),
    [
        (
            "hnerv",
            "0x1.0dd8a80000000p+0",
            ["-0x1.8d14600000000p-5", "-0x1.aa77000000000p-3", "0x1.3481a00000000p-1"],
        ),
        (
            "nerv",
            "0x1.279a120000000p-3",
            ["-0x1.08b8400000000p-6", "-0x1.1c4f540000000p-4", "0x1.9b57800000000p-3"],
        ),
    ],
)
def test_random_layers_are_literals(decoder: str, deviation: str, uniform: list[str]) -> None:
    """The weights that a seed determines in files of format version 1."""
    config = sample_config(decoder=decoder)
    signed = random_layer(config, 0)
    assert signed.dtype == np.float32
    assert signed.shape == config.convolutions[0].weight_shape
    assert {float(value).hex() for value in np.abs(signed).ravel()} == {deviation}
    assert np.sign(signed.ravel()[:12]).astype(int).tolist() == [1, 1, 1, -1, 1, -1, -1, -1, 1, -1, 1, -1]
    values = random_layer(replace(config, weights="uniform"), 1)
    assert values.dtype == np.float32
    assert [float(value).hex() for value in values.ravel()[:3]] == uniform


def test_random_weights_have_the_variance_that_the_density_asks_for() -> None:
    for weights in ("signed", "uniform"):
        config = sample_config(weights=weights, width=40)
        layer = config.convolutions[2]
        variance = 2 / (layer.input_channels * layer.kernel**2 * 0.6)
        assert random_layer(config, 2).var() == pytest.approx(variance, rel=0.05)


@DECODERS
@pytest.mark.parametrize("densities", [(39322, 19661, 6554), (32768,), (60000, 60000, 1), (30, 20)])
def test_masks_hold_exactly_the_planned_numbers(decoder: str, densities: tuple[int, ...]) -> None:
    config = sample_config(decoder=decoder, densities=densities)
    tensors = transmitted(FAMILY.representation(config, VIDEO, seed=2))
    for layer in config.convolutions:
        levels = tensors[f"{layer.name}.levels"]
        assert levels.shape == layer.weight_shape
        held = [int((levels >= level).sum()) for level in range(1, len(densities) + 1)]
        assert held == list(config.kept(layer))
        assert held == sorted(held, reverse=True)
        assert held == [max(1, density * layer.weight_count // 65536) for density in densities]


def transmitted(representation: Representation) -> dict[str, Tensor]:
    return {
        name: value.detach()
        for name, value in representation.transmitted(source(), torch.arange(VIDEO.frame_count)).items()
    }


@VARIANTS
def test_straight_through_gradients_are_those_of_explicit_masks(changes: dict[str, Any]) -> None:
    """Choi et al., "Architecture": weight = r x sum of alpha_n x mask_n(score), d mask_n / d score = 1."""
    config = sample_config(**changes)
    representation = FAMILY.representation(config, VIDEO, seed=3)
    named = representation.module.tensors()
    if config.scales != "fixed":
        with torch.no_grad():
            named["scales"].copy_(random_tensors(FAMILY, config, VIDEO)["scales"])
    indices = torch.arange(VIDEO.frame_count)
    target = source()
    rendered = representation.render(representation.transmitted(target, indices), indices)
    nn.functional.mse_loss(rendered, target.current).backward()

    parameters = {name: value.detach().clone().requires_grad_() for name, value in named.items()}
    weights, plain = {}, {}
    for index, layer in enumerate(config.convolutions):
        if config.biases:
            plain[f"{layer.name}.bias"] = parameters[f"{layer.name}.bias"]
        if index in config.trained:
            plain[f"{layer.name}.weight"] = parameters[f"{layer.name}.weight"]
            continue
        scores = parameters[f"{layer.name}.scores"]
        first, *scales = scales_of(config, parameters, index)
        total = first.expand(layer.weight_shape)
        for alpha, kept in zip(scales, config.kept(layer), strict=True):
            mask = (scores.detach() >= scores.detach().flatten().topk(kept).values[-1]).float()
            total = total + alpha * (mask + scores - scores.detach())
        weights[f"{layer.name}.weight"] = torch.from_numpy(random_layer(config, index)) * total
    with torch.no_grad():
        embedding = (
            representation.module.embed(target)
            if config.decoder == "hnerv"
            else masking.position_encoding(indices, 3, 1.25, 80)
        )
    expected = masking.upsample(config.convolutions, weights | plain, embedding, config.grid, VIDEO)
    nn.functional.mse_loss(expected, target.current).backward()

    torch.testing.assert_close(rendered, expected, atol=1e-5, rtol=0)
    for name, value in named.items():
        assert value.grad is not None, name
        largest = parameters[name].grad.abs().max().item()
        assert largest > 0, name
        torch.testing.assert_close(value.grad, parameters[name].grad, atol=1e-4 * largest, rtol=1e-3)


def test_what_is_transmitted_and_what_is_trained() -> None:
    for changes in SETTINGS:
        config = sample_config(**changes)
        specs = FAMILY.tensors(config, VIDEO)
        roles = {spec.role for spec in specs}
        assert (Role.EMBEDDING in roles) == (config.decoder == "hnerv")
        assert (Role.BIAS in roles) == config.biases
        assert (Role.SCALE in roles) == (config.scales != "fixed")
        assert (Role.WEIGHT in roles) == bool(config.trained)
        representation = FAMILY.representation(config, VIDEO, seed=0)
        values = transmitted(representation)
        assert {spec.name: spec.shape for spec in specs} == {
            name: tuple(v.shape) for name, v in values.items()
        }
        grouped = [id(parameter) for group in representation.groups() for parameter in group.parameters]
        assert sorted(grouped) == sorted(id(parameter) for parameter in representation.module.parameters())


@pytest.mark.parametrize("video", [VideoInfo(1280, 640, 132), VideoInfo(96, 54, 10), VideoInfo(17, 13, 1)])
@DECODERS
@pytest.mark.parametrize("scales", ["learned", "fixed", "offset"])
@pytest.mark.parametrize("trained", ["none", "small"])
def test_a_plan_fits_fills_and_grows(video: VideoInfo, decoder: str, scales: str, trained: str) -> None:
    options = {"decoder": decoder, "scales": scales, "trained": trained}
    costs = []
    for bits in (2e5, 4e5, 8e5, 2e6, 4e6):
        config = FAMILY.plan(video, bits, options, SEED)
        assert FAMILY.unpack(FAMILY.pack(config), video, SEED) == config
        costs.append(FAMILY.cost_bits(config, video))
        assert 0.9 * bits <= costs[-1] <= bits
        assert (config.decoder, config.scales, config.seed) == (decoder, scales, SEED)
    assert costs == sorted(set(costs))


@given(
    st.builds(VideoInfo, st.integers(1, 2048), st.integers(1, 1200), st.integers(1, 300)),
    st.floats(100, 1e7),
    st.sampled_from(["hnerv", "nerv"]),
    st.sampled_from([None, "0.5", "0.9", "0.3,0.079,0.0315", "0.99,0.98"]),
)
@settings(deadline=None, max_examples=60)
def test_a_plan_never_exceeds_its_budget(
    video: VideoInfo, budget_bits: float, decoder: str, densities: str | None
) -> None:
    options = {"decoder": decoder} | ({} if densities is None else {"densities": densities})
    try:
        config = FAMILY.plan(video, budget_bits, options, 0)
    except BudgetTooSmall as error:
        assert error.minimum_bits > budget_bits
        return
    assert FAMILY.cost_bits(config, video) <= budget_bits


def test_ideal_bits_are_the_entropy_of_the_levels() -> None:
    assert sample_config(densities=(32768,)).level_bits == pytest.approx(1.0)
    # The literature reports 1.21 bits per weight for this setting.
    published = FAMILY.plan(VIDEO, 1e5, {"densities": "0.30,0.079,0.0315", "width": "20"}, 0)
    assert published.level_bits == pytest.approx(1.21, abs=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"decoder": "snerv"},
        {"weights": "normal"},
        {"scales": "none"},
        {"trained": "all"},
        {"biases": "maybe"},
        {"width": "-1"},
        {"densities": ""},
        {"densities": "0.3,0.6"},
        {"densities": "1.0"},
        {"densities": "0"},
        {"densities": "nan"},
        {"densities": ",".join(["0.5"] * 9)},
        {"depth": "3"},
    ],
)
def test_options_that_do_not_exist(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        FAMILY.plan(VIDEO, 1e5, options, 0)


@given(st.binary(max_size=24) | st.lists(st.integers(0, 6), min_size=6, max_size=16).map(bytes))
def test_arbitrary_bytes_are_a_config_or_an_error(raw: bytes) -> None:
    try:
        config = FAMILY.unpack(raw, VIDEO, SEED)
    except BitstreamError:
        return
    assert FAMILY.pack(config) == raw
    assert config.grid == covering_grid(37, 21, config.grid.strides)
    assert all(spec.count > 0 for spec in FAMILY.tensors(config, VIDEO))


def test_every_flip_of_a_config_is_a_network_that_renders_or_an_error() -> None:
    for decoder in ("hnerv", "nerv"):
        raw = FAMILY.pack(sample_config(decoder=decoder))
        rendered = 0
        for position, bit in itertools.product(range(len(raw)), range(8)):
            damaged = raw[:position] + bytes([raw[position] ^ 1 << bit]) + raw[position + 1 :]
            try:
                config = FAMILY.unpack(damaged, VIDEO, SEED)
            except BitstreamError:
                continue
            if sum(spec.count for spec in FAMILY.tensors(config, VIDEO)) < 300_000:
                frames = FAMILY.decoder(config, VIDEO, random_tensors(FAMILY, config, VIDEO))(
                    torch.tensor([2])
                )
                assert torch.isfinite(frames).all()
                rendered += 1
        assert rendered


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": 1025},
        {"embedding_channels": 0},
        {"decoder": "nerv", "embedding_channels": 161},
        {"decoder": "nerv", "embedding_channels": 1024},
        {"densities": ()},
        {"densities": (0,)},
        {"densities": (1, 2)},
        {"densities": (9,) * 9},
        {"trained": (0, 1, 2, 3)},
        {"trained": (4,)},
    ],
)
def test_configs_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BitstreamError):
        FAMILY.unpack(FAMILY.pack(sample_config(**changes)), VIDEO, SEED)


def test_every_truncation_and_excess_of_a_config_is_refused() -> None:
    raw = FAMILY.pack(sample_config())
    trained = FAMILY.pack(sample_config(trained=(0, 3)))
    assert trained == raw + b"\x09"
    for damaged in [*(raw[:length] for length in range(len(raw))), raw + b"\0", trained + b"\0"]:
        with pytest.raises(BitstreamError):
            FAMILY.unpack(damaged, VIDEO, SEED)


def test_small_layers_are_trained_and_no_others() -> None:
    for decoder, expected in (
        ("hnerv", {"stem", "stage1", "head"}),
        ("nerv", {"stage1", "stage2", "stage3", "head"}),
    ):
        config = FAMILY.plan(VideoInfo(176, 144, 120), 3e5, {"decoder": decoder}, SEED)
        names = {config.convolutions[index].name for index in config.trained}
        assert names == expected
        counts = {layer.name: layer.weight_count for layer in config.convolutions}
        assert all((counts[name] <= 0.125 * sum(counts.values())) == (name in names) for name in counts)
    assert FAMILY.plan(VIDEO, 1e5, {"trained": "none"}, SEED).trained == ()


@DECODERS
def test_with_an_offset_weights_begin_around_zero_with_the_variance_of_he(
    decoder: str, used_weights: list[dict[str, Tensor]]
) -> None:
    config = FAMILY.plan(VIDEO, 4e5, {"decoder": decoder, "width": "40", "trained": "none"}, SEED)
    assert (config.scales, config.densities) == ("offset", (55706, 9830))
    representation = FAMILY.representation(config, VIDEO, seed=2)
    with torch.no_grad():
        values = representation.transmitted(source(), torch.arange(3))
        representation.render(values, torch.arange(3))
    for layer in config.convolutions[1:3]:
        weight = used_weights[0][f"{layer.name}.weight"]
        deviation = math.sqrt(2 / (layer.input_channels * layer.kernel**2))
        assert float(weight.std()) == pytest.approx(deviation, rel=0.05)
        shares = [float((sign == weight.sign()).float().mean()) for sign in (-1, 0, 1)]
        assert shares == pytest.approx([0.15, 0.7, 0.15], abs=0.02)
