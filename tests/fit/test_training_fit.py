"""Small real fits: they learn, meet their bit budget, and are deterministic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import TRAINED, Frames, mean_psnr_db, moving_gradient

from inrcodec.coding.sections import decode_sections
from inrcodec.coding.trim import SectionCoder
from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.optimizers import capped_rate
from inrcodec.fit.training.step_state import Batches
from inrcodec.plan.network import SegmentPlan, plan_segment
from inrcodec.progress import FitReport, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.memory import KeptMemory
from inrcodec.video import Clip, VideoProperties

pytestmark = pytest.mark.end_to_end

CPU = torch.device("cpu")
FRAMES = moving_gradient(48, 32, 16)
SETTINGS = EncodeSettings(model="hnerv", size_bytes=6000, device="cpu")
VARIANTS = pytest.mark.parametrize(
    ("model", "options"),
    [
        pytest.param("hnerv", {}, id="hnerv"),
        pytest.param("supermask", {}, id="supermask"),
        pytest.param(
            "supermask", {"decoder": "nerv", "biases": "no", "scales": "fixed"}, id="supermask-nerv"
        ),
        *(
            pytest.param(family.name, {}, id=family.name, marks=pytest.mark.slow)
            for family in TRAINED
            if family.name not in ("hnerv", "supermask")
        ),
    ],
)


def clip_of(frames: Frames) -> Clip:
    count, height, width, _ = frames.shape
    return Clip(frames, VideoProperties(width, height, count, Fraction(25), Fraction(1, 25)))


def fitted(settings: EncodeSettings, progress: Silent | None = None) -> tuple[SegmentPlan, TrainedNetwork]:
    clip = clip_of(FRAMES)
    plan = plan_segment(clip.properties, settings)
    result = train_network(FitJob(plan, clip, settings, CPU, progress=progress or Silent()))
    return plan, result


def decoded_psnr_db(plan: SegmentPlan, result: TrainedNetwork) -> float:
    sections = SectionCoder(plan.specs, result.values, result.steps).code(1.0)
    arrays = decode_sections(plan.specs, sections)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        frames = plan.family.decoder(plan.config, plan.video, tensors)(torch.arange(len(FRAMES)))
    codes = frames.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return mean_psnr_db(FRAMES, codes)


@VARIANTS
def test_a_rate_that_a_network_is_too_wide_for_is_named(model: str, options: dict[str, str]) -> None:
    plan = plan_segment(clip_of(FRAMES).properties, replace(SETTINGS, model=model, model_options=options))
    representation = plan.family.representation(plan.config, plan.video, 0)
    used = capped_rate(representation, 100.0)
    assert used is not None and 0 < used < 1
    assert capped_rate(representation, used) is None
    assert capped_rate(representation, 1.01 * used) == used


@pytest.mark.parametrize("asked", [None, 100.0])
def test_only_who_asked_for_a_rate_is_told_aloud_that_it_is_lower(asked: float | None) -> None:
    notes: list[str] = []

    class Notes(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    fitted(replace(SETTINGS, learning_rate=asked, epochs=0.1), Notes())
    told = [message for message in notes if "not 100: a network this wide" in message]
    assert len(told) == (0 if asked is None else 1)


class Details(Silent):
    def __init__(self) -> None:
        self.rates: list[str] = []

    def detail(self, message: str) -> None:
        if "learning rate of convolutions" in message:
            self.rates.append(message)


@pytest.mark.parametrize(
    ("changes", "is_higher"),
    [({}, True), ({"optimizer": "adam"}, False), ({"model": "supermask"}, True)],
)
def test_short_fits_by_muon_have_a_higher_rate_unless_one_is_asked_for(
    changes: dict[str, Any], is_higher: bool
) -> None:
    short = replace(SETTINGS, epochs=0.25, **changes)
    details, asked = Details(), Details()
    values = fitted(short, details)[1].values
    same = fitted(replace(short, learning_rate=short.procedure.learning_rate), asked)[1].values
    assert all(np.array_equal(values[name], same[name]) for name in values) is not is_higher
    assert details.rates == ["4 steps: the learning rate of convolutions is 0.035"] * is_higher
    assert not asked.rates


def test_a_fit_against_the_clock_reckons_with_the_steps_that_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The measured time per step is replaced by a longer one."""
    monkeypatch.setattr("inrcodec.fit.training.loop.Fit.step_seconds", lambda fit: 0.1)
    clip, details = clip_of(FRAMES), Details()
    plan = plan_segment(clip.properties, SETTINGS)
    train_network(FitJob(plan, clip, SETTINGS, CPU, Deadline(4), details))
    (told,) = details.rates
    assert 5 <= int(told.partition(" steps")[0]) <= 40


