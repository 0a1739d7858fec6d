"""Requirements of every model family: plans within budgets, robust configs, consistent frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from codec_samples import TRAINED, random_source, random_tensors
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BitstreamError
from inrcodec.errors import UsageError
from inrcodec.models.family import TRAINED_FOR_RATE, AnyFamily, BudgetTooSmall, Role, VideoInfo
from inrcodec.models.registry import FAMILIES, family_by_name

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
EVERY_TRAINED = pytest.mark.parametrize("family", TRAINED, ids=lambda family: family.name)
VIDEO = VideoInfo(37, 21, 4)
BUNNY = VideoInfo(1280, 640, 132)
SEED = 9


def small(family: AnyFamily, video: VideoInfo = VIDEO) -> Any:
    """The config of a small network of the family."""
    return family.plan(video, 2e5, {"width": "5"}, SEED)


@EVERY
@given(
    video=st.builds(VideoInfo, st.integers(1, 4096), st.integers(1, 2160), st.integers(1, 600)),
    budget_bits=st.floats(1e5, 1e9),
)
def test_a_plan_fits_its_budget_and_survives_packing(
    family: AnyFamily, video: VideoInfo, budget_bits: float
) -> None:
    try:
        config = family.plan(video, budget_bits, {}, SEED)
    except BudgetTooSmall as error:
        assert error.minimum_bits > budget_bits
        return
    except UsageError:
        assert family.name == "inrc"
        assert video.frame_count > family.most_frames(video.width, video.height)
        return
    # Every plan of a network assumes at least one bit per symbol.
    symbols = sum(spec.count for spec in family.tensors(config, video))
    assert family not in TRAINED or symbols < budget_bits
    assert family.unpack(family.pack(config), video, SEED) == config
    width, height = family.coded_size(config, video)
    assert width >= video.width
    assert height >= video.height


@EVERY_TRAINED
@pytest.mark.parametrize("video", [BUNNY, VideoInfo(320, 180, 60)])
def test_a_larger_budget_buys_a_larger_network(family: AnyFamily, video: VideoInfo) -> None:
    counts = []
    for bits in (4e5, 1e6, 4e6, 16e6):
        config = family.plan(video, bits, {}, SEED)
        counts.append(sum(spec.count for spec in family.tensors(config, video)))
    assert counts == sorted(set(counts))
    assert counts[-1] > 10 * counts[0]


@pytest.mark.parametrize("blocks", ["0", "1", "16"])
@pytest.mark.parametrize("name", ["snerv", "snerv-t"])
def test_the_blocks_asked_for_are_paid_for(name: str, blocks: str) -> None:
    family, budget_bits = family_by_name(name), 4e6
    config = family.plan(BUNNY, budget_bits, {"blocks": blocks}, SEED)
    assert config.blocks == int(blocks)
    wider = replace(config, width=config.width + 1)
    cost, more = (TRAINED_FOR_RATE.total(family.tensors(one, BUNNY)) for one in (config, wider))
    assert cost <= budget_bits < more
    with pytest.raises(BudgetTooSmall):
        family.plan(BUNNY, 100.0, {"blocks": blocks}, SEED)


@EVERY
def test_a_budget_below_every_network_is_too_small(family: AnyFamily) -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        family.plan(BUNNY, 100.0, {}, SEED)
    assert 100 < caught.value.minimum_bits < 4e5


@EVERY
def test_an_option_that_is_none_is_refused(family: AnyFamily) -> None:
    for options in ({"width": "-1"}, {"width": "x"}, {"width": "9999"}, {"depth": "3"}):
        with pytest.raises(UsageError):
            family.plan(BUNNY, 4e6, options, SEED)


@EVERY_TRAINED
def test_a_network_has_channels(family: AnyFamily) -> None:
    with pytest.raises(UsageError):
        family.plan(BUNNY, 4e6, {"width": "0"}, SEED)


@EVERY
@given(raw=st.binary(max_size=24) | st.lists(st.integers(0, 6), max_size=16).map(bytes))
def test_arbitrary_bytes_are_a_config_or_an_error(family: AnyFamily, raw: bytes) -> None:
    try:
        config = family.unpack(raw, VIDEO, SEED)
    except BitstreamError:
        return
    assert family.pack(config) == raw
    assert all(spec.count > 0 for spec in family.tensors(config, VIDEO))
    assert family.activation_count(config, VIDEO) > 0


@EVERY
def test_every_truncation_and_excess_of_a_config_is_refused(family: AnyFamily) -> None:
    config = small(family)
    raw = family.pack(config)
    # Without its last byte a config of inrc is one of version 0, and one of supermask has random layers only.
    is_longer = bool(getattr(config, "version", 0) or getattr(config, "trained", ()))
    for damaged in [*(raw[:length] for length in range(len(raw) - is_longer)), raw + b"\0"]:
        with pytest.raises(BitstreamError):
            family.unpack(damaged, VIDEO, SEED)


@EVERY
@pytest.mark.parametrize("change", range(256))
def test_a_changed_byte_of_a_config_is_a_config_or_an_error(family: AnyFamily, change: int) -> None:
    raw = family.pack(small(family))
    for position in range(len(raw)):
        damaged = raw[:position] + bytes([change]) + raw[position + 1 :]
        try:
            config = family.unpack(damaged, VIDEO, SEED)
        except BitstreamError:
            continue
        assert family.pack(config) == damaged


@EVERY
@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 13), (40, 24), (33, 64), (256, 16)])
def test_frames_have_the_display_size(family: AnyFamily, width: int, height: int) -> None:
    video = VideoInfo(width, height, 2)
    config = small(family, video)
    frames = family.decoder(config, video, random_tensors(family, config, video))(torch.tensor([1]))
    assert frames.shape == (1, 3, height, width)
    assert torch.isfinite(frames).all()


@EVERY
def test_a_frame_does_not_depend_on_its_batch(family: AnyFamily) -> None:
    config = small(family)
    decoder = family.decoder(config, VIDEO, random_tensors(family, config, VIDEO))
    together = decoder(torch.arange(4))
    for index in (3, 0):
        torch.testing.assert_close(decoder(torch.tensor([index]))[0], together[index], atol=1e-5, rtol=0)


@EVERY_TRAINED
def test_representation_and_decoder_render_the_same_frames(family: AnyFamily) -> None:
    config = small(family)
    representation = family.representation(config, VIDEO, seed=5)
    with torch.no_grad():
        tensors = representation.transmitted(random_source(VIDEO), torch.arange(4))
        rendered = representation.render(tensors, torch.arange(4))
        decoded = family.decoder(config, VIDEO, tensors)(torch.arange(4))
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    assert {spec.name: spec.shape for spec in family.tensors(config, VIDEO)} == shapes
    torch.testing.assert_close(rendered, decoded, atol=1e-6, rtol=0)


@EVERY_TRAINED
def test_all_that_is_trained_has_a_gradient_and_a_learning_rate(family: AnyFamily) -> None:
    representation = family.representation(small(family), VIDEO, seed=5)
    indices = torch.arange(2)
    tensors = representation.transmitted(random_source(VIDEO, 2), indices)
    representation.render(tensors, indices).square().mean().backward()
    grouped = [parameter for group in representation.groups() for parameter in group.parameters]
    assert {id(one) for one in grouped} == {id(one) for one in representation.module.parameters()}
    assert all(parameter.grad is not None for parameter in grouped)


@EVERY_TRAINED
def test_a_representation_is_its_seeds(family: AnyFamily) -> None:
    config = small(family)
    first, again, other = (
        family.representation(config, VIDEO, seed).module.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@EVERY
def test_only_tensors_of_each_frame_are_per_frame(family: AnyFamily) -> None:
    for spec in family.tensors(small(family), VIDEO):
        assert spec.per_frame == (spec.role is Role.EMBEDDING)
        assert not spec.per_frame or spec.shape[0] == VIDEO.frame_count
