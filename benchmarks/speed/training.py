"""Training and rendering speed of HNeRV: ours alternates with the references, for `benchmarks.speed`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.authors.plain import BATCH_FRAMES, PlainTraining
from benchmarks.speed.networks import SYMBOL_BITS, Contenders
from benchmarks.speed.turns import Turn, in_turn
from inrcodec.decoder.render import batch_frames
from inrcodec.fit.training.clock import StepClock
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.meter import Meter
from inrcodec.fit.training.rate_control import RateControl
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.layers.codes import as_codes
from inrcodec.models.source import SourceFrames
from inrcodec.progress import Silent
from inrcodec.system.device import autocast, choose_device, compute_dtype
from inrcodec.system.memory import KEPT_MEMORY


class _Traffic:
    """Counts the values that convolutions read and write."""

    def __init__(self, plain: PlainTraining) -> None:
        self.values = 0
        layers = [*plain.encoder.modules(), *plain.decoder.modules()]
        self._layers = [layer for layer in layers if isinstance(layer, nn.Conv2d)]

    def __enter__(self) -> Self:
        self._hooks = [layer.register_forward_hook(self._count) for layer in self._layers]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _count(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weights = sum(parameter.numel() for parameter in layer.parameters())
        self.values += inputs[0].numel() + output.numel() + weights


def training(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames per second of training at batch 2: the whole step, rate term and optimiser included.

    Each turn begins with a step that does not count. During ours, the kernel clears memory that the fit then
    keeps, so this happens only once in a fit.
    """
    measured = _measured(_training_turn, contenders, rounds)
    return _result("training", contenders, measured, *training_work(contenders))


def rendering(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames per second of the decoder network alone, including conversion to 8 bits.

    Ours uses the batches of a decode; the others use batches of one or two frames, whichever is faster.
    """
    measured = _measured(_rendering_turn, contenders, rounds)
    return _result("rendering", contenders, measured, *rendering_work(contenders))


def training_work(contenders: Contenders) -> tuple[float, float]:
    """Operations for training on one frame, and the values that its convolutions read and write."""
    plain = contenders.plain()
    frames = torch.zeros(BATCH_FRAMES, 3, *contenders.size, device=plain.device)
    flops, values = _counted(plain, lambda: plain.decoder(plain.encoder(frames)))
    # Each product is computed three times: forward, for gradients of activations, and for those of weights.
    return 3 * flops, 3 * values


def rendering_work(contenders: Contenders) -> tuple[float, float]:
    """Operations for rendering one frame, and the values that its convolutions read and write."""
    plain = contenders.plain()
    embedding = contenders.embedding(BATCH_FRAMES).to(plain.device)
    return _counted(plain, lambda: plain.decoder(embedding))


def _counted(plain: PlainTraining, work: Callable[[], object]) -> tuple[float, float]:
    with FlopCounterMode(display=False) as counter, _Traffic(plain) as traffic, torch.no_grad():
        work()
    return counter.get_total_flops() / BATCH_FRAMES, traffic.values / BATCH_FRAMES


def _measured(
    make: Callable[[str, Contenders], Turn], contenders: Contenders, rounds: int
) -> dict[str, list[float]]:
    names = ["ours", "plain", *(["authors"] if contenders.checkout else [])]
    return in_turn({name: partial(make, name, contenders) for name in names}, rounds)


def _training_turn(name: str, contenders: Contenders) -> Turn:
    frames = contenders.network.turns
    steps = frames // BATCH_FRAMES
    if name == "ours":
        fit = contenders.ours()

        def our_turn() -> float:
            with KEPT_MEMORY:
                _fit(fit, contenders, 1)
                return _rate(frames, partial(_fit, fit, contenders, steps))

        return our_turn
    step = contenders.rival(name).step

    def turn() -> float:
        step()
        return _rate(frames, lambda: [step() for _ in range(steps)])

    return turn


def _fit(fit: Fit, contenders: Contenders, steps: int) -> None:
    device = fit.clip.device
    meter = Meter(Silent(), contenders.video.pixel_count, 0.0, device)
    fit.run(StepClock(steps), RateControl(SYMBOL_BITS * contenders.parameter_count, device), meter)


def _rendering_turn(name: str, contenders: Contenders) -> Turn:
    frames, device = contenders.network.turns, choose_device("auto")
    if name == "ours":
        batch = min(
            frames, batch_frames(HNeRV().activation_count(contenders.config, contenders.video), device)
        )
        return partial(_rate, frames // batch * batch, _render_ours(contenders, batch, frames // batch))
    decoder, embedding = contenders.rival(name).decoder, contenders.embedding(BATCH_FRAMES).to(device)

    def render(batch: int) -> None:
        with torch.inference_mode():
            for _ in range(frames // batch):
                decoder(embedding[:batch]).mul(255).round().to(torch.uint8)

    def rate(batch: int) -> float:
        render(batch)
        return _rate(frames // batch * batch, partial(render, batch))

    batch = max((1, BATCH_FRAMES), key=rate)
    return partial(_rate, frames // batch * batch, partial(render, batch))


def _render_ours(contenders: Contenders, batch: int, times: int) -> Callable[[], None]:
    fit = contenders.ours()
    device, dtype = fit.clip.device, fit.settings.dtype
    indices = torch.arange(batch, device=device) % len(fit.clip)
    with torch.inference_mode(), autocast(device, dtype):
        values = fit.representation.transmitted(SourceFrames(fit.clip, indices), indices)

    def render() -> None:
        with torch.inference_mode(), autocast(device, dtype):
            for _ in range(times):
                as_codes(fit.representation.render(values, indices).float())

    return render


def _rate(frames: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return frames / (time.perf_counter() - started)


def _result(
    kind: str, contenders: Contenders, rounds: Mapping[str, list[float]], flops: float, values: float
) -> dict[str, Any]:
    ours = statistics.median(rounds["ours"])
    row = {
        "kind": kind,
        "network": contenders.network.name,
        "parameters": contenders.parameter_count,
        "flops_a_frame": flops,
        "values_a_frame": values,
        "frames_per_second": ours,
        "plain_frames_per_second": statistics.median(rounds["plain"]),
        "ratio": _times_as_fast(rounds, "plain"),
        "ratio_range": _range(rounds, "plain"),
        "flops_per_second": ours * flops,
        "precision": str(compute_dtype("auto", choose_device("auto"))).removeprefix("torch."),
        "rounds": rounds,
    }
    if "authors" in rounds:
        row["authors_frames_per_second"] = statistics.median(rounds["authors"])
        row["authors_ratio"] = _times_as_fast(rounds, "authors")
        row["authors_ratio_range"] = _range(rounds, "authors")
    return row


def _times_as_fast(rounds: Mapping[str, list[float]], rival: str) -> float:
    return statistics.median(rounds["ours"]) / statistics.median(rounds[rival])


def _range(rounds: Mapping[str, list[float]], rival: str) -> tuple[float, float]:
    """The smallest and the largest ratio of a round."""
    ratios = [one / other for one, other in zip(rounds["ours"], rounds[rival], strict=True)]
    return min(ratios), max(ratios)
