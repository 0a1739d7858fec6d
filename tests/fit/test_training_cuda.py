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
from codec_samples import TRAINED, moving_gradient
from simulated_cuda import CUDA, Counts, DeviceMismatch, Waited, simulated_cuda

from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.fit.quantiser import Quantiser, Rounding
from inrcodec.fit.training import graph
from inrcodec.fit.training.graph import GraphedSteps
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.step_state import Batches
from inrcodec.models.family import Role, TensorSpec
from inrcodec.plan.network import plan_segment
from inrcodec.progress import Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.device import autocast
from inrcodec.video import Clip, VideoProperties

pytestmark = pytest.mark.end_to_end
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")

STEPS = 4
"""The first step may make what later ones keep; the last one prunes."""
FIXED_MASKS = {"decoder": "nerv", "biases": "no", "scales": "fixed"}
CASES = [
    ("hnerv", {}, "medium", "l2", 570),
    ("nerv", {}, "medium", "l2", 280),
    ("hinerv", {}, "medium", "l2", 360),
    ("snerv", {}, "medium", "l2", 890),
    ("snerv-t", {}, "medium", "l2", 1440),
    # Muon, which fits scores, takes about 30 kernels for each shape.
    ("supermask", {}, "medium", "l2", 660),
    ("supermask", FIXED_MASKS, "medium", "l2", 270),
    ("hnerv", {}, "paper", "l2", 380),
    ("nerv", {}, "paper", "l2", 120),
    ("hinerv", {}, "paper", "l2", 180),
    ("snerv", {}, "paper", "l2", 680),
    ("snerv-t", {}, "paper", "l2", 1310),
    ("hnerv", {}, "medium", "l1", 570),
    ("hnerv", {}, "medium", "l1+ssim", 650),
    ("hnerv", {}, "medium", "l1+ms-ssim", 1040),
    ("hnerv", {}, "medium", "wavelet", 870),
]
"""Model, its options, preset, loss, and the most kernels of a step. Raise one for a measured gain only."""


class Details(Silent):
    """Keeps what is said about graphs."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def detail(self, message: str) -> None:
        if "graph" in message:
            self.said.append(message)


def trained(
    device: torch.device,
    model: str,
    options: dict[str, str],
    preset: str,
    loss: str,
    is_masked: bool = False,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> TrainedNetwork:
    """A fit of `steps` steps."""
    side = 176 if loss == "l1+ms-ssim" else 32
    frames = moving_gradient(side, side, 4)
    properties = VideoProperties(side, side, 4, Fraction(25), Fraction(1, 25))
    keep = np.ones((1, side, side), bool) if is_masked else None
    settings = EncodeSettings(model=model, preset=preset, loss=loss, size_bytes=12_000, model_options=options)
    settings = replace(settings, epochs=steps * settings.procedure.batch_frames / len(frames))
    clip = Clip(frames, properties, keep)
    plan = plan_segment(properties, settings)
    return train_network(FitJob(plan, clip, settings, device, progress=progress or Silent()))


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


def test_steps_of_quantisers_are_as_exact_within_autocast() -> None:
    spec = TensorSpec("weight", Role.WEIGHT, (40, 10, 3, 3))
    with simulated_cuda():
        values = {"weight": torch.randn(spec.shape, generator=torch.Generator().manual_seed(0)).to(CUDA)}
        quantiser = Quantiser([spec], values, 4.0).to(CUDA)
        plain = quantiser(values, Rounding.NOISE)
        with autocast(CUDA, torch.bfloat16):
            same = quantiser(values, Rounding.NOISE)
        assert bool((plain.tensors["weight"] == same.tensors["weight"]).all())
        assert plain.bits.item() == same.bits.item()


def test_every_family_has_a_case() -> None:
    assert {family.name for family in TRAINED} == {model for model, *_ in CASES}


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


GRAPHED = pytest.mark.parametrize(
    ("model", "options", "preset", "loss"),
    [
        ("hnerv", {}, "medium", "l2"),
        ("nerv", {}, "paper", "l2"),
        ("snerv", {}, "medium", "l1+ssim"),
        pytest.param("snerv-t", {}, "medium", "wavelet", marks=pytest.mark.slow),
        ("hinerv", {}, "medium", "l1"),
        ("supermask", {}, "medium", "l1"),
        ("supermask", FIXED_MASKS, "medium", "l2"),
    ],
)
GRAPHED_STEPS, MOST_LAUNCHES = 24, 12
"""Steps of a fit whose last quarter rounds or prunes, so two graphs are captured; launches of a replay."""


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a graph after few steps, however fast the simulation is."""
    monkeypatch.setattr(graph, "WARM_STEPS", 2)
    monkeypatch.setattr(graph, "TIMED_STEPS", 2)
    monkeypatch.setattr(GraphedSteps, "_lap", lambda steps: 1.0)
    monkeypatch.setattr(GraphedSteps, "_decide", lambda steps, seconds: None)


