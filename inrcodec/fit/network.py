"""Fits a network and codes it to its size."""

from __future__ import annotations

import numpy as np

from inrcodec.coding.trim import CodedTensors, SectionCoder, fit_to_size
from inrcodec.errors import InrcError, TargetUnreachable
from inrcodec.fit.job import FitJob, FittedSegment, HeldSegment
from inrcodec.fit.network_start import start_coder
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.plan.budget import Short
from inrcodec.plan.network import SegmentPlan
from inrcodec.system.deadline import Deadline


def fit_network(job: FitJob) -> FittedSegment:
    """Train the planned network and scale its quantisation steps to meet the plan's size.

    Raises `TargetUnreachable`, or `InrcError` if the fit diverged.
    """
    plan, trained = job.plan, train_network(job)
    may_refine = not job.settings.fixes_bits
    coded = _code_to_size(plan, trained, may_refine, job.deadline.less(trained.check_seconds))
    short: Short | None = None
    if coded.file_bytes < plan.filled_bytes:
        short = "time" if coded.ran_out_of_time else "model" if may_refine else "weight_bits"
    return FittedSegment(
        plan,
        coded.sections,
        trained.fit_steps,
        trained.epochs,
        trained.seconds,
        trained.course,
        coded.factor,
        trained.sampled,
        trained.sampled_psnr_db,
        short,
    )


def held_network(plan: SegmentPlan) -> HeldSegment | None:
    """The network of the `--resume-from` file, with coarser steps if it exceeds the plan's bytes.

    None if there is no such file or no steps are coarse enough.
    """
    coder = start_coder(plan)
    if coder is None:
        return None
    coded = fit_to_size(coder, plan.file_bytes, plan.target_bytes, 0, may_refine=False)
    return None if coded is None else HeldSegment(coded.sections, coded.factor)


def _code_to_size(
    plan: SegmentPlan, trained: TrainedNetwork, may_refine: bool, deadline: Deadline
) -> CodedTensors:
    if not all(np.isfinite(value).all() for value in trained.values.values()):
        raise InrcError("the fit diverged: some weights are infinite or NaN; try another --seed or --preset")
    coder = SectionCoder(plan.specs, trained.values, trained.steps)
    coded = fit_to_size(coder, plan.file_bytes, plan.target_bytes, plan.filled_bytes, may_refine, deadline)
    if coded is None:
        raise TargetUnreachable(
            f"{plan.target_bytes} bytes are too few for this {plan.family.name} even with the coarsest steps"
        )
    return coded
