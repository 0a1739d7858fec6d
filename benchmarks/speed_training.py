"""Training and rendering of HNeRV, ours and the plain way, in turn (A B A B), for `benchmarks.speed`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

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
    """The same network twice, on the same frames."""

    network: Network
    frames: Tensor
    """(T, H, W, 3) uint8."""
    video: VideoInfo
    config: HNeRVConfig

    @staticmethod
    def of(network: Network) -> Contenders:
        clip = BENCHMARK_CLIPS[network.clip]
        source = replace(clip.source, frames=FrameRange(0, network.frames), audio=False)
        frames = torch.from_numpy(read_clip(clip.path, source).frames)
        video = VideoInfo(frames.shape[2], frames.shape[1], len(frames))
        config = HNeRV().plan(video, 1e9, {"width": str(network.width)}, 0)
        return Contenders(network, frames, video, config)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.video.height, self.video.width

    @property
    def parameter_count(self) -> int:
        return sum(spec.count for spec in HNeRV().tensors(self.config, self.video) if not spec.per_frame)

    def plain(self, epochs: int = 300) -> PlainTraining:
        config, frames = self.config, self.frames.permute(0, 3, 1, 2).contiguous().float() / 255
        strides, device = config.grid.strides, choose_device("auto")
        return PlainTraining(frames, config.embedding_channels, config.width, strides, epochs, device)

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


def in_turn(ours: Turn, plain: Turn, rounds: int) -> tuple[list[float], list[float]]:
    """A B A B ..., after one of each that does not count."""
    ours(), plain()
    pairs = [(ours(), plain()) for _ in range(rounds)]
    return [one for one, _ in pairs], [other for _, other in pairs]


def training(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames a second of fitting: the whole step, rate term and optimiser included, at batch 2."""
    fit, plain = contenders.ours(), contenders.plain()
    device, frames = fit.clip.device, contenders.network.turns
    steps = frames // BATCH_FRAMES
    bits = SYMBOL_BITS * contenders.parameter_count

    def run() -> None:
        meter = Meter(Silent(), contenders.video.pixel_count, 0.0, device)
        fit.run(StepClock(steps), RateControl(bits, device), meter)

    with FlopCounterMode(display=False) as counter, _Traffic(plain) as traffic, torch.no_grad():
        plain.decoder(plain.encoder(torch.zeros(BATCH_FRAMES, 3, *contenders.size, device=device)))
    rates = in_turn(
        lambda: _rate(frames, run, device),
        lambda: _rate(frames, lambda: [plain.step() for _ in range(steps)], device),
        rounds,
    )
    # Each product is made thrice: forwards, for gradients of values and for those of weights.
    work = 3 * counter.get_total_flops() / BATCH_FRAMES, 3 * traffic.values / BATCH_FRAMES
    return _result("training", contenders, rates, *work)


def rendering(contenders: Contenders, rounds: int) -> dict[str, Any]:
    """Frames a second of the decoder network alone, to 8 bits: ours in the batches that a decode has."""
    fit, plain = contenders.ours(), contenders.plain()
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

    def run_plain() -> None:
        with torch.inference_mode():
            for _ in range(frames // BATCH_FRAMES):
                plain.decoder(embedding).mul(255).round().to(torch.uint8)

    with FlopCounterMode(display=False) as counter, _Traffic(plain) as traffic, torch.no_grad():
        plain.decoder(embedding)
    rates = in_turn(
        lambda: _rate(frames // batch * batch, run, device),
        lambda: _rate(frames, run_plain, device),
        rounds,
    )
    work = counter.get_total_flops() / BATCH_FRAMES, traffic.values / BATCH_FRAMES
    return _result("rendering", contenders, rates, *work)


def _result(
    kind: str, contenders: Contenders, rates: tuple[list[float], list[float]], flops: float, values: float
) -> dict[str, Any]:
    ours, plain = (statistics.median(one) for one in rates)
    return {
        "kind": kind,
        "network": contenders.network.name,
        "parameters": contenders.parameter_count,
        "flops_a_frame": flops,
        "values_a_frame": values,
        "frames_per_second": ours,
        "plain_frames_per_second": plain,
        "ratio": statistics.median(one / other for one, other in zip(*rates, strict=True)),
        "flops_per_second": ours * flops,
        "precision": str(compute_dtype("auto", choose_device("auto"))).removeprefix("torch."),
        "rounds": {"ours": rates[0], "plain": rates[1]},
    }
