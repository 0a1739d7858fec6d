"""One segment from its frames to its bytes: fit, code to size, decode again and measure."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Section, Segment, StreamReader, dump, load
from inrcodec.coding.trim import CodedTensors, SectionCoder, fit_to_size
from inrcodec.decoder.video import Video
from inrcodec.errors import InrcError, TargetUnreachable
from inrcodec.fit.grids.fit import FittedGrids, fit_grids
from inrcodec.fit.grids.source_planes import with_chroma_of
from inrcodec.fit.network import FittedSegment, fit_segment
from inrcodec.fit.network_start import start_coder
from inrcodec.fit.training.checkpoint import Checkpoints
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.plan.budget import stream_of
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import CoursePoint, Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import Clip


@dataclass(frozen=True)
class SegmentFigures:
    """What is known of a coded segment besides its bytes."""

    psnr_db: tuple[float, ...]
    """Of every frame, decoded from the bytes."""
    quantisation_losses_db: tuple[float, ...]
    """How much better the unquantised model is, of each frame that it was measured on."""
    masked_share: float
    step_factor: float
    parameter_count: int
    steps: int
    epochs: float
    fit_seconds: float
    is_kept: bool = False
    """Whether the network of the file that it went on from stays, because the fit came out worse."""
    course: tuple[CoursePoint, ...] = ()
    """How the fit went, as it saw itself."""


@dataclass(frozen=True)
class CodedSegment:
    """A segment as a whole file of its own, whose first frame is 0."""

    data: bytes
    figures: SegmentFigures

    @cached_property
    def segment(self) -> Segment:
        return load(self.data).segments[0]


def code_segment(
    plan: SegmentPlan,
    clip: Clip,
    settings: EncodeSettings,
    device: torch.device,
    deadline: Deadline,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
) -> CodedSegment:
    """Fit the planned network to `clip` and code it to the plan's size; see `fit_segment`.

    Raises `TargetUnreachable` and, for a fit that diverged, `InrcError`.
    """
    if isinstance(plan.family, Inrc):
        return _code_grids(plan, clip, settings, device, deadline, progress)
    start = _start(plan, clip, device, progress)
    fitted = fit_segment(plan, clip, settings, device, deadline, progress, checkpoints)
    coded = _code_to_size(plan, fitted, may_refine=not settings.fixes_bits)
    data = _file(plan, coded.sections)
    psnr = _decoded_psnr_db(data, clip, str(device), progress)
    losses = fitted.sampled_psnr_db - psnr[fitted.sampled]
    is_kept = start is not None and bool(start.psnr_db.mean() > psnr.mean())
    if start is not None and is_kept:
        progress.detail(f"the fit ends at {psnr.mean():.2f} dB: the network stays as it was")
        # What is known of the network without quantisation is what the file had of it.
        coded, data, psnr, losses = start.coded, start.data, start.psnr_db, np.zeros(1)
    figures = SegmentFigures(
        psnr_db=tuple(psnr.tolist()),
        quantisation_losses_db=tuple(losses.tolist()),
        masked_share=clip.masked_share,
        step_factor=coded.factor,
        parameter_count=plan.parameter_count,
        steps=fitted.fit_steps,
        epochs=fitted.epochs,
        fit_seconds=fitted.seconds,
        is_kept=is_kept,
        course=fitted.course,
    )
    return CodedSegment(data, figures)


def _code_grids(
    plan: SegmentPlan,
    clip: Clip,
    settings: EncodeSettings,
    device: torch.device,
    deadline: Deadline,
    progress: Progress,
) -> CodedSegment:
    """A segment of the `inrc` family, whose fit chooses whole numbers all along: there is no other model."""
    if plan.start is None:
        plan = replace(plan, config=with_chroma_of(clip.frames, plan.config))
    held = None if plan.start is None else _file(plan, plan.start.sections)
    is_possible = held is not None and len(held) <= plan.target_bytes
    try:
        fitted = fit_grids(
            plan,
            clip,
            settings,
            device,
            deadline,
            progress,
            lambda sections: len(_file(plan, sections)),
        )
    except TargetUnreachable:
        if plan.start is None or not is_possible:
            raise
        fitted = FittedGrids(plan.start.sections, 0, 0.0, 0.0)
    data = _file(plan, fitted.sections)
    psnr, is_kept = _decoded_psnr_db(data, clip, str(device), progress), data == held
    if held is not None and is_possible and not is_kept:
        held_psnr = _decoded_psnr_db(held, clip, str(device), progress)
        is_kept = bool(held_psnr.mean() > psnr.mean())
        if is_kept:
            progress.detail(f"the fit ends at {psnr.mean():.2f} dB: the grids stay as they were")
            data, psnr = held, held_psnr
    figures = SegmentFigures(
        psnr_db=tuple(psnr.tolist()),
        quantisation_losses_db=(0.0,),
        masked_share=clip.masked_share,
        step_factor=1.0,
        parameter_count=plan.parameter_count,
        steps=fitted.fit_steps,
        epochs=fitted.epochs,
        fit_seconds=fitted.seconds,
        is_kept=is_kept,
        course=fitted.course,
    )
    return CodedSegment(data, figures)


@dataclass(frozen=True)
class _Start:
    """What a fit goes on from, coded to its size."""

    coded: CodedTensors
    data: bytes
    psnr_db: NDArray[np.float64]


def _start(plan: SegmentPlan, clip: Clip, device: torch.device, progress: Progress) -> _Start | None:
    """The network of the earlier file as it is, or with coarser steps where less is asked for."""
    coder = start_coder(plan)
    coded = None
    if coder is not None:
        coded = fit_to_size(
            coder, lambda sections: len(_file(plan, sections)), plan.target_bytes, 0, may_refine=False
        )
    if coded is None:
        return None
    data = _file(plan, coded.sections)
    psnr = _decoded_psnr_db(data, clip, str(device), progress)
    progress.detail(f"it goes on from {psnr.mean():.2f} dB in {coded.file_bytes} bytes")
    return _Start(coded, data, psnr)


def _code_to_size(plan: SegmentPlan, fitted: FittedSegment, may_refine: bool) -> CodedTensors:
    if not all(np.isfinite(value).all() for value in fitted.values.values()):
        raise InrcError("the fit diverged: its weights are no numbers; try another --seed or --preset")
    coder = SectionCoder(plan.specs, fitted.values, fitted.steps)
    coded = fit_to_size(
        coder,
        measure=lambda sections: len(_file(plan, sections)),
        limit_bytes=plan.target_bytes,
        least_bytes=plan.filled_bytes,
        may_refine=may_refine,
    )
    if coded is None:
        raise TargetUnreachable(
            f"{plan.target_bytes} bytes are too few for this {plan.family.name} even with the coarsest steps"
        )
    return coded


def _file(plan: SegmentPlan, sections: tuple[Section, ...]) -> bytes:
    """The segment as a whole file; it has not been measured yet."""
    segment = Segment(0, plan.video.frame_count, plan.family.wire_id, plan.seed, plan.packed_config, sections)
    return dump(stream_of(plan.header, segment, 0.0, plan.is_masked))


def _decoded_psnr_db(data: bytes, clip: Clip, device: str, progress: Progress) -> NDArray[np.float64]:
    """PSNR of every frame of the file, decoded from its bytes alone, dB (T,)."""
    psnr: list[float] = []
    with Video(StreamReader(io.BytesIO(data)), device) as video:
        for batch in video.batches(range(len(video))):
            checked = slice(len(psnr), len(psnr) + len(batch))
            psnr.extend(psnr_per_frame_db(clip.frames[checked], batch, clip.keep_of(checked)))
            progress.stage("checking", len(psnr), len(video))
    return np.array(psnr)
