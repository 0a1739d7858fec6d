"""Training and rendering of HNeRV, ours and the plain way, in turn (A B A B), for `benchmarks.speed`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.authors import Authors, AuthorsTraining
from benchmarks.plain import BATCH_FRAMES, PlainTraining
from benchmarks.record import BENCHMARK_CLIPS
from inrcodec.compression.quantiser import Quantiser
from inrcodec.device import autocast, choose_device, compute_dtype
from inrcodec.models.codes import as_codes
from inrcodec.models.family import VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.source import SourceFrames
from inrcodec.progress import Silent
from inrcodec.rendering import BATCH_ACTIVATIONS
from inrcodec.settings import PRESETS, FrameRange
from inrcodec.training.loop import Fit, FitSettings
from inrcodec.training.meter import Meter
from inrcodec.training.pruning import PrunedRepresentation
from inrcodec.training.rate_control import RateControl
from inrcodec.training.schedule import StepClock
from inrcodec.video import read_clip

SYMBOL_BITS = 6.0
"""What a symbol may take, about as at 0.06 bpp."""
Turn = Callable[[], float]
"""Does some work, and says how many frames a second it did."""


@dataclass(frozen=True)
class Network:
    """A network and the frames that it is measured on."""

    name: str
    clip: str
    width: int
    frames: int
    turns: int
    """Frames of each turn."""


NETWORKS = (
    Network("0.35M at 320x160", "bunny-quarter", 44, 16, 32),
    Network("0.75M at 1280x640", "bunny", 48, 4, 4),
    Network("1.5M at 1280x640", "bunny", 68, 4, 4),
    Network("3M at 1280x640", "bunny", 97, 4, 4),
)


@dataclass(frozen=True)
class Contenders:
    """The same network on the same frames: ours, the plain one, and the authors' where it is at hand."""

    network: Network
    frames: Tensor
    """(T, H, W, 3) uint8."""
    video: VideoInfo
    config: HNeRVConfig
    code: Authors | None = None
    """The authors'."""

    @staticmethod
    def of(network: Network, code: Authors | None = None) -> Contenders:
        clip = BENCHMARK_CLIPS[network.clip]
        source = replace(clip.source, frames=FrameRange(0, network.frames), audio=False)
        frames = torch.from_numpy(read_clip(clip.path, source).frames)
        video = VideoInfo(frames.shape[2], frames.shape[1], len(frames))
        config = HNeRV().plan(video, 1e9, {"width": str(network.width)}, 0)
        return Contenders(network, frames, video, config, code)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.video.height, self.video.width

    @property
    def parameter_count(self) -> int:
        return sum(spec.count for spec in HNeRV().tensors(self.config, self.video) if not spec.per_frame)

    def plain(self, epochs: int = 300) -> PlainTraining:
        config, frames, device = self.config, self._images(), choose_device("auto")
        return PlainTraining(
            frames, config.embedding_channels, config.width, config.grid.strides, epochs, device
        )

    def authors(self, epochs: int = 300) -> AuthorsTraining | None:
        if self.code is None:
            return None
        return AuthorsTraining(self.code, self.config, self._images(), epochs, choose_device("auto"))

    def _images(self) -> Tensor:
        """(T, 3, H, W) float32 in [0, 1]."""
        return self.frames.permute(0, 3, 1, 2).contiguous().float() / 255

    def ours(self, is_coded: bool = True) -> Fit:
        """A fit as `fitting.fit_segment` makes it with the default preset; of floats unless `is_coded`."""
        device, preset = choose_device("auto"), PRESETS["medium"]
        specs = HNeRV().tensors(self.config, self.video)
        network = PrunedRepresentation(HNeRV().representation(self.config, self.video, 0), specs, 0.0)
        network.module.to(device)
        network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype, clip = compute_dtype("auto", device), self.frames.to(device)
        indices = torch.arange(BATCH_FRAMES, device=device)
        with torch.no_grad(), autocast(device, dtype):
            first = network.transmitted(SourceFrames(clip, indices), indices)
        batch = BATCH_FRAMES if is_coded else preset.batch_frames
        charged_from, rounded_from = (preset.noise_from, preset.rounding_from) if is_coded else (1.0, 1.0)
        settings = FitSettings(
            preset.learning_rate, batch, charged_from, rounded_from, 0, dtype, preset.optimizer
        )
        return Fit(network, Quantiser(specs, first, SYMBOL_BITS).to(device), clip, settings)


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


