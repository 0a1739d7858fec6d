"""The parts of `benchmarks.gpu`: each returns its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

import inrcodec
from benchmarks.gpu.scales import Scale
from benchmarks.record import BenchmarkClip
from benchmarks.speed.networks import Contenders, fit_of
from benchmarks.speed.training import training
from inrcodec.fit.training.clock import StepClock
from inrcodec.fit.training.loop import Fit
from inrcodec.fit.training.meter import Meter
from inrcodec.fit.training.rate_control import RateControl
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import family_by_name
from inrcodec.progress import FitReport, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import PRESETS
from inrcodec.system.device import choose_device
from inrcodec.video import read_clip

PAPER_DB = 35.19
"""PSNR of HNeRV with 1.5 million parameters after 300 epochs of Bunny (HNeRV, Table 2)."""
CHECKPOINT_SECONDS = 10.0
PROFILED_STEPS = 4
BATCHES = (4, 1)
"""Frames of a step: several, which leave a GPU idle less, and last the default, whose steps are counted."""
Figures = dict[str, Any]


class OutOfTime(Exception):
    """A part was stopped because the run has no time left; the next run continues it."""


@dataclass(frozen=True)
class Place:
    """Where parts run: their sizes, device and folder, and the end of the run as `time.monotonic()`."""

    scale: Scale
    device: str
    folder: Path
    ends: float

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.ends - time.monotonic()

    def settings(self, clip: BenchmarkClip, **chosen: Any) -> EncodeSettings:
        """Settings of an encode of `clip` on the device; an unfinished one is continued."""
        source = replace(clip.source, audio=False)
        return EncodeSettings(device=self.device, source=source, overwrite=True, **chosen)


Part = Callable[[Place], Figures]


def parts_of(scale: Scale) -> dict[str, tuple[float, Part]]:
    """All parts by name, in order, with the seconds that each may take on a GPU."""
    checks = {f"check {name}": (12.0, _check(name)) for name in scale.checked_families}
    steps = {f"steps {name}": (12.0, _steps(name)) for name in scale.networks}
    return {
        **checks,
        "fit": (20.0, fit),
        "decode": (15.0, decode),
        "race": (60.0, race),
        **steps,
        "inrc": (scale.inrc_seconds + 30.0, inrc),
    }


def _check(name: str) -> Part:
    def check(place: Place) -> Figures:
        """Whether two encodes give the same bytes, and whether two devices decode the same frames."""
        scale, files = place.scale, [place.folder / f"check-{name}-{number}.inrv" for number in (0, 1)]
        settings = place.settings(
            scale.checked, model=name, epochs=scale.check_epochs, size_bytes=scale.check_bytes
        )
        for file in files:
            result = inrcodec.encode(scale.checked.path, file, settings)
        first, again = (_decoded(files[0], place.device, "auto") for _ in range(2))
        # bfloat16 rounds differently on each device.
        pair = [_decoded(files[0], device, "float32").astype(int) for device in (place.device, "cpu")]
        return {
            "psnr_db": result.psnr_db,
            "is_same_file": files[0].read_bytes() == files[1].read_bytes(),
            "are_same_frames": bool(np.array_equal(first, again)),
            "levels_from_cpu": int(np.abs(pair[0] - pair[1]).max()),
        }

    return check


def _decoded(file: Path, device: str, precision: str) -> NDArray[np.uint8]:
    with inrcodec.open(file, device=device, precision=precision) as video:
        return np.concatenate([*video.batches(range(len(video)))])


class _Until(Silent):
    """Interrupts a fit at the end of the run, or does nothing."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def fit(self, report: FitReport) -> None:
        if self._place.left < 0:
            raise KeyboardInterrupt


def fit(place: Place) -> Figures:
    """The paper's fit, encoded to a file. A fit that was stopped goes on from its last checkpoint."""
    scale = place.scale
    settings = place.settings(
        scale.clip,
        model="hnerv",
        model_options=dict(scale.fit_options),
        epochs=scale.fit_epochs,
        size_bytes=scale.fit_bytes,
        checkpoint_seconds=CHECKPOINT_SECONDS,
    )
    try:
        result = inrcodec.encode(scale.clip.path, _fitted(place), settings, _Until(place))
    except KeyboardInterrupt:
        if place.left >= 0:
            raise
        raise OutOfTime("the fit is not finished") from None
    return {
        "fit_seconds": result.fit_seconds,
        "encode_seconds": result.seconds,
        "steps_per_second": result.steps / result.fit_seconds,
        "epochs": result.epochs,
        "psnr_db": result.psnr_db,
        "float_psnr_db": result.psnr_db + result.quantisation_loss_db,
        "paper_db": PAPER_DB,
        "file_bytes": result.file_bytes,
        "parameters": result.parameter_count,
    }


