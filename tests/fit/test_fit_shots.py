"""Cuts found by the `inrc` fit: at scenes and nowhere else, and for fewer bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip

import inrcodec
from inrcodec.coding.opened_segment import open_segment, open_stream
from inrcodec.decoder.info import inspect
from inrcodec.fit.grids import shots
from inrcodec.fit.grids.shots import found_cuts, found_returns, lasting_changes
from inrcodec.models.inrc.shapes import NEWEST_VERSION, InrcConfig
from inrcodec.settings.encode import EncodeSettings

pytestmark = pytest.mark.end_to_end

WIDTH, HEIGHT = 96, 64
CONFIG = InrcConfig(4, 6, 16, 0, version=NEWEST_VERSION)
SETTINGS = EncodeSettings(model="inrc", device="cpu", epochs=2, size_bytes=3000, overwrite=True)


def scene(count: int, seed: int) -> Frames:
    """A slow pan over squares of random colours with soft edges: (count, HEIGHT, WIDTH, 3)."""
    random = np.random.default_rng(seed)
    wide = random.integers(0, 256, (6, 12, 3)).astype(np.float64).repeat(16, 0).repeat(16, 1)
    for axis in (0, 1):
        wide = (np.roll(wide, -1, axis) + 2 * wide + np.roll(wide, 1, axis)) / 4
    lefts = [20 + time // 2 for time in range(count)]
    views = [wide[10 : 10 + HEIGHT, left : left + WIDTH] for left in lefts]
    return np.stack(views).round().astype(np.uint8)


def mixed(one: Frames, other: Frames, share: float) -> Frames:
    return ((1 - share) * one + share * other).round().astype(np.uint8)


def test_a_cut_is_where_the_scene_changes() -> None:
    scenes = [scene(9, 1), scene(14, 2), scene(7, 3)]
    assert found_cuts(np.concatenate(scenes), CONFIG) == (9, 23)


def test_changes_start_from_the_second_frame() -> None:
    changes = lasting_changes(np.concatenate([scene(3, 1), scene(3, 2)]))
    assert changes[0] == 0 and changes.argmax() == 3
    assert lasting_changes(scene(1, 1)).tolist() == [0]
    assert found_cuts(scene(1, 1), CONFIG) == found_cuts(scene(2, 1), CONFIG) == ()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length: int) -> None:
    frames = scene(40, 1)
    frames[17 : 17 + length] = 255 - frames[17 : 17 + length] // 8
    assert found_cuts(frames, CONFIG) == ()


@pytest.mark.parametrize("length", [3, 6, 12])
def test_a_fade_is_no_row_of_cuts(length: int) -> None:
    before, after = scene(40, 1), scene(40, 2)
    shares = np.clip((np.arange(40) - 14) / length, 0, 1)
    dissolved = np.stack([mixed(*frames) for frames in zip(before, after, shares, strict=True)])
    assert found_cuts(dissolved, CONFIG) == ()
    black = np.zeros_like(before)
    faded = np.stack([mixed(*frames) for frames in zip(before, black, shares, strict=True)])
    assert len(found_cuts(faded, CONFIG)) <= 1


def test_movement_and_noise_have_no_cuts() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, HEIGHT, WIDTH, 3)).astype(np.uint8)
    for frames in (scene(30, 1), moving_gradient(WIDTH, HEIGHT, 30), noise, scene(60, 1)[::3]):
        assert found_cuts(frames, CONFIG) == ()


def test_a_shot_returns_to_the_end_of_an_earlier_one_that_is_like_it() -> None:
    first, second, other = scene(24, 1), scene(8, 2), scene(8, 3)
    frames = np.concatenate([first[:8], second, first[8:16], other, first[16:]])
    cuts = found_cuts(frames, CONFIG)
    assert cuts == (8, 16, 24, 32)
    returns = found_returns(frames, replace(CONFIG, cuts=cuts))
    assert returns[::2] == (-1, -1)
    assert returns[1] in (0, 7) and returns[3] in (0, 7, 16, 23)
    apart = np.concatenate([first[:8], second, other])
    assert found_returns(apart, replace(CONFIG, cuts=(8, 16))) == ()


def config_in(path: Path) -> InrcConfig:
    with open_stream(path) as reader:
        _, _, segment = next(reader.segments())
        found: InrcConfig = open_segment(segment, reader.header).config
    return found


def cuts_in(path: Path) -> tuple[int, ...]:
    return config_in(path).cuts


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenes = np.concatenate([scene(8, 1), scene(8, 2), scene(8, 3)])
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", scenes)


@pytest.fixture(scope="module")
def with_cuts(clip: Path) -> Path:
    path = clip.with_name("cuts.inrv")
    inrcodec.encode(str(clip), str(path), SETTINGS)
    return path


def test_a_file_has_its_cuts_and_any_frame_can_be_read(clip: Path, with_cuts: Path) -> None:
    assert cuts_in(with_cuts) == (8, 16)
    source = read_frames(clip)
    with inrcodec.open(with_cuts, "cpu", "float32") as video:
        whole = video[:]
        # The stated PSNR is measured on the frames that the encoder has.
        assert mean_psnr_db(source, whole) == pytest.approx(inspect(str(with_cuts)).psnr_db, abs=0.02)
        assert np.array_equal(video.at(7.5), whole[7])
    for frame in (23, 8, 12, 7, 0):
        with inrcodec.open(with_cuts, "cpu", "float32") as video:
            assert np.array_equal(video[frame], whole[frame])


def test_a_file_with_cuts_is_smaller_and_better(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, smaller = clip.with_name("none.inrv"), clip.with_name("smaller.inrv")
    with monkeypatch.context() as patched:
        patched.setattr(shots, "found_cuts", lambda *_: ())
        without = inrcodec.encode(str(clip), str(path), SETTINGS)
    found = inrcodec.encode(str(clip), str(smaller), replace(SETTINGS, size_bytes=2500))
    assert (cuts_in(path), cuts_in(smaller)) == ((), (8, 16))
    assert found.file_bytes < 0.9 * without.file_bytes
    assert found.psnr_db > without.psnr_db


def test_a_file_whose_shots_return_is_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = scene(16, 1), scene(8, 2)
    clip = write_clip(tmp_path / "clip.mp4", np.concatenate([first[:8], second, first[8:]]))
    path, without = tmp_path / "returns.inrv", tmp_path / "none.inrv"
    found = inrcodec.encode(str(clip), str(path), SETTINGS)
    monkeypatch.setattr(shots, "found_returns", lambda *_: ())
    apart = inrcodec.encode(str(clip), str(without), SETTINGS)
    assert config_in(path).returns in ((-1, 0), (-1, 7)) and config_in(without).returns == ()
    assert found.psnr_db > apart.psnr_db + 0.3 and found.file_bytes <= apart.file_bytes * 1.03
    source = read_frames(clip)
    with inrcodec.open(path, "cpu", "float32") as video:
        whole = video[:]
    assert mean_psnr_db(source, whole) == pytest.approx(found.psnr_db, abs=0.02)
    for frame in (20, 16, 7):
        with inrcodec.open(path, "cpu", "float32") as video:
            assert np.array_equal(video[frame], whole[frame])


@pytest.mark.slow
def test_a_fit_goes_on_with_the_cuts_of_its_file(clip: Path, with_cuts: Path) -> None:
    path = clip.with_name("again.inrv")
    asked = EncodeSettings(device="cpu", epochs=2, resume_from=str(with_cuts))
    result = inrcodec.encode(str(clip), str(path), asked)
    first = inspect(str(with_cuts)).psnr_db
    assert first is not None and result.psnr_db >= first - 1e-3
    assert cuts_in(path) == (8, 16)
