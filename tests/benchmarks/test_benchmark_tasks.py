"""The benchmark of the papers' tasks: boxes, noise, filters, and figures that match the decoded files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import Frames, mean_psnr_db, moving_gradient

import inrcodec
from benchmarks import tasks
from benchmarks.tasks import NOISES, Run, boxes, filtered, noisy
from inrcodec.cli.main import run as run_inrc
from inrcodec.video import Clip, VideoProperties

pytestmark = pytest.mark.end_to_end

COUNT = 6
LIMITS = ("--bpp", "4", "--device", "cpu")


@pytest.fixture
def sample(tmp_path: Path) -> tasks.Sample:
    frames = moving_gradient(61, 35, COUNT)
    clip = Clip(frames, VideoProperties(61, 35, COUNT, Fraction(24), Fraction(1, 24)))
    return tasks.lossless(clip, tmp_path / "clean.mkv")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command line in this process, which saves starting one each time."""

    def inrc(*words: str | Path) -> dict[str, Any]:
        capsys.readouterr()
        assert run_inrc([*map(str, words), "-y", "-q", "--json"]) == 0
        return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]

    monkeypatch.setattr(tasks, "inrc", inrc)


def test_interpolation_measures_frames_that_were_left_out(sample: tasks.Sample, tmp_path: Path) -> None:
    row = tasks.interpolation(sample, Run("hnerv", 2, tmp_path, LIMITS))
    with inrcodec.open(tmp_path / "interpolation-hnerv.inrv") as video:
        seen, between = video[:], np.stack([video.at(0.5), video.at(1.5)])
    source = sample.frames
    assert row["psnr_seen_db"] == pytest.approx(mean_psnr_db(source[[0, 2, 4]], seen), abs=0.05)
    assert row["psnr_held_out_db"] == pytest.approx(mean_psnr_db(source[[1, 3]], between), abs=0.05)
    average = (source[[0, 2]].astype(float) + source[[2, 4]]) / 2
    assert row["psnr_held_out_average_db"] == pytest.approx(
        mean_psnr_db(source[[1, 3]], np.floor(average + 0.5).astype(np.uint8)), abs=1e-3
    )
    assert row["file_bytes"] == (tmp_path / "interpolation-hnerv.inrv").stat().st_size
    with pytest.raises(ValueError, match="at least 3 frames, found 2"):
        short = Clip(source[:2], sample.clip.properties)
        tasks.interpolation(tasks.Sample(sample.path, short), Run("hnerv", 2, tmp_path, LIMITS))


@pytest.mark.usefixtures("quick")
def test_inpainting_measures_inside_and_outside_of_the_boxes(sample: tasks.Sample, tmp_path: Path) -> None:
    row = tasks.inpainting(sample, Run("supermask", 2, tmp_path, LIMITS), seed=3)
    with inrcodec.open(tmp_path / "inpainting-supermask.inrv") as video:
        decoded = video[:]
    holes, source = boxes(61, 35, seed=3), sample.frames
    assert row["masked_share"] == pytest.approx(holes.mean())
    for name, counted in (("masked", holes), ("unmasked", ~holes)):
        expected = mean_psnr_db(source[:, counted][:, None], decoded[:, counted][:, None])
        assert row[f"psnr_{name}_db"] == pytest.approx(expected, abs=0.05)
    assert row["psnr_all_db"] == pytest.approx(mean_psnr_db(source, decoded), abs=0.05)
    # Outside the boxes, input and output equal the source.
    gain = -10 * np.log10(holes.mean())
    assert row["psnr_output_db"] == pytest.approx(row["psnr_masked_db"] + gain, abs=0.01)
    assert 15 < row["psnr_input_db"] < 100


@pytest.mark.usefixtures("quick")
def test_denoising_measures_against_the_clean_clip(
    sample: tasks.Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "NOISES", {"random": NOISES["random"]})
    (row,) = tasks.denoising(sample, Run("hnerv", 4, tmp_path, LIMITS), share=0.05)
    with inrcodec.open(tmp_path / "denoising-random-hnerv.inrv") as video:
        decoded = video[:]
    assert row["psnr_decoded_db"] == pytest.approx(mean_psnr_db(sample.frames, decoded), abs=0.05)
    spoiled = noisy(sample.frames, "random", 0.05)
    assert row["psnr_noisy_db"] == pytest.approx(mean_psnr_db(sample.frames, spoiled), abs=1e-3)
    assert (row["epochs"], row["early_epochs"], row["noise"]) == (4, 1, "random")
    assert row["psnr_early_db"] != row["psnr_decoded_db"]


@pytest.mark.parametrize(("width", "height", "box"), [(1280, 640, 2500), (320, 160, 144), (176, 144, 77)])
def test_boxes_scale_with_the_frame(width: int, height: int, box: int) -> None:
    for seed in range(5):
        holes = boxes(width, height, seed)
        assert holes.shape == (height, width)
        # The five boxes may overlap.
        assert 3 * box < holes.sum() <= 5 * box
        assert np.array_equal(holes, boxes(width, height, seed))
    assert not np.array_equal(boxes(width, height, 0), boxes(width, height, 1))
    assert boxes(2, 1).shape == (1, 2)


@pytest.mark.parametrize(
    ("noise", "codes"), [("white", {255}), ("black", {0}), ("salt-and-pepper", {0, 255})]
)
def test_noise_hits_a_share_of_whole_pixels(noise: str, codes: set[int]) -> None:
    frames = np.full((3, 60, 80, 3), 77, np.uint8)
    spoiled = noisy(frames, noise, share=0.1, seed=4)
    hit = (spoiled != 77).any(axis=-1)
    assert hit.mean() == pytest.approx(0.1, abs=0.01)
    assert set(np.unique(spoiled[hit])) == codes
    assert (spoiled[hit] == spoiled[hit][:, :1]).all()
    assert (frames == 77).all()
    assert np.array_equal(spoiled, noisy(frames, noise, share=0.1, seed=4))


def test_random_noise_has_every_colour() -> None:
    spoiled = noisy(np.full((2, 60, 80, 3), 77, np.uint8), "random", share=0.5)
    changed = spoiled[(spoiled != 77).any(axis=-1)]
    assert len(np.unique(changed)) == 256
    assert changed.mean() == pytest.approx(127.5, abs=4)


def neighbourhoods(frame: Frames) -> np.ndarray:
    """Nine shifted copies of a frame without its edges, (9, height - 2, width - 2, 3)."""
    height, width = frame.shape[:2]
    return np.stack(
        [frame[y : y + height - 2, x : x + width - 2].astype(float) for y in range(3) for x in range(3)]
    )


def test_filters_are_three_by_three() -> None:
    pytest.importorskip("scipy")
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), dtype=np.uint8)
    median, gaussian = filtered(frames, "median"), filtered(frames, "gaussian")
    assert median is not None and gaussian is not None
    weights = np.exp(-0.5 * (np.array([1, 0, 1]) / 0.8) ** 2)
    kernel = np.outer(weights, weights).ravel() / weights.sum() ** 2
    for index, frame in enumerate(frames):
        around = neighbourhoods(frame)
        assert np.array_equal(median[index, 1:-1, 1:-1], np.median(around, axis=0))
        expected = np.tensordot(kernel, around, axes=1)
        assert np.abs(gaussian[index, 1:-1, 1:-1] - expected).max() <= 0.51


def test_without_scipy_the_filters_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "find_spec", lambda name: None)
    assert filtered(np.zeros((1, 3, 3, 3), np.uint8), "median") is None
