"""How the fit of `inrc` chooses its hierarchy, and what it codes the anchors of it towards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import Frames, write_clip
from test_fit_grids import pan

import inrcodec
from inrcodec.coding.opened_segment import open_segment, open_stream
from inrcodec.fit.grids import pace
from inrcodec.fit.grids.fit import GridFit
from inrcodec.fit.grids.latent_entropy import LatentEntropy
from inrcodec.fit.grids.motion_entropy import MotionEntropy
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.temporal_filter import TemporalFilter
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.hierarchy import hierarchy
from inrcodec.models.inrc.planes import Planes
from inrcodec.models.inrc.shapes import NEWEST_VERSION, InrcConfig
from inrcodec.settings.encode import EncodeSettings

CONFIG = InrcConfig(3, 4, 4, 0, version=NEWEST_VERSION)


def noisy(frames: Frames, deviation: float) -> Frames:
    noise = np.random.default_rng(0).normal(0, deviation, frames.shape)
    return (frames + noise).round().clip(0, 255).astype(np.uint8)


def segment_of(frames: Frames, config: InrcConfig = CONFIG) -> SegmentPlanes:
    height, width = frames.shape[1:3]
    return SegmentPlanes(torch.from_numpy(frames), config, VideoInfo(width, height, len(frames)))


def filtered(source: SegmentPlanes, frame: int, step: float, kept: TemporalFilter | None = None) -> Planes:
    """A frame as its latents are chosen for it, by `kept` or a new filter."""
    found = kept or TemporalFilter(source)
    found.begin(torch.full((source.frame_count, 1, 6, 8), step))
    return found.planes([frame])


# The temporal filter


def test_anchors_lose_noise_and_keep_what_moves() -> None:
    clean = pan(64, 48, 9)
    source, wanted = segment_of(noisy(clean, 8)), segment_of(clean)
    error = (filtered(source, 4, 0.1).luma - wanted.planes([4]).luma).square().mean()
    before = (source.planes([4]).luma - wanted.planes([4]).luma).square().mean()
    assert error < 0.5 * before


@pytest.mark.parametrize("frame", [2, 3, 5])
def test_other_frames_stay_as_they_are(frame: int) -> None:
    source = segment_of(noisy(pan(64, 48, 9), 8))
    assert source.tree.levels[frame] > 1
    assert torch.equal(filtered(source, frame, 0.1).luma, source.planes([frame]).luma)


def test_with_fine_steps_nothing_is_filtered() -> None:
    source = segment_of(noisy(pan(64, 48, 9), 8))
    assert (filtered(source, 0, 1e-4).luma - source.planes([0]).luma).abs().max() < 1e-3


def test_a_shot_takes_nothing_from_another() -> None:
    first, second = noisy(pan(64, 48, 9, 1), 8), noisy(pan(64, 48, 9, 2), 8)
    config = replace(CONFIG, cuts=(9,))
    both, alone = segment_of(np.concatenate([first, second]), config), segment_of(second)
    of_both, of_one = filtered(both, 9, 10.0), filtered(alone, 0, 10.0)
    assert torch.equal(of_both.luma, of_one.luma) and torch.equal(of_both.chroma, of_one.chroma)


def test_a_new_step_filters_anew() -> None:
    source = segment_of(noisy(pan(64, 48, 9), 8))
    kept = TemporalFilter(source)
    coarse = filtered(source, 4, 1.0, kept).luma
    assert torch.equal(filtered(source, 4, 1.01, kept).luma, coarse)
    fine = filtered(source, 4, 0.02, kept).luma
    assert torch.equal(fine, filtered(source, 4, 0.02).luma)
    assert not torch.equal(fine, coarse)


# The distance of anchors


def group_in(path: Path) -> int:
    with open_stream(path) as reader:
        _, _, segment = next(reader.segments())
        config: InrcConfig = open_segment(segment, reader.header).config
    return config.group_frames


@pytest.mark.end_to_end
@pytest.mark.parametrize(("gain", "options", "group"), [(1, {}, 32), (-1, {}, 16), (1, {"group": "16"}, 16)])
def test_anchors_are_as_far_apart_as_the_first_pass_says(
    gain: int, options: dict[str, str], group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_cost(fit: GridFit) -> float:
        return -gain * float(fit._segment.config.group_frames)

    monkeypatch.setattr(GridFit, "first_cost", first_cost)
    monkeypatch.setattr(pace, "BEGINNING_ROUNDS", 0)
    clip, path = write_clip(tmp_path / "clip.mp4", pan(48, 32, 36)), tmp_path / "out.inrv"
    asked = EncodeSettings(size_bytes=4000, epochs=1, device="cpu", model_options=options)
    result = inrcodec.encode(str(clip), path, asked)
    assert group_in(path) == group
    assert 0.97 * 4000 <= result.file_bytes <= 4000


@pytest.mark.parametrize("kind", [LatentEntropy, MotionEntropy])
def test_an_entropy_model_starts_like_one_for_fewer_levels(
    kind: type[LatentEntropy] | type[MotionEntropy],
) -> None:
    near, far = hierarchy(65, 16), hierarchy(65, 32)
    source, model = kind(near, NEWEST_VERSION), kind(far, NEWEST_VERSION)
    with torch.no_grad():
        for value in source.parameters():
            value.copy_(torch.randn(value.shape))
    model.start_like(source)
    rows = {
        name: value.view(near.level_count, -1)
        for name, value in source.named_parameters()
        if value.shape != model.get_parameter(name).shape
    }
    assert rows
    for name, value in model.named_parameters():
        if name not in rows:
            assert torch.equal(value, source.get_parameter(name))
            continue
        # Level 2 of the larger hierarchy has none that is like it; the others are one further.
        expected = rows[name][[0, 1, 2, *range(2, near.level_count)]]
        assert torch.equal(value.view(far.level_count, -1), expected)
