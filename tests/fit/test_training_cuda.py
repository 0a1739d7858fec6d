"""Steps of a fit on CUDA: how many kernels they launch, and that they neither copy nor wait.

`simulated_cuda` holds the rules on every machine. Tests of a real GPU are skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import moving_gradient
from simulated_cuda import CUDA, Counts, DeviceMismatch, Waited, simulated_cuda

from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.step_state import Batches
from inrcodec.plan.network import plan_segment
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video import Clip, VideoProperties

pytestmark = pytest.mark.end_to_end
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")

STEPS = 4
"""The first step may make what later ones keep; the last one prunes."""
FIXED_MASKS = {"decoder": "nerv", "biases": "no", "scales": "fixed"}
CASES = [
    ("hnerv", {}, "medium", "l2", 570),
    ("nerv", {}, "medium", "l2", 280),
    ("snerv", {}, "medium", "l2", 890),
    ("snerv-t", {}, "medium", "l2", 1440),
    ("supermask", {}, "medium", "l2", 640),
    ("supermask", FIXED_MASKS, "medium", "l2", 230),
    ("hnerv", {}, "paper", "l2", 380),
    ("nerv", {}, "paper", "l2", 120),
    ("snerv", {}, "paper", "l2", 680),
    ("snerv-t", {}, "paper", "l2", 1310),
    ("hnerv", {}, "medium", "l1", 570),
    ("hnerv", {}, "medium", "l1+ssim", 650),
    ("hnerv", {}, "medium", "l1+ms-ssim", 1040),
    ("hnerv", {}, "medium", "wavelet", 870),
]
"""Model, its options, preset, loss, and the most kernels of a step. Raise one for a measured gain only."""


def trained(
    device: torch.device, model: str, options: dict[str, str], preset: str, loss: str, is_masked: bool = False
) -> TrainedNetwork:
    """A fit of `STEPS` steps."""
    side = 176 if loss == "l1+ms-ssim" else 32
    frames = moving_gradient(side, side, 4)
    properties = VideoProperties(side, side, 4, Fraction(25), Fraction(1, 25))
    keep = np.ones((1, side, side), bool) if is_masked else None
    settings = EncodeSettings(model=model, preset=preset, loss=loss, size_bytes=12_000, model_options=options)
    settings = replace(settings, epochs=STEPS * settings.procedure.batch_frames / len(frames))
    clip = Clip(frames, properties, keep)
    return train_network(FitJob(plan_segment(properties, settings), clip, settings, device))


@contextmanager
def watched(begin_step: Callable[[int], None]) -> Iterator[None]:
    """Call `begin_step` with the number of each step, from 0, and of the end of the last one."""
    take, run, number = Batches.next, Fit.run, 0

    def next_batch(batches: Batches) -> torch.Tensor:
        nonlocal number
        begin_step(number)
        number += 1
        return take(batches)

    def whole_run(fit: Fit, *arguments: Any) -> Any:
        result = run(fit, *arguments)
        begin_step(number)
        return result

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Batches, "next", next_batch)
        patched.setattr(Fit, "run", whole_run)
        # A report reads two numbers from the device.
        patched.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 1e9)
        yield


def steps_of(*case: Any, **more: Any) -> list[Counts]:
    """Counts of each step but the first. A wait raises `Waited`."""
    found: list[Counts] = []
    with simulated_cuda() as device:

        def begin_step(number: int) -> None:
            found.append(device.begin())
            device.refuses_waits = 1 <= number < STEPS

        with watched(begin_step):
            trained(CUDA, *case, **more)
    # The last one counts what follows the fit.
    return found[1:-1]


@pytest.mark.parametrize(("model", "options", "preset", "loss", "most_kernels"), CASES)
def test_a_step_waits_for_nothing_and_launches_few_kernels(
    model: str, options: dict[str, str], preset: str, loss: str, most_kernels: int
) -> None:
    counts = steps_of(model, options, preset, loss)
    assert len(counts) == STEPS - 1
    assert 0.5 * most_kernels < max(one.kernels for one in counts) <= most_kernels
    assert not any(one.unordered for one in counts), "sums have a fixed order"


def test_a_step_with_holes_in_the_frames_waits_for_nothing() -> None:
    assert steps_of("hnerv", {}, "medium", "l2", is_masked=True)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda values: values.detach().abs().mean().item() + values, Waited),
        (lambda values: values.cpu().to(values.device), Waited),
        (lambda values: values[values > 0].sum() + values, Waited),
        (lambda values: values + torch.ones(values.shape), DeviceMismatch),
        (
            lambda values: values + torch.rand(3, device=CUDA, generator=torch.default_generator),
            DeviceMismatch,
        ),
    ],
    ids=["value", "copy", "mask", "device", "generator"],
)
def test_the_simulation_notices_faults(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[torch.Tensor], torch.Tensor], error: type[Exception]
) -> None:
    right = torch.nn.functional.mse_loss
    monkeypatch.setattr(
        "inrcodec.fit.training.loop.loss_by_name",
        lambda name: lambda rendered, source: right(fault(rendered), source),
    )
    with pytest.raises(error):
        steps_of("hnerv", {}, "medium", "l2")


@GPU
@pytest.mark.parametrize(("model", "options", "preset", "loss", "_"), CASES)
def test_a_real_gpu_waits_for_nothing(
    model: str, options: dict[str, str], preset: str, loss: str, _: int
) -> None:
    def begin_step(number: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if 1 <= number < STEPS else "default")

    try:
        with watched(begin_step):
            trained(torch.device("cuda", 0), model, options, preset, loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@GPU
@pytest.mark.parametrize("model", ["hnerv", "nerv", "snerv", "snerv-t", "supermask"])
def test_a_real_gpu_fits_the_same_values_twice(model: str) -> None:
    first, again = (trained(torch.device("cuda", 0), model, {}, "medium", "l2") for _ in range(2))
    assert all(np.array_equal(first.values[name], again.values[name]) for name in first.values)