def _rate(frames: int, work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return frames / (time.perf_counter() - started)


def in_turn(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """A B A B ..., after one of each that does not count."""
    for turn in turns.values():
        turn()
    measured = [{name: turn() for name, turn in turns.items()} for _ in range(rounds)]
    return {name: [one[name] for one in measured] for name in turns}


def training(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames a second of fitting: the whole step, rate term and optimiser included, at batch 2."""
    fit, plain, authors = contenders.ours(), contenders.plain(), contenders.authors()
    device, frames = fit.clip.device, contenders.network.turns
    steps = frames // BATCH_FRAMES
    bits = SYMBOL_BITS * contenders.parameter_count

    def run() -> None:
        meter = Meter(Silent(), contenders.video.pixel_count, 0.0, device)
        fit.run(StepClock(steps), RateControl(bits, device), meter)

    def timed(step: Callable[[], object]) -> Turn:
        return lambda: _rate(frames, lambda: [step() for _ in range(steps)], device)

    with FlopCounterMode(display=False) as counter, _Traffic(plain) as traffic, torch.no_grad():
        plain.decoder(plain.encoder(torch.zeros(BATCH_FRAMES, 3, *contenders.size, device=device)))
    turns = {"ours": lambda: _rate(frames, run, device), "plain": timed(plain.step)}
    if authors is not None:
        turns["authors"] = timed(authors.step)
    # Each product is made thrice: forwards, for gradients of values and for those of weights.
    work = 3 * counter.get_total_flops() / BATCH_FRAMES, 3 * traffic.values / BATCH_FRAMES
    return _result("training", contenders, in_turn(turns, rounds), *work)


def rendering(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames a second of the decoder network alone, to 8 bits: ours in the batches that a decode has."""
    fit, plain, authors = contenders.ours(), contenders.plain(), contenders.authors()
    device, frames, dtype = fit.clip.device, contenders.network.turns, fit.settings.dtype
    most = BATCH_ACTIVATIONS[device.type] // HNeRV().activation_count(contenders.config)
    batch = min(frames, max(1, most))
    indices = torch.arange(batch, device=device) % len(fit.clip)
    pair = torch.arange(BATCH_FRAMES, device=device)
    with torch.inference_mode(), autocast(device, dtype):
        values = fit.representation.transmitted(SourceFrames(fit.clip, indices), indices)
        embedding = fit.representation.transmitted(SourceFrames(fit.clip, pair), pair)["embedding"]
    embedding = embedding.float().contiguous()

    def run() -> None:
        with torch.inference_mode(), autocast(device, dtype):
            for _ in range(frames // batch):
                as_codes(fit.representation.render(values, indices).float())

    def timed(decoder: Callable[[Tensor], Tensor]) -> Turn:
        def render() -> None:
            with torch.inference_mode():
                for _ in range(frames // BATCH_FRAMES):
                    decoder(embedding).mul(255).round().to(torch.uint8)

        return lambda: _rate(frames, render, device)

    with FlopCounterMode(display=False) as counter, _Traffic(plain) as traffic, torch.no_grad():
        plain.decoder(embedding)
    turns = {"ours": lambda: _rate(frames // batch * batch, run, device), "plain": timed(plain.decoder)}
    if authors is not None:
        turns["authors"] = timed(authors.decoder)
    work = counter.get_total_flops() / BATCH_FRAMES, traffic.values / BATCH_FRAMES
    return _result("rendering", contenders, in_turn(turns, rounds), *work)


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
        "flops_per_second": ours * flops,
        "precision": str(compute_dtype("auto", choose_device("auto"))).removeprefix("torch."),
        "rounds": rounds,
    }
    if "authors" in rounds:
        row["authors_frames_per_second"] = statistics.median(rounds["authors"])
        row["authors_ratio"] = _times_as_fast(rounds, "authors")
    return row


def _times_as_fast(rounds: Mapping[str, list[float]], rival: str) -> float:
    return statistics.median(one / other for one, other in zip(rounds["ours"], rounds[rival], strict=True))
