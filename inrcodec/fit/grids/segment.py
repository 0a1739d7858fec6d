"""Fits and codes one segment of the `inrc` family, with the distance of anchors that suits its frames."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from inrcodec.errors import TargetUnreachable
from inrcodec.fit.grids.fit import GridFit
from inrcodec.fit.grids.pace import Pace
from inrcodec.fit.grids.refinement import share_of_a_step
from inrcodec.fit.grids.shots import planned_for
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.start import held_grids
from inrcodec.fit.job import FitJob, FittedSegment
from inrcodec.models.inrc.shapes import GROUP_FRAMES
from inrcodec.models.layers.codes import as_tensor
from inrcodec.plan.network import SegmentPlan
from inrcodec.system.memory import KEPT_MEMORY

FAR_GROUP_FRAMES = 2 * GROUP_FRAMES
"""The distance of anchors that is tried beside the default."""
LEAST_GAIN = 0.005
"""Minimum gain, as a share of the bits, for which anchors are further apart: seeking then takes longer."""


def fit_grids(job: FitJob) -> FittedSegment:
    """Fit and code a segment in at most the bytes of its plan.

    If nothing fits but the segment of the `--resume-from` file does, return that one; otherwise raise
    `TargetUnreachable`.
    """
    plan = job.plan
    if plan.start is None:
        plan = planned_for(job.clip.frames, plan)
    segment = SegmentPlanes(as_tensor(job.clip.frames).to(job.device), plan.config, plan.video)
    # Rounds and passes need the same memory again, and the kernel would clear it each time.
    memory = KEPT_MEMORY if segment.device.type == "cpu" else nullcontext()
    try:
        with memory:
            return _begun(plan, segment, job).run()
    except TargetUnreachable:
        held = held_grids(plan)
        if held is None:
            raise
        return FittedSegment(plan, held.sections, fit_steps=0, epochs=0.0, seconds=0.0)


def _begun(plan: SegmentPlan, segment: SegmentPlanes, job: FitJob) -> GridFit:
    """The fit after its first pass, with the distance of anchors at which that pass costs less.

    An anchor costs more the further its reference is, but half as many are coded from each other. Which of
    both counts more depends on the frames, and the first pass already shows it.
    """
    settings = job.settings
    epochs = settings.epochs if settings.epochs is not None else settings.procedure.epochs
    pace = Pace(job.deadline, float(epochs), segment.frame_count, share_of_a_step(segment))
    fit = GridFit(plan, segment, job, pace)
    fit.begin()
    config = replace(plan.config, group_frames=FAR_GROUP_FRAMES)
    is_free = plan.start is None and "group" not in settings.model_options
    if is_free and config.tree(plan.video) != segment.tree and pace.may_begin_again():
        far = GridFit(plan.with_config(config), segment.with_config(config), job, pace)
        far.begin_like(fit)
        if far.first_cost() < fit.first_cost() - LEAST_GAIN:
            far.settle()
            return far
    return fit
