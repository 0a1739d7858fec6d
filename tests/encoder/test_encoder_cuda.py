"""Encodes and decodes on CUDA, by `simulated_cuda`: no machine without a GPU could run them otherwise."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import TRAINED, mean_psnr_db, moving_gradient, read_frames, write_clip
from simulated_cuda import simulated_cuda

import inrcodec
from inrcodec.fit.training.step_state import Noise
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import FAMILIES
from inrcodec.progress import FitReport, Silent
from inrcodec.settings.encode import EncodeSettings

pytestmark = pytest.mark.end_to_end

FRAMES = moving_gradient(48, 32, 6)
SETTINGS = EncodeSettings(model="hnerv", size_bytes=9000, epochs=1, device="cuda")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", FRAMES)


def settings_of(name: str) -> EncodeSettings:
    if name == "inrc":
        return EncodeSettings(model=name, size_bytes=2000, device="cuda", epochs=0.25)
    return replace(SETTINGS, model=name)


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_a_gpu_encodes_and_decodes(clip: Path, tmp_path: Path, hurried: None, name: str) -> None:
    """All tensors are on the device, and a CPU decodes the same frames within a level.

    Sums are added in a fixed order, so that each run decodes the same frames and makes the same file.
    """
    if name == "inrc":
        # Its many small operations are simulated slowly.
        clip = write_clip(tmp_path / "clip.mp4", moving_gradient(16, 16, 2))
    output, before = tmp_path / "a.inrv", torch.get_rng_state()
    with simulated_cuda() as device:
        result = inrcodec.encode(str(clip), str(output), settings_of(name))
        with inrcodec.open(str(output), device="cuda") as video:
            on_device = np.concatenate([*video.batches(range(len(video)))])
    with inrcodec.open(str(output), device="cpu") as video:
        on_host = np.concatenate([*video.batches(range(len(video)))])
    assert device.counts.kernels > 0 and not device.counts.unordered
    assert mean_psnr_db(read_frames(clip), on_device) == pytest.approx(result.psnr_db, abs=0.3)
    assert int(np.abs(on_device.astype(int) - on_host.astype(int)).max()) <= 1
    assert torch.equal(torch.get_rng_state(), before), "a fit uses generators of its own"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")
@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_a_real_gpu_makes_the_same_file_and_frames_twice(clip: Path, tmp_path: Path, name: str) -> None:
    files = [tmp_path / "a.inrv", tmp_path / "b.inrv"]
    for file in files:
        inrcodec.encode(str(clip), str(file), settings_of(name))
    assert files[0].read_bytes() == files[1].read_bytes()
    found = []
    for device in ("cuda", "cuda", "cpu"):
        with inrcodec.open(str(files[0]), device=device, precision="float32") as video:
            found.append(video[:].astype(int))
    assert np.array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() <= 1


class _Stops(Silent):
    """Interrupts a fit at a fraction of its length."""

    def __init__(self, fraction: float) -> None:
        self.fraction, self.begins, self.notes = fraction, 1.0, list[str]()

    def fit(self, report: FitReport) -> None:
        self.begins = min(self.begins, report.fraction)
        if report.fraction >= self.fraction:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.parametrize(
    ("model", "preset", "begins"),
    [("hnerv", "draft", "cuda"), ("hnerv", "paper", "cpu"), ("supermask", "draft", "cuda")],
)
def test_a_fit_is_resumed_on_another_device(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, preset: str, begins: str
) -> None:
    """It goes on where it stopped, and ends where it would have ended on the first device."""
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    asked = replace(SETTINGS, model=model, preset=preset, epochs=2, checkpoint_seconds=1e-6)
    ends, output = "cpu" if begins == "cuda" else "cuda", tmp_path / "a.inrv"

    def encoded(device: str, output: Path, progress: Silent) -> inrcodec.EncodeResult:
        # Without bfloat16 both devices compute nearly the same.
        with simulated_cuda((7, 5)) if device == "cuda" else nullcontext():
            return inrcodec.encode(str(clip), str(output), replace(asked, device=device), progress)

    monkeypatch.setattr("inrcodec.system.device._multiplies_bfloat16", lambda device: False)
    with pytest.raises(KeyboardInterrupt):
        encoded(begins, output, _Stops(0.8))
    resumed = encoded(ends, output, progress := _Stops(2.0))
    assert progress.begins > 0.8
    assert any(f"this encode began on {begins}" in note for note in progress.notes)
    whole = encoded(begins, tmp_path / "b.inrv", Silent())
    assert resumed.steps == whole.steps
    assert resumed.psnr_db == pytest.approx(whole.psnr_db, abs=0.3)
    assert not (tmp_path / "a.inrv.resume").exists()


def test_noise_goes_on_at_the_same_step_on_any_device() -> None:
    """Its state is the number of steps; no two steps or seeds have the same noise."""
    cpu = torch.device("cpu")
    first, other = Noise(7, cpu), Noise(8, cpu)
    drawn = [torch.rand(4, generator=noise.next()) for noise in (first, first, first, other, other)]
    assert first.state_dict() == {"step": 3}
    assert len({tuple(one.tolist()) for one in drawn}) == 5
    later = Noise(7, cpu)
    later.load_state_dict({"step": 2})
    assert torch.equal(torch.rand(4, generator=later.next()), drawn[2])
    assert torch.equal(torch.rand(4, generator=later.again()), drawn[2])
    assert later.state_dict() == {"step": 3}


def test_families_draw_first_values_from_their_seed_alone() -> None:
    before = torch.get_rng_state()
    video = VideoInfo(48, 32, 4)
    for family in TRAINED:
        family.representation(family.plan(video, 60_000, {}, 0), video, 0)
    assert torch.equal(torch.get_rng_state(), before)
