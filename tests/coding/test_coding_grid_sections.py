"""The sections of an `inrc` segment: round trips, and errors for sections that no encoder writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import DEFAULT_LIMITS, BitstreamError, Corrupt, Section, Segment
from inrcodec.coding.grid_sections import GridSymbols, encode_contextual, segment_tensors
from inrcodec.coding.opened_segment import OpenedSegment
from inrcodec.coding.sections import encode_section
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.inrc.shapes import KNOTS, InrcConfig, context_specs, network_specs

FAMILY = Inrc()
VIDEO = VideoInfo(37, 21, 6)
STEP = 2.0**-3


def config_of(video: VideoInfo, width: int = 0) -> InrcConfig:
    config: InrcConfig = FAMILY.plan(video, 1e6, {"width": str(width), "group": "4"}, seed=0)
    return config


def parameters_of(config: InrcConfig, video: VideoInfo) -> dict[str, NDArray[np.int64]]:
    """Entropy models with knots from almost always zero to wide, and weights that use every count."""
    random = np.random.default_rng(1)
    found = {}
    for spec in context_specs(config.tree(video).level_count, config.version):
        if spec.name.endswith("knots"):
            found[spec.name] = np.linspace(80, -80, KNOTS).astype(np.int64)[:, None].repeat(4, 1)
        else:
            found[spec.name] = random.integers(-20, 30, spec.shape)
    return found


def symbols_of(config: InrcConfig, video: VideoInfo, largest: int = 3) -> GridSymbols:
    """Random symbols of -largest..largest, but zeros where no motion is coded."""
    random, tree = np.random.default_rng(2), config.tree(video)
    specs = {spec.name: spec.shape for spec in FAMILY.tensors(config, video)}
    motion = random.integers(-largest, largest + 1, specs["motion"])
    motion[tree.levels == 0] = 0
    motion[~tree.has_two, 2:] = 0
    latent = random.integers(-largest, largest + 1, specs["latent"])
    sizes = np.zeros((video.frame_count, config.rows, config.columns), dtype=np.uint8)
    return GridSymbols(motion.astype(np.int32), STEP, latent.astype(np.int16), 0.25, sizes)


def sections_of(config: InrcConfig, video: VideoInfo, largest: int = 3) -> tuple[Section, ...]:
    network = tuple(
        encode_section(spec, np.full(spec.shape, 0.5, np.float32), 0.25)
        for spec in network_specs(config.width)
    )
    return encode_contextual(
        config, video, parameters_of(config, video), network, symbols_of(config, video, largest)
    )


def decoded(
    config: InrcConfig, video: VideoInfo, sections: tuple[Section, ...]
) -> dict[str, NDArray[np.generic]]:
    segment = Segment(0, video.frame_count, FAMILY.wire_id, 0, FAMILY.pack(config), sections)
    specs = FAMILY.tensors(config, video)
    return segment_tensors(OpenedSegment(segment, FAMILY, config, video, specs, DEFAULT_LIMITS))


CONFIG = config_of(VIDEO)
SECTIONS = sections_of(CONFIG, VIDEO)


@pytest.mark.parametrize(
    ("width", "largest"),
    [
        *((3, largest) for largest in (0, 1, 3, 16_000)),
        (0, 3),
        *(pytest.param(0, largest, marks=pytest.mark.slow) for largest in (0, 1, 16_000)),
    ],
)
@pytest.mark.parametrize("shape", [(37, 21, 6), (37, 21, 1), (1, 1, 1), (1, 1, 2), (129, 17, 3)])
def test_symbols_come_back(shape: tuple[int, int, int], width: int, largest: int) -> None:
    video = VideoInfo(*shape)
    config, symbols = config_of(video, width), symbols_of(config_of(video, width), video, largest)
    tensors = decoded(config, video, sections_of(config, video, largest))
    assert np.array_equal(tensors["motion"], symbols.motion * np.float32(STEP))
    assert np.array_equal(tensors["latent"], symbols.latent)
    assert (tensors["latent"].dtype, tensors["latent.step"]) == (np.int16, np.float32(0.25))
    names = {spec.name for spec in network_specs(width)}
    assert tensors["motion.step"] == np.float32(STEP)
    assert np.array_equal(tensors["size"], symbols.sizes)
    assert set(tensors) == {"motion", "motion.step", "latent", "latent.step", "size"} | names
    assert all((tensors[name] == 0.5).all() for name in names)


def test_likely_symbols_take_few_bytes() -> None:
    zeros, small, large = (
        sum(len(one.payload) for one in sections_of(CONFIG, VIDEO, most)) for most in (0, 1, 9)
    )
    assert zeros < small < large


@pytest.mark.parametrize("index", range(len(SECTIONS)))
def test_other_steps_are_corrupt(index: int) -> None:
    is_model = index < len(SECTIONS) - 2
    steps: tuple[float, ...]
    for steps in ((), (1.0, 1.0), *(((0.3,),) if is_model else ())):
        damaged = [*SECTIONS[:index], replace(SECTIONS[index], steps=steps), *SECTIONS[index + 1 :]]
        with pytest.raises(Corrupt):
            decoded(CONFIG, VIDEO, tuple(damaged))


@pytest.mark.parametrize("index", [-1, -2])
def test_grids_have_the_contextual_coder(index: int) -> None:
    damaged = list(SECTIONS)
    damaged[index] = replace(damaged[index], coder=4)
    with pytest.raises(Corrupt, match="contextual"):
        decoded(CONFIG, VIDEO, tuple(damaged))


@pytest.mark.parametrize("index", range(len(SECTIONS)))
def test_models_have_other_coders_and_all_of_a_payload_is_used(index: int) -> None:
    for change in (
        {"payload": SECTIONS[index].payload + bytes(4)},
        {"payload": b""},
        {"coder": 99},
        *([{"coder": 7}] if index < len(SECTIONS) - 2 else []),
    ):
        damaged = [*SECTIONS[:index], replace(SECTIONS[index], **change), *SECTIONS[index + 1 :]]  # type: ignore[arg-type]
        with pytest.raises(BitstreamError):
            decoded(CONFIG, VIDEO, tuple(damaged))


def test_a_wrong_number_of_sections_is_corrupt() -> None:
    for sections in (SECTIONS[:-1], (*SECTIONS, SECTIONS[-1]), ()):
        with pytest.raises(Corrupt, match="sections"):
            decoded(CONFIG, VIDEO, sections)


@pytest.mark.parametrize("name", ["context.latent.knots", "context.motion.knots", "context.latent.bias"])
def test_parameters_out_of_range_are_corrupt(name: str) -> None:
    parameters = parameters_of(CONFIG, VIDEO)
    parameters[name] = parameters[name].copy()
    parameters[name].flat[0] = 256 if name.endswith("knots") else 1 << 15
    specs = context_specs(CONFIG.tree(VIDEO).level_count, CONFIG.version)
    at = [spec.name for spec in specs].index(name)
    step = SECTIONS[at].steps[0]
    changed = encode_section(specs[at], (parameters[name] * step).astype(np.float32), step)
    with pytest.raises(Corrupt, match=name):
        decoded(CONFIG, VIDEO, (*SECTIONS[:at], changed, *SECTIONS[at + 1 :]))


@settings(deadline=None, max_examples=40)
@given(index=st.integers(0, len(SECTIONS) - 1), place=st.integers(0, 1 << 20), change=st.integers(1, 255))
def test_damaged_payloads_are_an_error_or_other_values_but_never_a_crash(
    index: int, place: int, change: int
) -> None:
    payload = bytearray(SECTIONS[index].payload)
    payload[place % len(payload)] ^= change
    changed = replace(SECTIONS[index], payload=bytes(payload))
    try:
        tensors = decoded(CONFIG, VIDEO, (*SECTIONS[:index], changed, *SECTIONS[index + 1 :]))
    except BitstreamError:
        return
    assert tensors["latent"].shape == FAMILY.tensors(CONFIG, VIDEO)[-1].shape
