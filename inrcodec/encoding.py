"""Encoding: a video file to an `.inrv` file.

video file -> survey -> segments -> for each: frames -> plan -> fit -> code to size -> decode again -> .inrv
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bitstream import DEFAULT_LIMITS, Extras, LimitExceeded, Quality, StreamHeader, StreamWriter
from inrcodec import __version__
from inrcodec.budget import (
    LEAST_FILL,
    SharedBudget,
    bits_per_pixel,
    metadata_of,
    size_of,
    target_bytes,
)
from inrcodec.checks import check_exclusive, check_procedure
from inrcodec.device import choose_device, describe_device
from inrcodec.errors import UsageError, is_out_of_memory
from inrcodec.files import atomic_output, check_output_file, check_paths
from inrcodec.metrics import summarise_psnr
from inrcodec.models.family import VideoInfo
from inrcodec.planning import SegmentPlan, plan_segments
from inrcodec.progress import Progress, Silent
from inrcodec.resuming import Resumable
from inrcodec.segment_coding import CodedSegment, code_segment
from inrcodec.segment_progress import Announcer, PartProgress
from inrcodec.segments import LARGEST_SEGMENT_BYTES, cut, difficulties
from inrcodec.settings import EncodeSettings
from inrcodec.video import Survey, check_mask_length, cut_holes, read_extras, survey_video
from inrcodec.video.properties import header_of, part_properties
from inrcodec.video.survey import SegmentClips


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
    """What the trained quantisation steps were multiplied by to meet the size; 1 is as trained. Of several
    segments the geometric mean."""
    family: str
    parameter_count: int
    """Of all segments together."""
    width: int
    height: int
    frames: int
    segments: int
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

    An encode that was interrupted goes on where it was when it is asked for again; see `resuming`. Raises
    `UsageError`, `NotAVideo`, `TargetUnreachable` (before any fitting) and `OutputError`.
    """
    settings, progress = settings or EncodeSettings(), progress or Silent()
    started = time.monotonic() if settings.started is None else settings.started
    _check(source, output, settings)
    device = choose_device(settings.device)
    survey = survey_video(source, settings.source, LARGEST_SEGMENT_BYTES, progress)
    extras = read_extras(source, settings.source, survey.window, progress)
    if settings.mask is not None and survey.clip is not None:
        survey = replace(survey, clip=cut_holes(survey.clip, settings.mask, progress))
    job = _plan_job(source, output, survey, extras, settings, device, progress)
    request = _request(settings, survey, device)
    resumable = Resumable(output, request, started, settings.checkpoint_seconds, progress)
    coded = _code_segments(job, resumable)
    quality = summarise_psnr([value for one in coded for value in one.figures.psnr_db])
    with atomic_output(output, settings.overwrite) as file:
        writer = StreamWriter(file, job.header)
        for run, one in zip(job.runs, coded, strict=True):
            writer.append(replace(one.segment, first_frame=run.start))
        writer.finish(Quality(quality.mean_db), metadata_of(settings.mask is not None), extras=extras)
        file_bytes = file.tell()
    resumable.remove()
    video_bytes = file_bytes - size_of(extras)
    if video_bytes < LEAST_FILL * job.budget.total_bytes:
        share = f"{video_bytes / job.budget.total_bytes:.0%}"
        reason = "at the bits asked for" if settings.fixes_bits else "this network can use no more bits"
        progress.note(f"the file takes {share} of its target: {reason}")
    figures = [one.figures for one in coded]
    frames = survey.properties.frame_count
    return EncodeResult(
        file_bytes=file_bytes,
        extras_bytes=size_of(extras),
        target_bytes=job.budget.total_bytes,
        bpp=bits_per_pixel(video_bytes, job.video),
        psnr_db=quality.mean_db,
        psnr_p1_db=quality.first_percentile_db,
        masked_share=sum(one.masked_share * len(one.psnr_db) for one in figures) / frames,
        quantisation_loss_db=float(
            np.mean([value for one in figures for value in one.quantisation_losses_db])
        ),
        step_factor=math.prod(one.step_factor for one in figures) ** (1 / len(figures)),
        family=job.plans[0].family.name,
        parameter_count=sum(one.parameter_count for one in figures),
        width=job.video.width,
        height=job.video.height,
        frames=frames,
        segments=len(coded),
        steps=sum(one.steps for one in figures),
        epochs=sum(one.epochs * len(one.psnr_db) for one in figures) / frames,
        fit_seconds=sum(one.fit_seconds for one in figures),
        seconds=time.monotonic() - resumable.started,
        device=describe_device(device),
    )