def _fitted(place: Place) -> Path:
    return place.folder / f"fit-{place.scale.name}.inrv"


def decode(place: Place) -> Figures:
    """Frames per second of the file that `fit` made, before PyAV, and of a decode to a video file."""
    with inrcodec.open(_fitted(place), device=place.device) as video:
        frames = len(video)
        _ = video[0]
        rates = [frames / _seconds(lambda: [*video.batches(range(frames))]) for _ in range(3)]
    output = place.folder / "decoded.mp4"
    settings = inrcodec.DecodeSettings(device=place.device, overwrite=True)
    seconds = _seconds(lambda: inrcodec.decode(_fitted(place), output, settings))
    return {"frames_per_second": sorted(rates)[1], "whole_frames_per_second": frames / seconds}


def race(place: Place) -> Figures:
    """Training of HNeRV beside the plain reference, in turn."""
    row = training(Contenders.of(place.scale.raced), place.scale.rounds)
    names = ("frames_per_second", "plain_frames_per_second", "ratio", "precision")
    return {name: row[name] for name in names} | {"rounds": row["rounds"]}


def _steps(name: str) -> Part:
    def steps(place: Place) -> Figures:
        """Frames per second of a family by the frames of a step, and kernels of a step without a graph."""
        scale, device = place.scale, choose_device(place.device)
        frames = torch.from_numpy(read_clip(scale.clip.path, scale.clip.source).frames[: scale.frames])
        video = VideoInfo(frames.shape[2], frames.shape[1], len(frames))
        family: Any = family_by_name(name)
        config = family.plan(video, 1e9, dict(scale.networks[name]), 0)
        count = sum(spec.count for spec in family.tensors(config, video))
        figures: Figures = {"parameters": count}
        for batch in BATCHES:
            preset = replace(PRESETS["medium"], batch_frames=batch)
            made = fit_of(family, config, video, frames.to(device), preset, True)
            steps = max(1, scale.steps // batch)
            _run(made, video, count, steps)
            seconds = _seconds(partial(_run, made, video, count, steps))
            figures[f"frames_per_second_by_{batch}"] = batch * steps / seconds
        kernels = _kernels(lambda: _run(made, video, count, PROFILED_STEPS))
        return {**figures, "steps_per_second": steps / seconds, "kernels_a_step": kernels}

    return steps


def _run(made: Fit, video: VideoInfo, parameters: int, steps: int) -> None:
    device = made.clip.device
    meter = Meter(Silent(), video.pixel_count, 0.0, device)
    made.run(StepClock(steps), RateControl(6.0 * parameters, device), meter)


def _kernels(work: Callable[[], object]) -> float | None:
    """Kernels and copies of the device in each of the `PROFILED_STEPS` of `work`; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        work()
        _synchronize()
    on_gpu = [event for event in profiler.events() or () if event.device_type.name == "CUDA"]
    return len(on_gpu) / PROFILED_STEPS


def inrc(place: Place) -> Figures:
    """A timed encode of the default model, and its decode."""
    scale, file = place.scale, place.folder / f"inrc-{place.scale.name}.inrv"
    settings = place.settings(scale.clip, model="inrc", bpp=scale.inrc_bpp, time_seconds=scale.inrc_seconds)
    result = inrcodec.encode(scale.clip.path, file, settings)
    with inrcodec.open(file, device=place.device) as video:
        frames = len(video)
        seconds = _seconds(lambda: [*video.batches(range(frames))])
    return {
        "encode_seconds": result.seconds,
        "psnr_db": result.psnr_db,
        "bpp": result.bpp,
        "frames_per_second": frames / seconds,
    }


def _seconds(work: Callable[[], object]) -> float:
    _synchronize()
    started = time.perf_counter()
    work()
    _synchronize()
    return time.perf_counter() - started


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measured(part: Part, place: Place) -> Figures:
    """The figures of a part, with its time and the most memory that it held on the GPU."""
    is_cuda = choose_device(place.device).type == "cuda"
    if is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    figures = part(place)
    peak = torch.cuda.max_memory_allocated() if is_cuda else None
    return {**figures, "part_seconds": time.monotonic() - started, "peak_gpu_bytes": peak}
