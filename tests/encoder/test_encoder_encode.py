"""The library's `encode`: it meets the target size, reports true figures, and is deterministic."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip
from command_line import CARPHONE, environment

import bitstream
import inrcodec
from inrcodec.coding.opened_segment import open_segment
from inrcodec.coding.sections import decode_sections, row_count
from inrcodec.decoder.info import inspect
from inrcodec.encoder.result import EncodeResult
from inrcodec.errors import InrcError, TargetUnreachable, UsageError
from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.plan.network import plan_segment
from inrcodec.progress import EncodePlan, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video import VideoProperties
from inrcodec.video.images import png_bytes

pytestmark = pytest.mark.end_to_end

DRAFT = EncodeSettings(model="hnerv", device="cpu", preset="draft", epochs=3)
COMBINATIONS: list[tuple[str, dict[str, str]]] = [
    ("hnerv", {}),
    ("supermask", {}),
    ("supermask", {"biases": "no", "scales": "fixed", "weights": "uniform"}),
    ("supermask", {"scales": "learned", "trained": "none"}),
    ("supermask", {"decoder": "nerv"}),
    ("supermask", {"decoder": "nerv", "biases": "no", "scales": "fixed"}),
]
VARIANTS = pytest.mark.parametrize(
    ("model", "options"),
    COMBINATIONS,
    ids=[
        "hnerv",
        "supermask",
        "supermask-fixed",
        "supermask-learned",
        "supermask-nerv",
        "supermask-nerv-fixed",
    ],
)


@dataclass(frozen=True)
class Sample:
    path: str
    frames: Frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that makes a clip by width, height and number of frames, once for each."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(width: int, height: int, count: int) -> Sample:
        path = folder / f"{width}x{height}x{count}.mp4"
        if not path.exists():
            write_clip(path, moving_gradient(width, height, count))
        return Sample(str(path), read_frames(path))

    yield clip


@VARIANTS
@pytest.mark.parametrize("size", [3200, 7001, 20_000])
def test_files_fill_the_size_and_never_exceed_it(
    clips: Any, tmp_path: Path, model: str, options: dict[str, str], size: int
) -> None:
    sample, output = clips(60, 34, 6), tmp_path / "a.inrv"
    asked = replace(DRAFT, model=model, model_options=options, size_bytes=size, epochs=1)
    result = inrcodec.encode(sample.path, str(output), asked)
    assert result.file_bytes == output.stat().st_size
    assert result.target_bytes == size
    assert 0.97 * size <= result.file_bytes <= size
    assert os.listdir(tmp_path) == ["a.inrv"]


@VARIANTS
def test_reported_figures_are_those_of_the_file(
    clips: Any, tmp_path: Path, model: str, options: dict[str, str]
) -> None:
    sample, output = clips(61, 35, 5), str(tmp_path / "a.inrv")
    result = inrcodec.encode(
        sample.path, output, replace(DRAFT, model=model, model_options=options, bpp=4.0, seed=6)
    )
    with inrcodec.open(output, device="cpu") as video:
        decoded = video[:]
    assert result.psnr_db == pytest.approx(mean_psnr_db(sample.frames, decoded), abs=1e-3)
    assert result.bpp == 8 * os.path.getsize(output) / (61 * 35 * 5)
    assert (result.width, result.height, result.frames) == (61, 35, 5)
    assert (result.family, result.steps, result.epochs) == (model, 15, 3.0)
    assert result.psnr_p1_db <= result.psnr_db
    assert 0 < result.fit_seconds < result.seconds
    assert set(result.as_dict()) == {field for field in EncodeResult.__dataclass_fields__}
    report = inspect(output)
    assert report.psnr_db == pytest.approx(result.psnr_db, abs=1e-3)
    assert (report.segments[0].seed, report.segments[0].family) == (6, model)
    assert report.segments[0].parameter_count == result.parameter_count


@VARIANTS
def test_the_same_seed_writes_the_same_bytes(
    clips: Any, tmp_path: Path, model: str, options: dict[str, str]
) -> None:
    def encoded(seed: int) -> bytes:
        output = tmp_path / "a.inrv"
        asked = replace(DRAFT, model=model, model_options=options, size_bytes=5000, seed=seed, overwrite=True)
        inrcodec.encode(clips(48, 32, 4).path, str(output), asked)
        return output.read_bytes()

    first = encoded(1)
    assert encoded(1) == first
    assert encoded(2) != first


def test_a_file_says_what_the_video_is(clips: Any, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    inrcodec.encode(clips(61, 35, 5).path, str(output), replace(DRAFT, bpp=4.0, epochs=0.4))
    stream = bitstream.load(output.read_bytes())
    assert (stream.header.width, stream.header.height, stream.header.frame_count) == (61, 35, 5)
    assert stream.header.frame_rate == 25
    assert stream.metadata["encoder"].startswith("inrc ")
    assert len(stream.segments) == 1


@pytest.mark.parametrize("model", ["hnerv", "supermask"])
def test_a_clip_of_one_frame(clips: Any, tmp_path: Path, model: str) -> None:
    sample, output = clips(48, 32, 1), str(tmp_path / "a.inrv")
    result = inrcodec.encode(sample.path, output, replace(DRAFT, model=model, size_bytes=2500, epochs=40))
    assert (result.frames, result.steps) == (1, 40)
    assert 0.97 * 2500 <= result.file_bytes <= 2500
    with inrcodec.open(output) as video:
        assert video[0].shape == (32, 48, 3)


@VARIANTS
def test_the_smallest_reachable_size_is_reached(
    clips: Any, tmp_path: Path, model: str, options: dict[str, str]
) -> None:
    sample, output = clips(17, 13, 4), tmp_path / "a.inrv"
    asked = replace(DRAFT, model=model, model_options=options)
    with pytest.raises(TargetUnreachable) as caught:
        inrcodec.encode(sample.path, str(output), replace(asked, bpp=0.06))
    assert not output.exists()
    named = re.search(r"size_bytes=(\d+) \(bpp=([\d.]+)\)", str(caught.value))
    assert named is not None
    result = inrcodec.encode(sample.path, str(output), replace(asked, size_bytes=int(named[1])))
    assert result.file_bytes <= int(named[1])
    by_rate = inrcodec.encode(sample.path, str(output), replace(asked, bpp=float(named[2]), overwrite=True))
    assert by_rate.file_bytes <= by_rate.target_bytes
    with inrcodec.open(output) as video:
        assert video[:].shape == (4, 13, 17, 3)


@pytest.mark.parametrize("model", ["hnerv", pytest.param("supermask", marks=pytest.mark.slow)])
def test_a_wall_clock_budget_makes_a_valid_file(clips: Any, tmp_path: Path, model: str) -> None:
    sample, output = clips(48, 32, 4), str(tmp_path / "a.inrv")
    asked = replace(DRAFT, model=model, size_bytes=4000, epochs=None, time_seconds=3.0)
    result = inrcodec.encode(sample.path, output, asked)
    assert result.steps > 0
    assert 0.97 * 4000 <= result.file_bytes <= 4000
    with inrcodec.open(output) as video:
        assert len(video[:]) == 4


def test_a_wall_clock_budget_that_has_passed_is_refused(clips: Any, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    asked = replace(DRAFT, size_bytes=4000, epochs=None, time_seconds=1e-6)
    with pytest.raises(TargetUnreachable, match="give at least"):
        inrcodec.encode(clips(48, 32, 4).path, str(output), asked)
    assert not output.exists()


def test_a_network_that_cannot_shrink_is_refused_before_it_is_fitted(clips: Any, tmp_path: Path) -> None:
    options = {"decoder": "nerv", "biases": "no", "width": "60"}
    asked = replace(DRAFT, size_bytes=2000, model="supermask", model_options=options, epochs=1e9)
    with pytest.raises(TargetUnreachable, match="size_bytes="):
        inrcodec.encode(clips(48, 32, 4).path, str(tmp_path / "a.inrv"), asked)


def test_a_video_beyond_the_format_is_refused_before_it_is_fitted() -> None:
    tall = VideoProperties(8, 40_000, 1, Fraction(25), Fraction(1, 25))
    with pytest.raises(UsageError, match="too large"):
        plan_segment(tall, replace(DRAFT, bpp=0.5))


def test_frames_too_large_for_a_file_are_refused_at_the_first_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.png").write_bytes(png_bytes(np.zeros((2, 33_000, 3), np.uint8)))
    (tmp_path / "in" / "2.png").write_bytes(b"never read")
    with pytest.raises(UsageError, match="33000x2 pixels are too large; shrink them with scale"):
        inrcodec.encode(str(tmp_path / "in"), str(tmp_path / "a.inrv"), replace(DRAFT, size_bytes=4000))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in"]


def test_the_papers_pipeline_loses_little_by_quantising_afterwards(clips: Any, tmp_path: Path) -> None:
    sample, output = clips(48, 32, 4), tmp_path / "a.inrv"
    asked = replace(DRAFT, size_bytes=7000, preset="paper", epochs=300)
    result = inrcodec.encode(sample.path, str(output), asked)
    assert result.psnr_db > 25
    assert abs(result.quantisation_loss_db) < 0.5
    assert 0.97 * 7000 <= result.file_bytes <= 7000
    # The plan counts the bits that symbols take, so that steps need not be much coarser than 8 and 6 bits.
    assert 0.2 < result.step_factor < 1.2
    tensors = decoded_tensors(output)
    weights = np.concatenate([value.ravel() for name, value in tensors.items() if "weight" in name])
    assert np.count_nonzero(weights == 0) >= round(0.1 * len(weights))


def decoded_tensors(path: Path) -> dict[str, Any]:
    stream = bitstream.load(path.read_bytes())
    opened = open_segment(stream.segments[0], stream.header)
    return decode_sections(opened.specs, opened.segment.sections)


def test_steps_of_rows_decode_from_the_file(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeating a tensor's step for each of its rows changes neither values nor pixels."""

    def by_row(job: FitJob) -> TrainedNetwork:
        plan, fitted = job.plan, train_network(job)
        rows = {spec.name: row_count(spec) for spec in plan.specs}
        steps = {name: (step,) * rows[name] for name, step in fitted.steps.items()}
        return replace(fitted, steps=steps)

    asked = replace(DRAFT, size_bytes=9000, preset="paper", epochs=1)
    monkeypatch.setattr("inrcodec.fit.network.train_network", by_row)
    output = tmp_path / "rows.inrv"
    result = inrcodec.encode(clips(48, 32, 4).path, str(output), asked)
    sections = bitstream.load(output.read_bytes()).segments[0].sections
    assert max(len(section.steps) for section in sections) > 20
    assert 0.97 * 9000 <= result.file_bytes == output.stat().st_size <= 9000
    assert inspect(str(output)).psnr_db == pytest.approx(result.psnr_db, abs=1e-3)
    with inrcodec.open(output, device="cpu") as video:
        assert mean_psnr_db(clips(48, 32, 4).frames, video[:]) == pytest.approx(result.psnr_db, abs=1e-3)


