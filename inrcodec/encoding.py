"""Encoding: a video file to an `.inrv` file.

video file -> frames -> plan -> fit -> quantise and code to size -> decode again and measure -> .inrv
"""

from __future__ import annotations

import dataclasses
import io
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Extras, Section, Segment, StreamReader, dump
from inrcodec.budget import LEAST_FILL, bits_per_pixel, size_of, stream_of
from inrcodec.checks import check_exclusive, check_procedure
from inrcodec.compression.search import CodedTensors, SectionCoder, fit_to_size
from inrcodec.decoding import Video
from inrcodec.device import choose_device, describe_device
from inrcodec.errors import InrcError, TargetUnreachable, UsageError
from inrcodec.files import atomic_output, check_output_file, check_paths
from inrcodec.fitting import FittedSegment, fit_segment
from inrcodec.metrics import psnr_per_frame_db, summarise_psnr
from inrcodec.planning import SegmentPlan, plan_segment
from inrcodec.progress import EncodePlan, Progress, Silent
from inrcodec.settings import EncodeSettings
from inrcodec.video import Clip, cut_holes, read_clip, read_extras


@dataclass(frozen=True)
class EncodeResult:
    """What an encode made; every figure comes from the bytes of the file, decoded again."""

    file_bytes: int
    extras_bytes: int
    """Of the file: sound, subtitles, chapters and tags, which neither the target nor bpp counts."""
    target_bytes: int
    bpp: float
    psnr_db: float
    """Mean over frames of the RGB PSNR, of the pixels outside the mask where one was given."""
    psnr_p1_db: float
    """First percentile over frames."""
    masked_share: float
    """Share of the pixels that a mask left to the network; no PSNR counts them."""
    quantisation_loss_db: float
    """How much better the unquantised model is, on up to 16 frames."""
    step_factor: float
    """What the trained quantisation steps were multiplied by to meet the size; 1 is as trained."""
    family: str
    parameter_count: int
    width: int
    height: int
    frames: int
    steps: int
    epochs: float
    fit_seconds: float
    seconds: float
    device: str

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def encode(
    source: str, output: str, settings: EncodeSettings | None = None, progress: Progress | None = None
) -> EncodeResult:
    """Encode the video `source` to `output`, an `.inrv` file that appears only when it is complete.

    Raises `UsageError`, `NotAVideo`, `TargetUnreachable` (before any fitting) and `OutputError`.
    """
    settings, progress = settings or EncodeSettings(), progress or Silent()
    started = time.monotonic() if settings.started is None else settings.started
    _check(source, output, settings)
    device = choose_device(settings.device)
    clip = read_clip(source, settings.source, progress)
    extras = read_extras(source, settings.source, clip.window, progress)
    if settings.mask is not None:
        clip = cut_holes(clip, settings.mask, progress)
    plan = plan_segment(clip.properties, settings)
    check_output_file(output, settings.overwrite, plan.target_bytes + size_of(extras))
    deadline = None if settings.time_seconds is None else started + settings.time_seconds
    announce = _Announcer(source, plan, device, progress)
    fitted = fit_segment(plan, clip, settings, device, deadline, progress, announce)
    coded = _code_to_size(plan, fitted, may_refine=not settings.fixes_bits)
    if coded.file_bytes < LEAST_FILL * plan.target_bytes:
        share = f"{coded.file_bytes / plan.target_bytes:.0%}"
        reason = "at the bits asked for" if settings.fixes_bits else "this network can use no more bits"
        progress.note(f"the file takes {share} of its target: {reason}")
    data = _file(plan, coded.sections, psnr_db=0.0)
    psnr = _decoded_psnr_db(data, clip, settings.device, progress)
    quality = summarise_psnr(psnr)
    data = _file(plan, coded.sections, quality.mean_db, extras)
    with atomic_output(output, settings.overwrite) as file:
        file.write(data)
    return EncodeResult(
        file_bytes=len(data),
        extras_bytes=size_of(extras),
        target_bytes=plan.target_bytes,
        bpp=bits_per_pixel(len(data) - size_of(extras), plan.video),
        psnr_db=quality.mean_db,
        psnr_p1_db=quality.first_percentile_db,
        masked_share=clip.masked_share,
        quantisation_loss_db=float((fitted.sampled_psnr_db - psnr[fitted.sampled]).mean()),
        step_factor=coded.factor,
        family=plan.family.name,
        parameter_count=plan.parameter_count,
        width=plan.video.width,
        height=plan.video.height,
        frames=plan.video.frame_count,
        steps=fitted.fit_steps,
        epochs=fitted.epochs,
        fit_seconds=fitted.seconds,
        seconds=time.monotonic() - started,
        device=describe_device(device),
    )