@dataclass(frozen=True)
class _Job:
    """What is to be done, decided before any fitting."""

    source: str
    survey: Survey
    settings: EncodeSettings
    device: torch.device
    progress: Progress
    runs: Sequence[range]
    """Frames of each segment."""
    budget: SharedBudget
    plans: Sequence[SegmentPlan]
    header: StreamHeader

    @property
    def video(self) -> VideoInfo:
        properties = self.survey.properties
        return VideoInfo(properties.width, properties.height, properties.frame_count)


def _plan_job(
    source: str,
    output: str,
    survey: Survey,
    extras: Extras,
    settings: EncodeSettings,
    device: torch.device,
    progress: Progress,
) -> _Job:
    """Cut the video and plan its networks; raises what tells that this encode cannot be."""
    properties = survey.properties
    video = VideoInfo(properties.width, properties.height, properties.frame_count)
    runs = cut(settings.segment, video.frame_count, video.width * video.height * 3, survey.changes)
    if settings.mask is not None and survey.clip is None:
        check_mask_length(settings.mask, video.frame_count)
    total = target_bytes(settings, video)
    header = header_of(properties, (video.width, video.height))
    shares = difficulties(runs, survey.spatial, survey.temporal)
    budget = _budget(total, header, runs, shares, settings)
    plans = plan_segments([part_properties(properties, run) for run in runs], budget, settings)
    check_output_file(output, settings.overwrite, total + size_of(extras))
    first = plans[0].header
    header = header_of(properties, (first.coded_width, first.coded_height))
    return _Job(source, survey, settings, device, progress, runs, budget, plans, header)


def _budget(
    total: int, header: StreamHeader, runs: Sequence[range], shares: Sequence[float], settings: EncodeSettings
) -> SharedBudget:
    """The budget of the file; raises `UsageError` for a video that no reader would take."""
    try:
        found, limit = len(runs), DEFAULT_LIMITS.max_segments
        if found > limit:
            raise LimitExceeded(f"expected at most {limit} segments, found {found}")
        return SharedBudget(total, header, runs, shares, settings.mask is not None)
    except LimitExceeded as error:
        raise UsageError(f"this video is too large for one file: {error}") from error


def _request(settings: EncodeSettings, survey: Survey, device: torch.device) -> dict[str, Any]:
    """All that the file depends on, as JSON: an encode goes on only with the same."""
    mask = None if settings.mask is None else os.stat(settings.mask)
    asked = replace(settings, started=None, overwrite=False, checkpoint_seconds=0.0)
    return {
        "settings": dataclasses.asdict(asked),
        "source": survey.digest,
        "properties": repr(survey.properties),
        "mask": None if mask is None else [mask.st_size, mask.st_mtime_ns],
        "device": describe_device(device),
        "versions": [__version__, str(torch.__version__)],
    }


def _code_segments(job: _Job, resumable: Resumable) -> list[CodedSegment]:
    """Every segment coded, those that were finished before an interruption as they were then."""
    coded: list[CodedSegment] = []
    done = [resumable.finished(number) for number in range(len(job.runs))]
    if resumable.is_resumed:
        finished = sum(one is not None for one in done)
        job.progress.note(f"resuming: {finished} of {len(job.runs)} segments are finished")
    announcer = Announcer(job.source, job.video, job.plans, job.budget.total_bytes, job.device, job.progress)
    clips = SegmentClips(job.survey, job.source, job.settings.source, job.runs)
    for number, before in enumerate(done):
        coded.append(_code_segment(job, resumable, clips, number, announcer) if before is None else before)
    return coded


def _code_segment(
    job: _Job, resumable: Resumable, clips: SegmentClips, number: int, announcer: Announcer
) -> CodedSegment:
    settings, run, is_only = job.settings, job.runs[number], len(job.runs) == 1
    clip = clips.read(number)
    if settings.mask is not None and job.survey.clip is None:
        clip = cut_holes(clip, settings.mask, job.progress, run)
    deadline = _deadline(job, resumable.started, number)
    progress = job.progress if is_only else PartProgress(job.progress, run, job.video.frame_count)
    checkpoints = resumable.checkpoints(number)
    try:
        one = code_segment(
            job.plans[number],
            clip,
            settings,
            job.device,
            deadline,
            progress,
            announcer.of(number),
            checkpoints,
        )
    except Exception as error:
        if not is_out_of_memory(error):
            # What failed once would fail again from its checkpoint.
            resumable.give_up(number)
        raise
    resumable.store(number, one)
    return one


def _deadline(job: _Job, started: float, number: int) -> float | None:
    """When segment `number` must be coded: the time left is shared over the frames left."""
    if job.settings.time_seconds is None:
        return None
    now, end = time.monotonic(), started + job.settings.time_seconds
    if number == len(job.runs) - 1:
        return end
    frames_left = sum(len(run) for run in job.runs[number:])
    return now + (end - now) * len(job.runs[number]) / frames_left


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