def test_the_plan_is_told_before_the_fit_and_every_frame_is_checked(clips: Any, tmp_path: Path) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.plans: list[EncodePlan] = []
            self.checked = 0

        def plan(self, plan: EncodePlan) -> None:
            self.plans.append(plan)

        def stage(self, name: str, done: int, total: int) -> None:
            if name == "checking":
                assert total == 4
                self.checked = done

    told, sample = Told(), clips(48, 32, 4)
    result = inrcodec.encode(sample.path, str(tmp_path / "a.inrv"), replace(DRAFT, size_bytes=4000), told)
    (plan,) = told.plans
    assert (plan.source, plan.width, plan.height, plan.frame_count) == (sample.path, 48, 32, 4)
    assert (plan.model, plan.target_bytes, plan.epochs) == ("hnerv", 4000, 3)
    assert plan.parameter_count == result.parameter_count
    assert told.checked == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "best"},
        {"model": "best"},
        {"model_options": {"best": "yes"}},
        {"device": "best"},
        {"bpp": 1.0},
        {"size_bytes": 0},
        {"epochs": 0.0},
        {"epochs": float("nan")},
        {"epochs": None, "time_seconds": -1.0},
        {"time_seconds": 3.0},
        {"loss": "psnr"},
        {"loss": "l1+ms-ssim"},
        {"prune": -0.1},
        {"prune": 0.96},
        {"prune": float("nan")},
        {"model": "supermask", "prune": 0.1},
        {"weight_bits": 8},
        {"embedding_bits": 6},
        {"preset": "paper", "weight_bits": 1},
        {"preset": "paper", "weight_bits": 0},
        {"preset": "paper", "embedding_bits": 13},
        {"seed": -1},
        {"seed": 1 << 64},
    ],
    ids=str,
)
def test_requests_that_cannot_be_met(clips: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    output = tmp_path / "a.inrv"
    with pytest.raises(UsageError):
        inrcodec.encode(clips(48, 32, 4).path, str(output), replace(DRAFT, **{"size_bytes": 4000} | changes))
    assert os.listdir(tmp_path) == []


def test_existing_outputs_and_the_input_itself_are_refused(clips: Any, tmp_path: Path) -> None:
    sample, output = clips(48, 32, 4), tmp_path / "a.inrv"
    output.write_bytes(b"earlier")
    for target in (str(output), sample.path):
        with pytest.raises(UsageError):
            inrcodec.encode(sample.path, target, replace(DRAFT, size_bytes=4000))
    assert output.read_bytes() == b"earlier"


def test_an_output_that_is_not_named_inrv_is_refused(clips: Any, tmp_path: Path) -> None:
    sample, output = clips(48, 32, 4), str(tmp_path / "b.mp4")
    with pytest.raises(UsageError, match="b.mp4: encode writes .inrv files; write output=.*b.inrv"):
        inrcodec.encode(sample.path, output, DRAFT)
    with pytest.raises(UsageError, match="b.mp4: encode writes .inrv files; write output=.*b.inrv"):
        inrcodec.encode_ladder(sample.path, output, [4, 8], DRAFT)
    assert os.listdir(tmp_path) == []


def test_a_fit_that_diverged_is_one_clear_error(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(job: FitJob) -> TrainedNetwork:
        fitted = train_network(job)
        return replace(fitted, values={name: value * np.nan for name, value in fitted.values.items()})

    monkeypatch.setattr("inrcodec.fit.network.train_network", diverged)
    with pytest.raises(InrcError, match="diverged"):
        inrcodec.encode(clips(48, 32, 4).path, str(tmp_path / "a.inrv"), replace(DRAFT, size_bytes=4000))
    assert os.listdir(tmp_path) == []


def test_torch_settings_stay_as_they_were(clips: Any, tmp_path: Path) -> None:
    before = (torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype())
    inrcodec.encode(
        clips(48, 32, 4).path, str(tmp_path / "a.inrv"), replace(DRAFT, size_bytes=4000, epochs=0.5)
    )
    assert (torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype()) == before
    assert torch.is_grad_enabled()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "least_db"), [("hnerv", 27.0), ("supermask", 23.0)])
