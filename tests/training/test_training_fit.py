"""Small real fits: they learn, they keep to their bits, and the same seed does the same twice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from codec_samples import Frames, mean_psnr_db, moving_gradient

from inrcodec.compression.quantiser import Quantiser
from inrcodec.compression.search import SectionCoder
from inrcodec.compression.sections import decode_sections
from inrcodec.fitting import FittedSegment, fit_segment
from inrcodec.models.layout import Window
from inrcodec.planning import SegmentPlan, plan_segment
from inrcodec.progress import FitReport, Silent
from inrcodec.settings import EncodeSettings
from inrcodec.training.loop import Fit, FitSettings, Meter, _batches, take_frames
from inrcodec.training.rate_control import RateControl
from inrcodec.training.schedule import StepClock
from inrcodec.video import Clip, VideoProperties

CPU = torch.device("cpu")
FRAMES = moving_gradient(48, 32, 16)
SETTINGS = EncodeSettings(size_bytes=6000, device="cpu")
FAMILIES = pytest.mark.parametrize(
    ("model", "options"),
    [
        ("hnerv", {}),
        ("supermask", {}),
        ("supermask", {"decoder": "nerv", "biases": "no", "scales": "fixed"}),
    ],
    ids=["hnerv", "supermask", "supermask-nerv"],
)


def clip_of(frames: Frames) -> Clip:
    count, height, width, _ = frames.shape
    return Clip(frames, VideoProperties(width, height, count, Fraction(25), Fraction(1, 25)))


def fitted(settings: EncodeSettings, progress: Silent | None = None) -> tuple[SegmentPlan, FittedSegment]:
    clip = clip_of(FRAMES)
    plan = plan_segment(clip.properties, settings)
    result = fit_segment(plan, clip, settings, CPU, None, progress or Silent(), lambda seconds, epochs: None)
    return plan, result


def decoded_psnr_db(plan: SegmentPlan, result: FittedSegment) -> float:
    sections = SectionCoder(plan.specs, result.values, result.steps).code(1.0)
    arrays = decode_sections(plan.specs, sections)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        frames = plan.family.decoder(plan.config, plan.video, tensors)(torch.arange(len(FRAMES)))
    codes = frames.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return mean_psnr_db(FRAMES, codes)


@FAMILIES
def test_a_fit_learns_and_its_quantised_tensors_still_know_it(model: str, options: dict[str, str]) -> None:
    settings = replace(SETTINGS, model=model, model_options=options)
    short = decoded_psnr_db(*fitted(replace(settings, epochs=0.25)))
    long = decoded_psnr_db(*fitted(replace(settings, epochs=25)))
    assert long > short + 3
    if model == "hnerv":
        assert long > 20


@FAMILIES
def test_the_same_seed_gives_the_same_values(model: str, options: dict[str, str]) -> None:
    settings = replace(SETTINGS, model=model, model_options=options, epochs=1)
    (_, first), (_, again), (_, other) = (fitted(replace(settings, seed=seed)) for seed in (1, 1, 2))
    assert first.steps == again.steps
    assert all(np.array_equal(first.values[name], again.values[name]) for name in first.values)
    assert any(not np.array_equal(first.values[name], other.values[name]) for name in first.values)


def test_trained_steps_cost_about_the_bits_of_the_plan() -> None:
    plan, result = fitted(replace(SETTINGS, epochs=25))
    sections = SectionCoder(plan.specs, result.values, result.steps).code(1.0)
    payload = sum(len(section.payload) for section in sections)
    assert payload == pytest.approx(plan.payload_bytes, rel=0.35)


def test_a_fitted_segment_has_every_tensor_of_the_plan() -> None:
    plan, result = fitted(replace(SETTINGS, epochs=0.5))
    assert {name: value.shape for name, value in result.values.items()} == {
        spec.name: spec.shape for spec in plan.specs
    }
    assert all(value.dtype == np.float32 for value in result.values.values())
    assert (result.fit_steps, result.epochs) == (8, 0.5)
    assert len(result.sampled) == len(result.sampled_psnr_db) <= 16
    assert result.seconds >= 0


def test_a_fit_reports_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reports(Silent):
        def __init__(self) -> None:
            self.seen: list[FitReport] = []

        def fit(self, report: FitReport) -> None:
            self.seen.append(report)

    monkeypatch.setattr("inrcodec.training.loop.REPORT_SECONDS", 0.0)
    reports = Reports()
    fitted(replace(SETTINGS, epochs=2), reports)
    fractions = [report.fraction for report in reports.seen]
    assert len(fractions) == 32
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(report.predicted_bpp > 0 and report.steps_per_second > 0 for report in reports.seen)
    assert reports.seen[-1].psnr_db > reports.seen[0].psnr_db


def test_torch_settings_stay_as_they_were() -> None:
    before = (torch.get_num_threads(), torch.get_num_interop_threads(), torch.initial_seed())
    fitted(replace(SETTINGS, epochs=0.5))
    assert (torch.get_num_threads(), torch.get_num_interop_threads(), torch.initial_seed()) == before
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("tiles", [1, 2, 3])
def test_a_pass_visits_every_pixel_once(tiles: int) -> None:
    clip = torch.zeros(3, 17, 25, 3, dtype=torch.uint8)
    settings = FitSettings(1e-3, 1, 0.0, 0.75, seed=4, dtype=torch.float32, tiles=tiles)
    batches = _batches(clip, settings)
    for _ in range(len(clip) * tiles**2):
        indices, window = next(batches)
        shown = window or Window(0, 17, 0, 25)
        clip[indices, shown.top : shown.bottom, shown.left : shown.right] += 1
    assert (clip == 1).all()


def test_a_fit_of_tiles_learns() -> None:
    plan = plan_segment(clip_of(FRAMES).properties, SETTINGS)
    frames = torch.from_numpy(FRAMES)
    errors = []
    for steps in (1, 300):
        representation = plan.family.representation(plan.config, plan.video, seed=0)
        values = representation.transmitted(take_frames(frames, torch.arange(8)), torch.arange(8))
        quantiser = Quantiser(plan.specs, values, bits_per_symbol=8.0)
        settings = FitSettings(8e-3, 1, 0.0, 0.75, seed=0, dtype=torch.float32, tiles=2)
        meter = Meter(Silent(), 1, 0.0, CPU)
        control = RateControl(8.0 * plan.payload_bytes, CPU)
        done = Fit(representation, quantiser, frames, settings).run(StepClock(steps), control, meter)
        assert done.epochs == pytest.approx(steps / len(frames) / 4)
        indices = torch.arange(len(frames))
        with torch.no_grad():
            everything = representation.transmitted(take_frames(frames, indices), indices)
            rendered = representation.render(everything, indices)
        errors.append(torch.nn.functional.mse_loss(rendered, take_frames(frames, indices)).item())
    assert errors[1] < errors[0] / 4
