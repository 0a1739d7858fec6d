"""Turns the frames of one segment into bytes: fit, code to size, decode again and measure."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bitstream import Segment, StreamReader, load
from inrcodec.decoder.video import Video
from inrcodec.fit.job import FitJob, HeldSegment
from inrcodec.fit.registry import fit_of
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.plan.budget import Short
from inrcodec.progress import CoursePoint


@dataclass(frozen=True)
class SegmentFigures:
    """Measurements of a coded segment."""

    psnr_db: tuple[float, ...]
    """PSNR of every frame, decoded from the bytes."""
    quantisation_losses_db: tuple[float, ...]
    """How much higher the PSNR of the unquantised model is, on each frame that it was measured on."""
    masked_share: float
    step_factor: float
    parameter_count: int
    steps: int
    epochs: float
    fit_seconds: float
    is_kept: bool = False
    """Whether the network from the `--resume-from` file was kept, because refitting made it worse."""
    course: tuple[CoursePoint, ...] = ()
    """History of the fit, measured during training."""
    short_of_size: Short | None = None
    """Why it has fewer bytes than planned; None if it has not."""


@dataclass(frozen=True)
class CodedSegment:
    """A segment as a complete file, whose first frame is 0."""

    data: bytes
    figures: SegmentFigures

    @cached_property
    def segment(self) -> Segment:
        return load(self.data).segments[0]


def code_segment(job: FitJob) -> CodedSegment:
    """Fit and code the segment of `job`, and decode it again.

    After a warm start, keeps the earlier file's segment if the fit comes out worse. Raises
    `TargetUnreachable` and, for a fit that diverged, `InrcError`.
    """
    fit, progress = fit_of(job.plan.family), job.progress
    held = _held(job, fit.held(job.plan))
    fitted = fit.fit(job)
    data = fitted.plan.file(fitted.sections)
    is_unchanged = held is not None and held.data == data
    psnr = held.psnr_db if held is not None and is_unchanged else _decoded_psnr_db(data, job)
    factor = fitted.step_factor
    # Without an unquantised model, or for a kept segment, the loss by quantisation counts as 0.
    losses = fitted.sampled_psnr_db - psnr[fitted.sampled] if len(fitted.sampled) else np.zeros(1)
    is_kept = is_unchanged or held is not None and bool(held.psnr_db.mean() > psnr.mean())
    if held is not None and is_kept:
        if not is_unchanged:
            progress.detail(f"the fit ends at {psnr.mean():.2f} dB: kept the earlier segment")
        data, psnr, factor, losses = held.data, held.psnr_db, held.step_factor, np.zeros(1)
    figures = SegmentFigures(
        psnr_db=tuple(psnr.tolist()),
        quantisation_losses_db=tuple(losses.tolist()),
        masked_share=job.clip.masked_share,
        step_factor=factor,
        parameter_count=fitted.plan.parameter_count,
        steps=fitted.fit_steps,
        epochs=fitted.epochs,
        fit_seconds=fitted.seconds,
        is_kept=is_kept,
        course=fitted.course,
        short_of_size=fitted.short_of_size,
    )
    return CodedSegment(data, figures)


@dataclass(frozen=True)
class _Held:
    """The earlier file's segment, as a complete file."""

    data: bytes
    step_factor: float
    psnr_db: NDArray[np.float64]


def _held(job: FitJob, held: HeldSegment | None) -> _Held | None:
    if held is None:
        return None
    data = job.plan.file(held.sections)
    psnr = _decoded_psnr_db(data, job)
    job.progress.detail(f"warm start from {psnr.mean():.2f} dB in {len(data)} bytes")
    return _Held(data, held.step_factor, psnr)


def _decoded_psnr_db(data: bytes, job: FitJob) -> NDArray[np.float64]:
    """PSNR of every frame of the file, decoded from its bytes, dB (T,)."""
    psnr: list[float] = []
    clip = job.clip
    with Video(StreamReader(io.BytesIO(data)), str(job.device)) as video:
        for batch in video.batches(range(len(video))):
            checked = slice(len(psnr), len(psnr) + len(batch))
            psnr.extend(psnr_per_frame_db(clip.frames[checked], batch, clip.keep_of(checked)))
            job.progress.stage("checking", len(psnr), len(video))
    return np.array(psnr)
