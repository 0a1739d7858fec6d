"""How long a fit takes to be as good as the plain reference after some epochs, for `benchmarks.speed`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain import PlainTraining
from benchmarks.speed_training import NETWORKS, Contenders
from inrcodec.device import autocast
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.codes import as_codes
from inrcodec.models.source import SourceFrames
from inrcodec.progress import Silent
from inrcodec.training.loop import Fit
from inrcodec.training.meter import Meter
from inrcodec.training.rate_control import RateControl
from inrcodec.training.schedule import StepClock

ALL_FRAMES = 1 << 20
FIRST_EPOCHS, GROWTH, MOST_EPOCHS = 1.0, 1.3, 100.0


def convergence(epochs: int) -> dict[str, Any]:
    """Both fit floats of the smallest network; ours anew with ever longer schedules, until it is as good."""
    contenders = Contenders.of(replace(NETWORKS[0], frames=ALL_FRAMES))
    plain = contenders.plain(epochs)
    started = time.perf_counter()
    for _ in range(plain.total_steps):
        plain.step()
    seconds = time.perf_counter() - started
    reference = {"seconds": seconds, "psnr_db": _plain_psnr_db(plain, contenders.frames)}
    tried: list[dict[str, float]] = []
    length = FIRST_EPOCHS
    while length <= MOST_EPOCHS and (not tried or tried[-1]["psnr_db"] < reference["psnr_db"]):
        tried.append(_ours(contenders, length))
        length *= GROWTH
    return {
        "kind": "convergence",
        "network": contenders.network.name,
        "plain_epochs": epochs,
        "plain": reference,
        "ours": tried,
        "seconds": tried[-1]["seconds"],
        "times_as_fast": reference["seconds"] / tried[-1]["seconds"],
        "is_reached": tried[-1]["psnr_db"] >= reference["psnr_db"],
    }


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
            rendered = plain.decoder(plain.encoder(images.to(plain.device))).cpu()
        total += float(psnr_per_frame_db(frames.numpy(), as_codes(rendered).numpy()).sum())
    return total / len(clip)
