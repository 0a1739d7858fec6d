"""The `inrc` family from frames to files: transform, hierarchy, entropy models and fit."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip
from command_line import environment, only_line
from hypothesis import given, settings
from hypothesis import strategies as st
from inrc_reference import synthesis
from numpy.typing import NDArray

import bitstream
import inrcodec
from bitstream.coders.conditional import ConditionalEncoder
from inrcodec.cli.main import run
from inrcodec.coding.grid_sections import decode_contextual, encode_contextual, latent_models, motion_model
from inrcodec.decoder.info import inspect, verify
from inrcodec.errors import TargetUnreachable
from inrcodec.fit import registry
from inrcodec.fit.grids.entropy import parameters, set_parameters, shapes_of
from inrcodec.fit.grids.latent_entropy import flags_of, reference_magnitudes
from inrcodec.fit.grids.latents import LatentFit
from inrcodec.fit.grids.motion import MotionFit, searched_field, to_grids
from inrcodec.fit.grids.refinement import RefiningFit
from inrcodec.fit.grids.segment import fit_grids
from inrcodec.fit.grids.source_planes import SegmentPlanes, with_chroma_of
from inrcodec.fit.job import FitJob, FittedSegment
from inrcodec.fit.training.clock import StepClock
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc import prediction
from inrcodec.models.inrc.contexts import Coder
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS, KERNEL_SIDES, zigzag
from inrcodec.models.inrc.hierarchy import MOST_GROUP_FRAMES, hierarchy
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.inrc.lapped import add_synthesis, analyse
from inrcodec.models.inrc.latent_contexts import PARTS, code_latents, part_channels
from inrcodec.models.inrc.motion_contexts import code_motion
from inrcodec.models.inrc.planes import (
    CHROMA_SCALE,
    Planes,
    chroma_lost,
    components,
    halved,
    no_planes,
    upsampled,
)
from inrcodec.models.inrc.prediction import predict, step_sizes
from inrcodec.models.inrc.quads import to_codes, to_colours, to_quads
from inrcodec.models.inrc.shapes import NEWEST_VERSION, InrcConfig
from inrcodec.models.registry import family_of
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange, SourceSettings

pytestmark = pytest.mark.end_to_end

SETTINGS = EncodeSettings(model="inrc", device="cpu", epochs=2, size_bytes=3000, overwrite=True)


# The transform


def synthesise(latents: torch.Tensor, is_smooth: bool) -> Planes:
    """Planes rendered from latents (B, 96, h, w) with a step of 1."""
    planes = no_planes(len(latents), 8 * latents.shape[2], 8 * latents.shape[3], latents.device)
    add_synthesis(planes, latents, torch.ones_like(latents[:, :1]), is_smooth)
    return planes


SMOOTH = pytest.mark.parametrize("is_smooth", [False, True])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (4, 2)])
def test_the_transform_is_orthogonal(rows: int, columns: int) -> None:
    latents = torch.randn(2, 96, rows, columns, generator=torch.Generator().manual_seed(0))
    planes = synthesise(latents, False)
    assert planes.luma.shape == (2, 1, 8 * rows, 8 * columns)
    assert planes.chroma.shape == (2, 2, 4 * rows, 4 * columns)
    torch.testing.assert_close(analyse(planes, False), latents, atol=1e-5, rtol=0)
    energy = planes.luma.square().sum() + planes.chroma.square().sum()
    torch.testing.assert_close(energy, latents.square().sum(), rtol=1e-5, atol=0)


@SMOOTH
def test_the_transform_comes_back_from_both_sides(is_smooth: bool) -> None:
    random = torch.Generator().manual_seed(0)
    planes = Planes(torch.randn(1, 1, 32, 24, generator=random), torch.randn(1, 2, 16, 12, generator=random))
    again = synthesise(analyse(planes, is_smooth), is_smooth)
    torch.testing.assert_close(again.luma, planes.luma, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.chroma, planes.chroma, atol=1e-5, rtol=0)


@SMOOTH
def test_an_error_of_any_latent_is_about_as_large_in_colours(is_smooth: bool) -> None:
    for channel in range(96):
        latents = torch.zeros(1, 96, 3, 3)
        latents[0, channel, 1, 1] = 1
        colours = to_colours(to_quads(synthesise(latents, is_smooth)), is_smooth) - 0.5
        assert float(colours.square().sum()) == pytest.approx(1, rel=1e-3 if is_smooth else 1e-5)


@SMOOTH
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 2), (5, 4)])
def test_blocks_are_added_as_the_specification_says(rows: int, columns: int, is_smooth: bool) -> None:
    random = torch.Generator().manual_seed(0)
    latents = torch.randint(-9, 10, (2, 96, rows, columns), generator=random).to(torch.int16)
    for part in (slice(64), slice(64, 96)):
        latents[:, part] *= torch.rand(2, 1, rows, columns, generator=random) < 0.6
    steps = torch.rand(2, 1, rows, columns, generator=random)
    planes = no_planes(2, 8 * rows, 8 * columns, steps.device).map(torch.randn_like)
    each = [synthesis(one, is_smooth) for one in (latents * steps).numpy()]
    expected = [
        plane.numpy() + np.stack([one[number] for one in each])
        for number, plane in enumerate((planes.luma, planes.chroma))
    ]
    add_synthesis(planes, latents, steps, is_smooth)
    for plane, wanted in zip((planes.luma, planes.chroma), expected, strict=True):
        np.testing.assert_allclose(plane.numpy(), wanted, atol=1e-5, rtol=0)


# Colours


def repeated_chroma(frames: Frames) -> Frames:
    """Frames whose chroma is constant in squares of 2 x 2 pixels, while their luma is noisy."""
    grey = np.random.default_rng(0).integers(-9, 9, (*frames.shape[:3], 1))
    squares = frames[:, ::2, ::2].repeat(2, 1).repeat(2, 2)[:, : frames.shape[1], : frames.shape[2]]
    return (squares.clip(20, 235) + grey).astype(np.uint8)


def test_chroma_of_half_the_resolution_comes_back_and_edges_are_repeated() -> None:
    frames = torch.from_numpy(repeated_chroma(moving_gradient(18, 12, 2)))
    full = components(frames, 16, 32)
    assert torch.equal(full[:, :, 12:, :], full[:, :, 11:12, :].expand(-1, -1, 4, -1))
    assert torch.equal(full[..., 18:], full[..., 17:18].expand(-1, -1, -1, 14))
    shown = to_colours(to_quads(halved(full, False)), False) * 255
    torch.testing.assert_close(shown[:, :12, :18], frames.float(), atol=1e-3, rtol=0)


@SMOOTH
def test_no_other_chroma_is_closer(is_smooth: bool) -> None:
    full = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    chroma = halved(full, is_smooth).chroma.requires_grad_()
    lost = (upsampled(chroma / CHROMA_SCALE, is_smooth) - full[:, 1:]).square().sum()
    lost.backward()  # type: ignore[no-untyped-call]
    assert float(chroma_lost(full, is_smooth)) == pytest.approx(float(lost.detach()), rel=1e-6)
    assert chroma.grad is not None
    # At the edges, which are padded by replication, chroma is only nearly optimal.
    inside = chroma.grad[..., 8:-8, 8:-8] if is_smooth else chroma.grad
    assert float(inside.abs().max()) < (0.1 if is_smooth else 1e-4)


@SMOOTH
def test_codes_are_rounded_colours_and_what_is_no_number_is_zero(is_smooth: bool) -> None:
    random = torch.Generator().manual_seed(0)
    planes = Planes(torch.randn(2, 1, 16, 32, generator=random), torch.randn(2, 2, 8, 16, generator=random))
    colours = to_colours(to_quads(planes), is_smooth)
    assert colours.shape == (2, 16, 32, 3)
    if not is_smooth:
        full = torch.cat([planes.luma, upsampled(planes.chroma / CHROMA_SCALE, False)], 1)
        torch.testing.assert_close(colours, colours_of(full), atol=1e-5, rtol=0)
    expected = (255 * colours.double()).round().clamp(0, 255)
    codes = to_codes(to_quads(planes), is_smooth)
    assert codes.dtype == torch.uint8
    # Values between two codes may be rounded either way.
    assert float((codes.double() - expected).abs().max()) <= 1
    assert float((codes != expected).float().mean()) < 1e-3
    planes.luma[0, 0, 4, 6] = math.nan
    assert (to_codes(to_quads(planes), is_smooth)[0, 4, 6] == 0).all()


def colours_of(full: torch.Tensor) -> torch.Tensor:
    """RGB (B, h, w, 3) of components (B, 3, h, w) at full resolution."""
    one, two, three = 2**-0.5, 6**-0.5, 3**-0.5
    matrix = torch.tensor([[three, one, two], [three, 0, -2 * two], [three, -one, two]])
    return torch.einsum("ij,bjhw->bhwi", matrix, full) + 0.5


def test_the_chroma_that_is_closer_is_chosen() -> None:
    config, ramps = InrcConfig(3, 4, 4, 0), moving_gradient(64, 48, 3)
    assert not with_chroma_of(repeated_chroma(ramps), config).is_smooth
    assert with_chroma_of(ramps, config).is_smooth


def test_a_fit_after_a_decode_has_gradients() -> None:
    """A fit can use tensors that a decoder has cached in inference mode."""
    field, frame = torch.zeros(1, 5, 2, 3), torch.rand(1, 3, 32, 48)
    prediction._shares.cache_clear()
    with torch.inference_mode():
        predict(frame, None, field)
    field.requires_grad_()
    predict(frame, None, field).square().sum().backward()  # type: ignore[no-untyped-call]
    assert field.grad is not None
    assert field.grad[:, :2].abs().max() > 0


# The hierarchy


@given(st.integers(1, 400), st.integers(1, MOST_GROUP_FRAMES))
def test_references_come_earlier_and_every_frame_comes_once(frame_count: int, group_frames: int) -> None:
    tree = hierarchy(frame_count, group_frames)
    listed = [frame for batch in tree.order for frame in batch]
    assert sorted(listed) == list(range(frame_count))
    done: set[int] = set()
    for batch in tree.order:
        references = tree.references[list(batch)]
        assert len({int(tree.levels[frame]) for frame in batch}) == 1
        assert set(references.ravel().tolist()) - {-1} <= done
        done.update(batch)
    for frame, (before, after) in enumerate(tree.references.tolist()):
        level = tree.levels[frame]
        if level == 0:
            assert (frame, before, after) == (0, -1, -1)
        elif level == 1:
            assert before == after < frame <= before + group_frames
        else:
            assert before < frame < after
    # The last frame is an anchor, so that only anchors are predicted from one side only.
    assert tree.levels[-1] == (frame_count > 1)
    assert tree.needed(set(range(frame_count))) == set(range(frame_count))


def test_the_hierarchy_of_nine_frames() -> None:
    tree = hierarchy(9, 4)
    assert tree.levels.tolist() == [0, 3, 2, 3, 1, 3, 2, 3, 1]
    assert tree.order == ((0,), (4,), (8,), (2, 6), (1, 3, 5, 7))
    assert tree.references[[3, 4]].tolist() == [[2, 4], [0, 0]]
    assert tree.needed({3}) == {0, 2, 3, 4}


@settings(deadline=None, max_examples=25)
@given(
    frames=st.integers(1, 12),
    group=st.integers(1, 8),
    exponent=st.floats(0, 2),
    most=st.integers(1, 64),
    seed=st.integers(0, 99),
)
def test_steps_are_divided_by_at_most_the_most(
    frames: int, group: int, exponent: float, most: int, seed: int
) -> None:
    tree = hierarchy(frames, group)
    field = 8 * torch.randn(frames, 5, 2, 3, generator=torch.Generator().manual_seed(seed))
    steps = step_sizes(field, tree, exponent, most)
    assert steps.shape == (frames, 1, 4, 6)
    assert float(steps.min()) >= 1 / most - 1e-6
    assert float(steps.max()) <= 1
    used = set(tree.references.ravel().tolist())
    for frame in set(range(frames)) - used:
        assert (steps[frame] == 1).all()


# The entropy models


class Recorder:
    """An encoder that also keeps the classes of each pass."""

    def __init__(self, knots: NDArray[np.int64]) -> None:
        self.encoder = ConditionalEncoder(knots, 1000)
        self.passes: list[NDArray[np.int64]] = []

    def code(self, classes: NDArray[np.int64], symbols: NDArray[np.int32] | None) -> NDArray[np.int32]:
        self.passes.append(classes.copy())
        return self.encoder.code(classes, symbols)

    def code_flags(self, classes: NDArray[np.int64], flags: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        return self.encoder.code_flags(classes, flags)


@pytest.fixture(scope="module")
def fitted() -> tuple[SegmentPlanes, LatentFit, MotionFit]:
    """Latents and motion of noisy moving frames, with entropy models from a short fit."""
    frames = moving_gradient(112, 80, 9).astype(int)
    frames += np.random.default_rng(0).normal(0, 12, frames.shape).round().astype(int)
    video = VideoInfo(112, 80, 9)
    config = Inrc().plan(video, 1e5, {"group": "4", "width": "16"}, 0)
    segment = SegmentPlanes(torch.from_numpy(frames.clip(0, 255).astype(np.uint8)), config, video)
    motion = MotionFit(segment, to_grids(searched_field(segment, lambda *_: None)))
    motion.fit_entropy(40)
    latents = LatentFit(segment)
    steps = step_sizes(motion.field(), segment.tree, *config.fineness) * 0.06
    latents.code(motion.field(), steps, 0.06)
    latents.fit_entropy(40)
    latents.code(motion.field(), steps, 0.06)
    latents.fit_entropy(20)
    return segment, latents, motion


def stored(latents: LatentFit, motion: MotionFit) -> dict[str, NDArray[np.int64]]:
    """The integers that the file stores for the entropy models, which are set to them."""
    found = parameters(latents.entropy, motion.entropy)
    set_parameters((latents.entropy, motion.entropy), found)
    return found


def test_latents_have_the_classes_and_take_the_bits_that_the_fit_counts_on(
    fitted: tuple[SegmentPlanes, LatentFit, MotionFit],
) -> None:
    segment, latents, motion = fitted
    before = latents.estimated_bits()
    found, tree = stored(latents, motion), segment.tree
    symbols = latents.coded.latents.numpy()
    recorder = Recorder(found["context.latent.knots"])
    coder: Coder = recorder  # type: ignore[assignment]
    code_latents(
        coder,
        latent_models(found, segment.config.version),
        symbols,
        symbols.shape,
        tree.levels,
        tree.references,
        tree.order,
    )
    passes, exact = iter(recorder.passes), 0.0
    shapes = shapes_of(latents.entropy.knots.detach())
    references = reference_magnitudes(latents.coded.latents, segment.references)
    for batch in tree.order:
        levels, mine = segment.levels[list(batch)], latents.coded.latents[list(batch)]
        with torch.no_grad():
            flag_bits = latents.entropy.flag_bits(mine, references[list(batch)], levels)
        for part, members in enumerate(PARTS):
            flags = flags_of(mine, part)
            exact += float(flag_bits[part].gather(3, flags.long()[..., None]).double().sum())
            cells = flags.nonzero(as_tuple=True)
            with torch.no_grad():
                classes = latents.entropy.places(mine, references[list(batch)], levels, part, cells).long()
            magnitudes = mine[:, part_channels(part)][cells[0], :, cells[1], cells[2]].abs().float()
            # No symbol has a frequency below 1 in 2^24.
            exact += float(shapes.bits(magnitudes, classes).clamp(max=24).double().sum())
            for component in members:
                for number in zigzag(KERNEL_SIDES[component]):
                    channel = FIRST_CHANNELS[component] + number - part_channels(part).start
                    assert np.array_equal(next(passes), classes[:, channel].numpy())
    coded = 8 * len(recorder.encoder.getvalue())
    assert coded > 20_000
    assert exact == pytest.approx(coded, rel=0.01, abs=64)
    assert before == pytest.approx(coded, rel=0.02)


def test_motion_takes_the_bits_that_the_fit_counts_on(
    fitted: tuple[SegmentPlanes, LatentFit, MotionFit],
) -> None:
    segment, latents, motion = fitted
    found, tree = stored(latents, motion), segment.tree
    with torch.no_grad():
        estimated = float(motion.entropy.bits([grid.detach() for grid in motion.grids]))
    grids = [(grid.detach() * motion.entropy.active).round().to(torch.int32).numpy() for grid in motion.grids]
    encoder = ConditionalEncoder(found["context.motion.knots"], 1000)
    shapes = [grid.shape for grid in grids]
    code_motion(encoder, motion_model(found), grids, shapes, tree.levels, tree.has_two, tree.levels > 0)
    assert estimated == pytest.approx(8 * len(encoder.getvalue()), rel=0.02, abs=128)


# The config in a file


@pytest.mark.parametrize(
    ("place", "value"), [(0, 4), (1, 2), (2, 0), (2, 65), (3, 65), (4, 33), (5, 0), (5, 65), (6, 2)]
)
def test_a_config_out_of_range_is_refused(place: int, value: int) -> None:
    video, values = VideoInfo(48, 44, 5), [3, 3, 4, 8, 8, 6, 1]
    assert Inrc().unpack(bytes(values), video, 0) == InrcConfig(3, 3, 4, 8, is_smooth=True)
    values[place] = value
    with pytest.raises(bitstream.Corrupt, match=r"out of range"):
        Inrc().unpack(bytes(values), video, 0)


def test_a_config_of_version_0_has_seven_numbers_and_newer_ones_have_eight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video, config = VideoInfo(48, 44, 5), InrcConfig(3, 3, 4, 8)
    packed = Inrc().pack(config)
    assert len(packed) == 7
    for version in (0, NEWEST_VERSION + 1):
        with pytest.raises(bitstream.Corrupt, match=r"out of range"):
            Inrc().unpack(packed + bytes([version]), video, 0)
    monkeypatch.setattr("inrcodec.models.inrc.inrc.NEWEST_VERSION", NEWEST_VERSION + 1)
    newer = replace(config, version=NEWEST_VERSION + 1)
    assert Inrc().unpack(Inrc().pack(newer), video, 0) == newer


# The refining network


def refined(segment: SegmentPlanes, latents: LatentFit, price: float, steps: int) -> RefiningFit:
    refining = RefiningFit(segment, 0)
    refining.run(latents.frames, price, StepClock(steps), torch.float32, lambda *_: None)
    return refining


def test_a_network_that_is_not_worth_its_bits_is_not_there(
    fitted: tuple[SegmentPlanes, LatentFit, MotionFit],
) -> None:
    segment, latents, _ = fitted
    assert segment.config.width > 0
    assert all(value.any() for value in refined(segment, latents, 0.0, 60).values().values())
    dear = refined(segment, latents, 1e9, 60).values()
    assert not any(value.any() for value in dear.values())
    # A warm start from such a file begins with a new network.
    again = RefiningFit(segment, 0, dear).values()
    assert again["refine.first.weight"].any()


# Whole encodes


def pan(width: int, height: int, count: int, seed: int = 0) -> Frames:
    """A window that pans over smoothed noise, which motion prediction can follow."""
    noise = np.random.default_rng(seed).normal(0, 1, (height + 2 * count + 8, width + 2 * count + 8, 3))
    for axis in (0, 1):
        noise = sum(np.roll(noise, shift, axis) for shift in range(-2, 3)) / 2.3
    whole = (128 + 55 * noise).clip(0, 255)
    return (
        np.stack([whole[t : t + height, 2 * t : 2 * t + width] for t in range(count)])
        .round()
        .astype(np.uint8)
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", pan(48, 32, 10))


@pytest.fixture(scope="module")
def encoded(clip: Path) -> Path:
    path = clip.with_name("clip.inrv")
    inrcodec.encode(str(clip), str(path), SETTINGS)
    return path


def test_a_file_has_its_size_and_shows_what_it_says(clip: Path, tmp_path: Path, encoded: Path) -> None:
    result = inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), SETTINGS)
    data = (tmp_path / "a.inrv").read_bytes()
    assert 0.97 * 3000 <= len(data) <= 3000
    assert result.file_bytes == len(data)
    assert data == encoded.read_bytes()
    with inrcodec.open(tmp_path / "a.inrv", "cpu") as video:
        decoded = video[:]
    assert decoded.shape == (10, 32, 48, 3)
    assert result.psnr_db == pytest.approx(mean_psnr_db(read_frames(clip), decoded), abs=1e-3)
    assert result.psnr_db > 20
    assert verify(str(tmp_path / "a.inrv")).psnr_db == pytest.approx(result.psnr_db, abs=1e-3)


def test_frames_decode_alike_in_any_order(encoded: Path) -> None:
    with inrcodec.open(encoded, "cpu") as video:
        whole = video[:]
    for frame in (7, 0, 9, 3):
        with inrcodec.open(encoded, "cpu") as video:
            assert np.array_equal(video[frame], whole[frame])
    with inrcodec.open(encoded, "cpu") as video:
        for frame in (9, 1, 8, 2):
            assert np.array_equal(video[frame], whole[frame])


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("width", "height", "count"), [(48, 32, 1), (17, 13, 6), (2, 2, 3), (130, 18, 2)])
def test_sizes_and_lengths(tmp_path: Path, width: int, height: int, count: int) -> None:
    source = write_clip(tmp_path / "a.mp4", pan(width, height, count))
    asked = replace(SETTINGS, size_bytes=1800)
    try:
        result = inrcodec.encode(str(source), str(tmp_path / "a.inrv"), asked)
    except TargetUnreachable as error:
        assert re.search(r"size_bytes=\d+", str(error))
        return
    with inrcodec.open(tmp_path / "a.inrv", "cpu") as video:
        assert video[:].shape == (count, height, width, 3)
    assert os.path.getsize(tmp_path / "a.inrv") == result.file_bytes <= 1800


def test_a_hard_cut_costs_no_more_than_its_frames(tmp_path: Path) -> None:
    frames = np.concatenate([pan(48, 32, 5), pan(48, 32, 5, seed=3)])
    source = write_clip(tmp_path / "a.mp4", frames)
    asked = replace(SETTINGS, size_bytes=6000)
    result = inrcodec.encode(str(source), str(tmp_path / "a.inrv"), asked)
    assert 0.97 * 6000 <= result.file_bytes <= 6000
    with inrcodec.open(tmp_path / "a.inrv", "cpu") as video:
        decoded = video[:]
    # Each frame beside the cut is nearer to its own source than to the other's.
    for frame in (4, 5):
        own, other = (np.abs(decoded[frame].astype(int) - frames[one]).mean() for one in (frame, 9 - frame))
        assert own < other / 2


def test_at_and_fps_scale(encoded: Path, tmp_path: Path) -> None:
    with inrcodec.open(encoded, "cpu") as video:
        whole, between = video[:], video.at(3.5)
        mean = (whole[3].astype(int) + whole[4]) / 2
        # The motion that the file stores makes a sharper frame than the mean of both.
        assert np.abs(between - mean).mean() < np.abs(whole[3].astype(int) - whole[4]).mean()
        assert np.array_equal(video.frame_at(0.13), whole[3])
    output = tmp_path / "a.mkv"
    inrcodec.decode(str(encoded), str(output), DecodeSettings(device="cpu", fps_scale=2, codec="ffv1"))
    assert len(read_frames(output)) == 19


def test_segments_are_the_same_with_workers(clip: Path, tmp_path: Path) -> None:
    few = SourceSettings(frames=FrameRange(0, 4))
    asked = replace(SETTINGS, segment=2, source=few, size_bytes=5000)
    alone = inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked)
    assert (alone.segments, alone.frames) == (2, 4)
    assert 0.97 * 5000 <= alone.file_bytes <= 5000
    inrcodec.encode(str(clip), str(tmp_path / "b.inrv"), replace(asked, workers="local:2"))
    assert (tmp_path / "a.inrv").read_bytes() == (tmp_path / "b.inrv").read_bytes()


@pytest.mark.usefixtures("hurried")
def test_part_of_a_source(clip: Path, tmp_path: Path) -> None:
    asked = replace(SETTINGS, source=SourceSettings(every=2))
    assert inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked).frames == 5


def test_a_size_too_small_names_one_that_is_not(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), replace(SETTINGS, size_bytes=300))
    assert re.search(r"size_bytes=\d+", str(caught.value))
    assert not (tmp_path / "a.inrv").exists()


def test_a_file_is_fitted_on(clip: Path, encoded: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "a.inrv")
    first = inspect(str(encoded)).psnr_db
    assert first is not None
    asked = EncodeSettings(device="cpu", epochs=20, resume_from=str(encoded))
    result = inrcodec.encode(str(clip), output, asked)
    assert result.family == "inrc"
    assert result.target_bytes == encoded.stat().st_size >= result.file_bytes
    assert result.psnr_db >= first - 1e-3
    smaller = replace(asked, size_bytes=2000, overwrite=True, epochs=2)
    result = inrcodec.encode(str(clip), output, smaller)
    assert 0.97 * 2000 <= result.file_bytes <= 2000
    assert result.psnr_db == pytest.approx(inspect(output).psnr_db, abs=1e-3)


def test_a_fit_that_goes_on_and_ends_worse_is_not_kept(
    clip: Path, encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(job: FitJob) -> FittedSegment:
        plan, fitted = job.plan, fit_grids(job)
        decoded = decode_contextual(plan.config, plan.video, plan.specs, fitted.sections)
        grey = replace(decoded.symbols, latent=np.zeros_like(decoded.symbols.latent))
        sections = encode_contextual(plan.config, plan.video, decoded.parameters, (), grey)
        return replace(fitted, sections=sections)

    monkeypatch.setitem(registry.FITS, "inrc", replace(registry.FITS["inrc"], fit=fit))
    asked = EncodeSettings(device="cpu", epochs=1, resume_from=str(encoded))
    result = inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked)
    assert result.psnr_db == pytest.approx(inspect(str(encoded)).psnr_db, abs=1e-3)
    assert result.segments_kept == 1


def test_info_and_verify_read_grids_without_torch(encoded: Path, tmp_path: Path) -> None:
    for name in ("info", "verify"):
        script = (
            "import sys; from inrcodec.cli.main import run; "
            f"code = run([{name!r}, {str(encoded)!r}, '--json']); sys.exit(code or 'torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment(), capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        if name == "verify":
            assert json.loads(done.stdout)["intact"]
            continue
        (segment,) = json.loads(done.stdout)["segments"]
        assert [one["coder"] for one in segment["sections"][-2:]] == ["contextual"] * 2
        assert [one["name"] for one in segment["sections"][-2:]] == ["motion", "latent"]


def test_verify_decodes_the_symbols(encoded: Path, tmp_path: Path) -> None:
    """A payload that no coder made is found in a file whose checksums are right."""
    stream = bitstream.load(encoded.read_bytes())
    (segment,) = stream.segments
    payload = segment.sections[-1].payload
    # The largest magnitude and six classes of sizes come first.
    assert max(payload[:7]) < 128
    # One word inserted below all others is left over when every symbol is decoded.
    damaged = replace(segment.sections[-1], payload=payload[:7] + b"more" + payload[7:])
    sections = (*segment.sections[:-1], damaged)
    path = tmp_path / "a.inrv"
    path.write_bytes(bitstream.dump(replace(stream, segments=(replace(segment, sections=sections),))))
    inspect(str(path))
    with pytest.raises(bitstream.Corrupt, match="more data"):
        verify(str(path))


@pytest.mark.parametrize(
    "kind", ["gradient", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("flat", "still"))]
)
def test_more_bytes_than_there_is_use_for(tmp_path: Path, kind: str) -> None:
    """The file has the best quality, and holds latents at the same step they were chosen for."""
    frames = moving_gradient(64, 48, 6)
    if kind == "flat":
        frames[:] = (40, 90, 200)
    elif kind == "still":
        frames[:] = frames[:1]
    source = write_clip(tmp_path / "a.mkv", frames)
    result = inrcodec.encode(str(source), str(tmp_path / "a.inrv"), replace(SETTINGS, size_bytes=40_000))
    assert result.psnr_db > 45
    assert result.file_bytes <= 40_000


def test_a_segment_of_too_many_frames_is_refused_before_its_hierarchy_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, video = Inrc(), VideoInfo(16, 16, 1 << 28)
    config = family.plan(VideoInfo(16, 16, 5), 1e5, {}, 0)
    monkeypatch.setattr(
        "inrcodec.models.inrc.shapes.hierarchy", lambda *_: pytest.fail("the hierarchy was made")
    )
    with pytest.raises(bitstream.Corrupt, match="at most 2048 frames"):
        family.unpack(family.pack(config), video, 0)


def test_a_length_of_segments_that_no_file_may_have(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inrcodec.models.inrc.inrc.MOST_FRAMES", 4)
    words = ["encode", str(clip), "-o", str(tmp_path / "a.inrv"), "--segment", "8"]
    assert run(words) == 2
    assert "--segment: this model takes at most 4 frames" in only_line(capfd.readouterr().err.encode())


@pytest.mark.parametrize("option", [("--loss", "l1"), ("--preset", "paper"), ("--batch", "2")])
def test_a_fit_that_goes_on_refuses_what_a_new_one_does(
    clip: Path, encoded: Path, tmp_path: Path, option: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", str(clip), "-o", str(tmp_path / "a.inrv"), "--resume-from", str(encoded), *option]
    assert run(words) == 2
    assert "inrc" in only_line(capfd.readouterr().err.encode())


def test_the_model_is_inrc_unless_a_network_is_asked_for() -> None:
    assert family_of(EncodeSettings()).name == "inrc"
    for asked in (
        EncodeSettings(mask="a.png"),
        EncodeSettings(preset="paper"),
        EncodeSettings(loss="l1"),
        EncodeSettings(parameters=9),
    ):
        assert family_of(asked).name == "hnerv"
    assert family_of(EncodeSettings(model="nerv", loss="l1")).name == "nerv"