def _check(source: str, output: str, settings: EncodeSettings) -> None:
    """Raise `UsageError` for what cannot be, before any work."""
    check_paths(source, output)
    if settings.mask is not None:
        check_paths(settings.mask, output)
    check_exclusive(settings)
    check_output_file(output, settings.overwrite)
    check_procedure(settings)
    if not 0 <= settings.seed < 1 << 64:
        raise UsageError(f"--seed: expected 0 to 2^64-1, found {settings.seed}")
    for name, value in (("--time", settings.time_seconds), ("--epochs", settings.epochs)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name}: expected a positive number, found {value}")


@dataclass(frozen=True)
class _Announcer:
    """States the plan once the time it takes is known."""

    source: str
    plan: SegmentPlan
    device: torch.device
    progress: Progress

    def __call__(self, expected_seconds: float, epochs: float | None) -> None:
        video = self.plan.video
        self.progress.plan(
            EncodePlan(
                source=self.source,
                width=video.width,
                height=video.height,
                frame_count=video.frame_count,
                model=self.plan.family.name,
                parameter_count=self.plan.parameter_count,
                target_bytes=self.plan.target_bytes,
                device=describe_device(self.device),
                expected_seconds=expected_seconds,
                epochs=epochs,
            )
        )


def _code_to_size(plan: SegmentPlan, fitted: FittedSegment, may_refine: bool) -> CodedTensors:
    if not all(np.isfinite(value).all() for value in fitted.values.values()):
        raise InrcError("the fit diverged: its weights are no numbers; try another --seed or --preset")
    coder = SectionCoder(plan.specs, fitted.values, fitted.steps)
    coded = fit_to_size(
        coder,
        measure=lambda sections: len(_file(plan, sections, psnr_db=0.0)),
        limit_bytes=plan.target_bytes,
        least_bytes=math.ceil(LEAST_FILL * plan.target_bytes),
        may_refine=may_refine,
    )
    if coded is None:
        raise TargetUnreachable(
            f"{plan.target_bytes} bytes are too few for this {plan.family.name} even with the coarsest steps"
        )
    return coded


def _file(
    plan: SegmentPlan, sections: tuple[Section, ...], psnr_db: float, extras: Extras | None = None
) -> bytes:
    """The whole file; its size does not depend on the PSNR that it states."""
    segment = Segment(0, plan.video.frame_count, plan.family.wire_id, plan.seed, plan.packed_config, sections)
    stream = stream_of(plan.header, segment, psnr_db, plan.is_masked)
    return dump(dataclasses.replace(stream, extras=extras or Extras()))


def _decoded_psnr_db(data: bytes, clip: Clip, device: str, progress: Progress) -> NDArray[np.float64]:
    """PSNR of every frame of the file, decoded from its bytes alone, dB (T,)."""
    psnr: list[float] = []
    with Video(StreamReader(io.BytesIO(data)), device) as video:
        for batch in video.batches(range(len(video))):
            checked = slice(len(psnr), len(psnr) + len(batch))
            psnr.extend(psnr_per_frame_db(clip.frames[checked], batch, clip.keep_of(checked)))
            progress.stage("checking", len(psnr), len(video))
    return np.array(psnr)
