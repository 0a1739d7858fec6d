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
from inrcodec.fit.grids.shots import found_cuts, lasting_changes
from inrcodec.models.inrc.shapes import InrcConfig
from inrcodec.settings.encode import EncodeSettings

pytestmark = pytest.mark.end_to_end

WIDTH, HEIGHT = 96, 64
CONFIG = InrcConfig(4, 6, 16, 0, version=1)
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


def cuts_in(path: Path) -> tuple[int, ...]:
    with open_stream(path) as reader:
        _, _, segment = next(reader.segments())
        found: tuple[int, ...] = open_segment(segment, reader.header).config.cuts
    return found


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


@pytest.mark.slow
def test_a_fit_goes_on_with_the_cuts_of_its_file(clip: Path, with_cuts: Path) -> None:
    path = clip.with_name("again.inrv")
    asked = EncodeSettings(device="cpu", epochs=2, resume_from=str(with_cuts))
    result = inrcodec.encode(str(clip), str(path), asked)
    first = inspect(str(with_cuts)).psnr_db
    assert first is not None and result.psnr_db >= first - 1e-3
    assert cuts_in(path) == (8, 16)
