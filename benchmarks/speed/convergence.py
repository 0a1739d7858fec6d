"""Time until a fit is as good as the plain reference after some epochs, for `benchmarks.speed`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.authors.plain import PlainTraining
from benchmarks.equal_time import timed_encode
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip
from benchmarks.speed.networks import NETWORKS, SYMBOL_BITS, Contenders
from inrcodec.errors import TargetUnreachable
from inrcodec.fit.training.clock import StepClock
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.meter import Meter
from inrcodec.fit.training.rate_control import RateControl
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.layers.codes import as_codes
from inrcodec.models.source import SourceFrames
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.device import autocast

ALL_FRAMES = 1 << 20
FIRST_SHARE, GROWTH = 0.04, 1.3
"""First length as a fraction of the plain fit's epochs, and growth per whole dB that is missing.

A length that is longer than needed counts against us.
"""
FIRST_SECONDS, MOST_SECONDS = 10.0, 600.0
Trials = list[dict[str, float]]


def convergence(epochs: int) -> list[dict[str, Any]]:
    """Races against the plain fit of the smallest network, which runs for `epochs`.

    The first race fits the same network in floats, with longer and longer schedules. The second encodes files
    with the default model, of at most the size of that network at `SYMBOL_BITS` per weight; its time lasts
    from the start of the encode until the file is written and checked.
    """
    network = replace(NETWORKS[0], frames=ALL_FRAMES)
    contenders = Contenders.of(network)
    plain = contenders.plain(epochs)
    started = time.perf_counter()
    for _ in range(plain.total_steps):
        plain.step()
    seconds = time.perf_counter() - started
    reference = {"seconds": seconds, "psnr_db": _plain_psnr_db(plain, contenders.frames)}
    size = round(contenders.parameter_count * SYMBOL_BITS / 8)
    made = {
        network.name: _lengthened(
            lambda length: _ours(contenders, length), FIRST_SHARE * epochs, epochs, reference["psnr_db"]
        ),
        f"inrc, {size} bytes": _lengthened(
            lambda seconds: _file(BENCHMARK_CLIPS[network.clip], size, seconds),
            FIRST_SECONDS,
            MOST_SECONDS,
            reference["psnr_db"],
        ),
    }
    return [
        {
            "kind": "convergence",
            "network": name,
            "plain_epochs": epochs,
            "plain": reference,
            "ours": tried,
            "seconds": tried[-1]["seconds"],
            "times_as_fast": reference["seconds"] / tried[-1]["seconds"],
            "is_reached": tried[-1]["psnr_db"] >= reference["psnr_db"],
        }
        for name, tried in made.items()
    ]


def _lengthened(
    fit: Callable[[float], dict[str, float]], first: float, most: float, psnr_db: float
) -> Trials:
    """Fit with increasing lengths from `first` until one reaches `psnr_db` or has the length `most`."""
    tried: Trials = []
    length, missing_db = first, 1.0
    while True:
        with suppress(TargetUnreachable):  # The time was too short to fit anything.
            tried.append(fit(length))
            missing_db = psnr_db - tried[-1]["psnr_db"]
        if missing_db <= 0 or length >= most:
            return tried
        length = min(most, length * GROWTH ** max(1, int(missing_db)))


def _file(clip: BenchmarkClip, size: int, seconds: float) -> dict[str, float]:
    elapsed, result = timed_encode(clip, EncodeSettings(size_bytes=size, time_seconds=seconds))
    return {"seconds": elapsed, "psnr_db": result.psnr_db, "bytes": result.file_bytes}


def _ours(contenders: Contenders, epochs: float) -> dict[str, float]:
    torch.manual_seed(0)
    fit = contenders.ours(is_coded=False)
    device = fit.clip.device
    steps = max(1, round(epochs * len(fit.clip) / fit.settings.batch_frames))
    meter = Meter(Silent(), contenders.video.pixel_count, 0.0, device)
    started = time.perf_counter()
    fit.run(StepClock(steps), RateControl(1.0, device), meter)
    seconds = time.perf_counter() - started
    return {"epochs": epochs, "seconds": seconds, "psnr_db": _our_psnr_db(fit)}


def _our_psnr_db(fit: Fit) -> float:
    total = 0.0
    for index in torch.split(torch.arange(len(fit.clip), device=fit.clip.device), 1):
        with torch.inference_mode(), autocast(fit.clip.device, fit.settings.dtype):
            values = fit.representation.transmitted(SourceFrames(fit.clip, index), index)
            frame = as_codes(fit.representation.render(values, index).float()).cpu().numpy()
        total += float(psnr_per_frame_db(fit.clip[index].cpu().numpy(), frame).sum())
    return total / len(fit.clip)


def _plain_psnr_db(plain: PlainTraining, clip: Tensor) -> float:
    total = 0.0
    for frames in torch.split(clip, 1):
        with torch.inference_mode():
            images = frames.permute(0, 3, 1, 2).contiguous().float() / 255
            rendered = as_codes(plain.decoder(plain.encoder(images.to(plain.device)))).cpu()
        total += float(psnr_per_frame_db(frames.numpy(), rendered.numpy()).sum())
    return total / len(clip)