def graphed(*case: Any) -> tuple[TrainedNetwork, list[Counts], list[str]]:
    """A fit, counts of its steps, and what it says about graphs."""
    found: list[Counts] = []
    details = Details()
    with simulated_cuda() as device, watched(lambda number: found.append(device.begin())):
        result = trained(CUDA, *case, steps=GRAPHED_STEPS, progress=details)
    return result, found[:-1], details.said


def without_graph(*case: Any) -> TrainedNetwork:
    with pytest.MonkeyPatch.context() as patched, simulated_cuda():
        patched.setattr(graph, "WARM_STEPS", 10**9)
        return trained(CUDA, *case, steps=GRAPHED_STEPS)


def are_equal(some: TrainedNetwork, others: TrainedNetwork) -> bool:
    return all(np.array_equal(some.values[name], others.values[name]) for name in some.values)


@GRAPHED
def test_a_graph_replays_steps_with_the_same_values_in_few_launches(
    soon: None, model: str, options: dict[str, str], preset: str, loss: str
) -> None:
    result, counts, said = graphed(model, options, preset, loss)
    assert said == []
    # Each of the two forms of a step has four steps without a graph, and one that compares both ways.
    # Pruning, which begins the second form, is counted with the last replay of the first one.
    replays = [one for number, one in enumerate(counts) if number % 18 in range(5, 17)]
    assert len(replays) == 13
    assert all(one.kernels <= MOST_LAUNCHES and not one.waits for one in replays)
    assert are_equal(result, without_graph(model, options, preset, loss))


def test_a_graph_that_is_not_faster_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "WARM_STEPS", 2)
    monkeypatch.setattr(graph, "TIMED_STEPS", 2)
    for replays, said in ((2.0, "it is not faster"), (0.5, "a step in 250.00 ms, without it 500.00 ms")):
        laps = iter([0.0, 1.0, 0.0, replays, *[1.0, 1.0, 0.0, 0.5] * 2])
        monkeypatch.setattr(GraphedSteps, "_lap", lambda steps, laps=laps: next(laps))
        result, counts, details = graphed("nerv", {}, "medium", "l2")
        assert said in details[0]
        assert (counts[-1].kernels > 100) is (replays == 2.0)
        assert are_equal(result, without_graph("nerv", {}, "medium", "l2"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda loss, number: loss * (1 + 0 * loss.item()), "value read at"),
        (lambda loss, number: loss * 1.5**number, "its values differ by"),
    ],
    ids=["wait", "number"],
)
def test_a_step_that_no_graph_can_repeat_goes_on_without(
    soon: None, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., torch.Tensor], said: str
) -> None:
    """One reads a value, for which a capture cannot wait; the other one has a number that changes."""
    number = iter(range(10**6))
    monkeypatch.setattr(
        "inrcodec.fit.training.loop.loss_by_name",
        lambda name: lambda *frames: fault(torch.nn.functional.mse_loss(*frames), next(number)),
    )
    _, counts, details = graphed("nerv", {}, "medium", "l2")
    (only,) = details
    assert "steps run without a CUDA graph" in only and said in only
    assert counts[-1].kernels > 100


@GPU
@GRAPHED
def test_a_graph_of_a_real_gpu_has_the_same_values(
    soon: None, model: str, options: dict[str, str], preset: str, loss: str
) -> None:
    details, device = Details(), torch.device("cuda", 0)
    result = trained(device, model, options, preset, loss, steps=GRAPHED_STEPS, progress=details)
    assert details.said == []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(graph, "WARM_STEPS", 10**9)
        plain = trained(device, model, options, preset, loss, steps=GRAPHED_STEPS)
    for name, value in plain.values.items():
        np.testing.assert_allclose(result.values[name], value, rtol=0.05, atol=0.02)


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
@pytest.mark.parametrize("model", ["hnerv", "nerv", "snerv", "snerv-t", "supermask", "hinerv"])
def test_a_real_gpu_fits_the_same_values_twice(model: str) -> None:
    first, again = (trained(torch.device("cuda", 0), model, {}, "medium", "l2") for _ in range(2))
    assert all(np.array_equal(first.values[name], again.values[name]) for name in first.values)