def test_a_longer_fit_of_a_real_clip(tmp_path: Path, model: str, least_db: float) -> None:
    asked = EncodeSettings(model=model, bpp=0.3, time_seconds=120, device="cpu")
    result = inrcodec.encode(CARPHONE, str(tmp_path / "a.inrv"), asked)
    assert 0.97 * result.target_bytes <= result.file_bytes <= result.target_bytes
    assert result.psnr_db >= least_db
    assert np.isclose(result.quantisation_loss_db, 0, atol=0.15)


TINY = ["--model", "hnerv", "--epochs", "1", "--size", "6k", "--device", "cpu"]


def started_encode(source: str, output: Path, *more: str, **streams: Any) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "inrcodec", "encode", source, "-o", str(output), *TINY, *more]
    return subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, **streams)


def test_a_video_on_standard_input_makes_the_file_of_the_same_video_by_name(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_gradient(32, 16, 4))
    by_name, piped = tmp_path / "name.inrv", tmp_path / "piped.inrv"
    inrcodec.encode(
        str(clip), str(by_name), EncodeSettings(model="hnerv", device="cpu", epochs=1, size_bytes=6000)
    )
    with started_encode("-", piped, stdin=subprocess.PIPE) as process:
        _, said = process.communicate(clip.read_bytes(), timeout=120)
    assert process.returncode == 0 and said.startswith(b"-: 4 frames of 32x16"), said
    assert piped.read_bytes() == by_name.read_bytes()
    with started_encode("-", tmp_path / "none.inrv", stdin=subprocess.DEVNULL) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and said.startswith(b"inrc: error: standard input is not a video")
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "name.inrv", "piped.inrv"]


def test_two_encodes_of_one_output_do_not_meet(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_gradient(32, 16, 4))
    output = tmp_path / "a.inrv"
    with started_encode(str(clip), output, "--epochs", "20000", "--checkpoint", "0.1s") as first:
        while not (tmp_path / "a.inrv.resume").exists():
            assert first.poll() is None
            time.sleep(0.05)
        with started_encode(str(clip), output) as second:
            _, said = second.communicate(timeout=120)
        assert second.returncode == 2
        assert b"a.inrv is being written by another process" in said and said.count(b"\n") == 1
        assert (tmp_path / "a.inrv.resume").exists()
        first.kill()
    # The lock ended with its process, though its file remains.
    assert (tmp_path / ".a.inrv.partial").exists()
    with started_encode(str(clip), output, "-y") as third:
        third.communicate(timeout=120)
    assert third.returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "clip.mp4"]