def test_memory_is_kept_while_steps_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """This includes the steps timed before the fit, and ends when a step fails."""
    kept, seen, forward = KeptMemory(), [], Fit._forward

    def watched(fit: Fit, *arguments: Any) -> Any:
        seen.append(kept._within)
        if len(seen) == 6:
            raise RuntimeError("enough")
        return forward(fit, *arguments)

    monkeypatch.setattr("inrcodec.fit.training.loop.KEPT_MEMORY", kept)
    monkeypatch.setattr(Fit, "_forward", watched)
    clip, plan = clip_of(FRAMES), plan_segment(clip_of(FRAMES).properties, SETTINGS)
    with pytest.raises(RuntimeError, match="enough"):
        train_network(FitJob(plan, clip, SETTINGS, CPU, Deadline(60)))
    assert seen == [1] * 6 and kept._within == 0


@VARIANTS
def test_a_fit_learns_and_its_quantised_tensors_still_know_it(model: str, options: dict[str, str]) -> None:
    settings = replace(SETTINGS, model=model, model_options=options)
    short = decoded_psnr_db(*fitted(replace(settings, epochs=0.25)))
    long = decoded_psnr_db(*fitted(replace(settings, epochs=10)))
    assert long > short + 3
    if model == "hnerv":
        assert long > 20


def test_muon_needs_less_than_half_the_epochs_of_adam() -> None:
    # Fits this short differ from seed to seed and from processor to processor.
    seeds = range(3)
    fast, slow = (
        [decoded_psnr_db(*fitted(replace(SETTINGS, **length, seed=seed))) for seed in seeds]
        for length in ({"epochs": 5, "optimizer": "muon"}, {"epochs": 10, "optimizer": "adam"})
    )
    assert sum(fast) > sum(slow) + 3 * len(seeds)


@VARIANTS
def test_the_same_seed_gives_the_same_values(model: str, options: dict[str, str]) -> None:
    settings = replace(SETTINGS, model=model, model_options=options, epochs=1)
    (_, first), (_, again), (_, other) = (fitted(replace(settings, seed=seed)) for seed in (1, 1, 2))
    assert first.steps == again.steps
    assert all(np.array_equal(first.values[name], again.values[name]) for name in first.values)
    assert any(not np.array_equal(first.values[name], other.values[name]) for name in first.values)


@pytest.mark.parametrize("loss", ["l2", "wavelet", pytest.param("l1", marks=pytest.mark.slow)])
def test_trained_steps_cost_about_the_bits_of_the_plan(loss: str) -> None:
    """This holds for every loss, because rate control scales by the loss's running mean."""
    plan, result = fitted(replace(SETTINGS, epochs=12, loss=loss))
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

    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    reports = Reports()
    fitted(replace(SETTINGS, epochs=2), reports)
    fractions = [report.fraction for report in reports.seen]
    assert len(fractions) == 32
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(report.predicted_bpp > 0 and report.steps_per_second > 0 for report in reports.seen)
    assert reports.seen[-1].psnr_db > reports.seen[0].psnr_db


def test_a_fit_reports_the_psnr_whatever_it_minimises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reports(Silent):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def fit(self, report: FitReport) -> None:
            self.seen.append(report.psnr_db)

    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    first = {}
    for loss in ("l2", "l1+ssim", "wavelet"):
        reports = Reports()
        fitted(replace(SETTINGS, epochs=0.0625, loss=loss), reports)
        # In the first step all three render the same frame: the loss has not changed the network yet.
        (first[loss],) = reports.seen
    assert first["l1+ssim"] == first["wavelet"] == pytest.approx(first["l2"])


def test_torch_settings_stay_as_they_were() -> None:
    before = (torch.get_num_threads(), torch.get_num_interop_threads(), torch.initial_seed())
    fitted(replace(SETTINGS, epochs=0.5))
    assert (torch.get_num_threads(), torch.get_num_interop_threads(), torch.initial_seed()) == before
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_pass_visits_every_frame_once() -> None:
    batches = Batches(7, 3, seed=4, device=CPU)
    visited = torch.cat([batches.next() for _ in range(7)]).tolist()
    for start in (0, 7, 14):
        assert sorted(visited[start : start + 7]) == list(range(7))
