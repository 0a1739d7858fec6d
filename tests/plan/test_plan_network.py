"""Networks planned for a target size, without torch and without fitting."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.coding.sections import encode_section
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.models.family import STEPPED_ROLES, TRAINED_FOR_RATE, AnyFamily, SymbolBits, VideoInfo
from inrcodec.models.registry import FAMILIES, family_of
from inrcodec.plan.budget import bits_per_pixel, target_bytes
from inrcodec.plan.network import plan_segment, planned_bits
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video.properties import VideoProperties

VARIANTS: list[tuple[str, dict[str, str]]] = [
    *((family.name, {}) for family in FAMILIES),
    ("supermask", {"decoder": "nerv", "biases": "no"}),
    ("snerv", {"blocks": "0"}),
    ("snerv-t", {"blocks": "4"}),
]
EVERY = pytest.mark.parametrize(
    ("model", "options"), VARIANTS, ids=["-".join([name, *options.values()]) for name, options in VARIANTS]
)


def properties(width: int, height: int, frame_count: int) -> VideoProperties:
    return VideoProperties(width, height, frame_count, Fraction(25), Fraction(1, 25))


def test_targets_are_bytes() -> None:
    video = VideoInfo(1280, 640, 132)
    assert target_bytes(EncodeSettings(size_bytes=1234), video) == 1234
    assert target_bytes(EncodeSettings(bpp=0.1), video) == int(0.1 * 1280 * 640 * 132 / 8)
    assert target_bytes(EncodeSettings(), video) == int(0.06 * 1280 * 640 * 132 / 8)
    assert bits_per_pixel(1000, VideoInfo(10, 10, 8)) == 10.0


@pytest.mark.parametrize(
    "asked",
    [
        {"bpp": 0.1, "size_bytes": 100},
        {"bpp": 0.0},
        {"bpp": -1.0},
        {"bpp": float("nan")},
        {"bpp": float("inf")},
        {"size_bytes": 0},
        {"size_bytes": -5},
    ],
)
def test_targets_that_mean_nothing(asked: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        EncodeSettings(**asked)  # type: ignore[arg-type]


@EVERY
def test_a_plan_describes_the_file(model: str, options: dict[str, str]) -> None:
    asked = EncodeSettings(model=model, model_options=options, bpp=0.3, seed=9)
    plan = plan_segment(properties(161, 90, 30), asked)
    assert plan.target_bytes == int(0.3 * 161 * 90 * 30 / 8)
    assert (plan.family.name, plan.seed, plan.header.frame_count) == (model, 9, 30)
    assert (plan.header.width, plan.header.height) == (161, 90)
    assert plan.header.coded_width >= 161
    assert plan.family.unpack(plan.packed_config, plan.video, 9) == plan.config
    assert plan.specs == plan.family.tensors(plan.config, plan.video)
    assert plan.parameter_count == sum(spec.count for spec in plan.specs)
    assert 0 < plan.payload_bytes < plan.target_bytes


@EVERY
def test_more_bytes_plan_a_larger_network(model: str, options: dict[str, str]) -> None:
    counts = [
        plan_segment(
            properties(320, 180, 50), EncodeSettings(model=model, model_options=options, size_bytes=size)
        ).parameter_count
        for size in (10_000, 20_000, 50_000, 120_000)
    ]
    # The symbols of inrc are as many at every size; most of them become zero.
    assert counts == ([counts[0]] * 4 if model == "inrc" else sorted(set(counts)))


@EVERY
def test_an_unreachable_target_names_one_that_can_be_reached(model: str, options: dict[str, str]) -> None:
    clip = properties(17, 13, 4)
    asked = EncodeSettings(model=model, model_options=options, bpp=0.06)
    with pytest.raises(TargetUnreachable) as caught:
        plan_segment(clip, asked)
    named = re.search(r"size_bytes=(\d+) \(bpp=([\d.]+)\)", str(caught.value))
    assert named is not None
    assert str(caught.value).startswith("6 bytes (0.0543 bpp) are too few")
    size, bpp = int(named[1]), float(named[2])
    assert plan_segment(clip, replace(asked, bpp=None, size_bytes=size)).target_bytes == size
    assert plan_segment(clip, replace(asked, bpp=bpp)).target_bytes >= size
    with pytest.raises(TargetUnreachable):
        plan_segment(clip, replace(asked, bpp=None, size_bytes=size - 1))


def planned(preset: str, **asked: Any) -> SymbolBits:
    return planned_bits(EncodeSettings(preset=preset, **asked).procedure)


def test_networks_are_planned_by_the_bits_of_their_procedure() -> None:
    assert planned("medium") == planned("draft", prune=0.5) == TRAINED_FOR_RATE
    paper = planned("paper")
    assert paper == planned("paper", weight_bits=8, embedding_bits=6, prune=0.1)
    assert TRAINED_FOR_RATE.weight < paper.weight < 8
    assert TRAINED_FOR_RATE.embedding < paper.embedding < 6
    assert planned("paper", weight_bits=4).weight < paper.weight < planned("paper", prune=0.0).weight
    # Half the weights pruned: one bit per weight for its place, plus the bits of the other half.
    assert planned("paper", prune=0.5).weight == pytest.approx(1 + 0.5 * planned("paper", prune=0.0).weight)


@pytest.mark.parametrize("model", ["hnerv", "supermask"])
def test_fewer_bits_a_symbol_plan_a_larger_network(model: str) -> None:
    clip = properties(320, 180, 50)
    counts = [
        plan_segment(
            clip,
            EncodeSettings(
                model=model, preset="paper", size_bytes=30_000, weight_bits=bits, embedding_bits=bits
            ),
        ).parameter_count
        for bits in (12, 8, 4)
    ]
    assert counts == sorted(set(counts))


@given(
    st.builds(properties, st.integers(1, 2000), st.integers(1, 1200), st.integers(1, 400)),
    st.integers(1, 1_000_000),
    st.sampled_from(VARIANTS),
)
@settings(deadline=None, max_examples=40)
def test_every_target_is_planned_or_refused_with_a_larger_one(
    clip: VideoProperties, size: int, variant: tuple[str, dict[str, str]]
) -> None:
    asked = EncodeSettings(model=variant[0], model_options=variant[1], size_bytes=size)
    try:
        plan = plan_segment(clip, asked)
    except TargetUnreachable as error:
        named = re.search(r"size_bytes=(\d+)", str(error))
        assert named is not None
        assert int(named[1]) > size
        return
    except UsageError:
        most = family_of(asked).most_frames(clip.width, clip.height)
        assert most is not None
        assert clip.frame_count > most
        return
    assert 0 < plan.payload_bytes < size


def test_unknown_models_and_options() -> None:
    for asked in (EncodeSettings(model="nothing"), EncodeSettings(model_options={"depth": "2"})):
        with pytest.raises(UsageError):
            plan_segment(properties(640, 360, 30), asked)


@pytest.mark.parametrize("preset", ["medium", "paper"])
def test_a_network_too_large_for_any_file_is_refused_before_a_fit(preset: str) -> None:
    clip = properties(33, 17, 3)
    asked = EncodeSettings(parameters=20_000, preset=preset)
    with pytest.raises(TargetUnreachable, match=r"12 bytes .* too few for hnerv of 20000 values") as caught:
        plan_segment(clip, asked)
    named = re.search(r"size_bytes=(\d+)", str(caught.value))
    assert named is not None
    size = int(named[1])
    plan = plan_segment(clip, replace(asked, size_bytes=size))
    assert plan.least_bytes() == size
    with pytest.raises(TargetUnreachable):
        plan_segment(clip, replace(asked, size_bytes=size - 1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_smallest_file_is_that_of_coded_zeros(family: AnyFamily) -> None:
    plan = plan_segment(properties(64, 48, 6), EncodeSettings(model=family.name, bpp=4))
    coded = tuple(
        encode_section(spec, np.zeros(spec.shape, np.float32), 1.0 if spec.role in STEPPED_ROLES else None)
        for spec in plan.specs
    )
    assert plan.least_bytes() == plan.file_bytes(coded)


@pytest.mark.parametrize("parameters", [10, 100_000])
def test_masks_are_not_planned_by_a_count(parameters: int) -> None:
    asked = EncodeSettings(model="supermask", parameters=parameters, size_bytes=50_000)
    with pytest.raises(UsageError, match="^parameters: supermask is planned by its bits; give bpp or"):
        plan_segment(properties(320, 160, 30), asked)


@pytest.mark.parametrize("model", ["hnerv", "nerv", "snerv", "snerv-t", "hinerv"])
def test_too_few_parameters_name_the_least(model: str) -> None:
    clip = properties(320, 160, 30)
    asked = EncodeSettings(model=model, size_bytes=1_000_000)
    with pytest.raises(UsageError, match=f"the smallest {model} for this video has ") as caught:
        plan_segment(clip, replace(asked, parameters=10))
    least = int(str(caught.value).split()[-1])
    assert plan_segment(clip, replace(asked, parameters=least)).parameter_count <= least


def test_a_count_and_a_width_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="parameters and model_options width exclude"):
        plan_segment(
            properties(320, 160, 30), EncodeSettings(parameters=20_000, model_options={"width": "200"})
        )


@given(st.integers(1, 40_000), st.sampled_from(["0", "2", "6"]))
@settings(deadline=None, max_examples=30)
def test_options_never_exceed_the_count_asked_for(parameters: int, blocks: str) -> None:
    asked = EncodeSettings(
        model="snerv", model_options={"blocks": blocks}, parameters=parameters, size_bytes=10**6
    )
    try:
        plan = plan_segment(properties(160, 96, 10), asked)
    except UsageError as error:
        assert "the smallest snerv for this video with these options has" in str(error)
    else:
        assert plan.parameter_count <= parameters


@pytest.mark.parametrize("model", [family.name for family in FAMILIES])
def test_readers_accept_ordinary_4k(model: str) -> None:
    """A segment of a few seconds at the default rate is within the default limits of work and memory."""
    frames = {"inrc": 10, "snerv-t": 24}.get(model, 72)
    plan = plan_segment(properties(3840, 2160, frames), EncodeSettings(model=model))
    assert plan.specs


@pytest.mark.parametrize(
    ("size", "options", "limit"),
    [
        ((1920, 1080), {"width": "600", "kernels": "7-7", "reduction": "1"}, "max_symbols"),
        ((8192, 8192), {"width": "100"}, "max_memory"),
    ],
)
def test_what_readers_refuse_is_not_fitted(
    size: tuple[int, int], options: dict[str, str], limit: str
) -> None:
    asked = EncodeSettings(model="hnerv", model_options=options)
    with pytest.raises(UsageError, match=f"too large for one file: expected at most {limit} = .*scale, or"):
        plan_segment(properties(*size, 10), asked)


@pytest.mark.parametrize("frame_count", [1, 72])
@pytest.mark.parametrize(
    ("width", "height", "bpp"),
    [(1920, 1080, 2), (3840, 2160, 0.06), (3840, 2160, 0.5), (7680, 4320, 0.06)],
)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_readers_accept_what_they_accepted_by_activations_and_symbols(
    family: AnyFamily, width: int, height: int, bpp: float, frame_count: int
) -> None:
    """Earlier readers had limits of 2^31 activations and of 2^27 symbols, and none of work."""
    # A frame of `inrc` takes the same work in a longer segment, and a plan of it takes seconds.
    clip = properties(width, height, 1 if family.name == "inrc" else frame_count)
    video = VideoInfo(width, height, clip.frame_count)
    asked = EncodeSettings(model=family.name, bpp=bpp)
    config = family.plan(video, 8 * target_bytes(asked, video), {}, asked.seed)
    symbols = sum(spec.count for spec in family.tensors(config, video))
    is_accepted = family.activation_count(config, video) <= 1 << 31 and symbols <= 1 << 27
    if is_accepted:
        assert plan_segment(clip, asked).specs
    else:
        assert family.name != "inrc"


def test_the_largest_frames_that_the_documentation_names_are_planned() -> None:
    """The page on inputs says 9376x9376; one more row of blocks is too much for a file."""
    assert family_of(EncodeSettings()).most_frames(9376, 9376 + 16) == 0
    assert plan_segment(properties(9376, 9376, 1), EncodeSettings()).specs
