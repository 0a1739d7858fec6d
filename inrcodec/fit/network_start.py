"""Initial values of a fit: the family's random ones or, for a warm start, those of the `--resume-from` file.

A warm start uses the learning rate of a long new fit, however short it is. For twelve frames of a clip,
fitted by Adam for 50 epochs and then for 40 more, a quarter of that rate gave HNeRV, NeRV and SNeRV 0.6 to
1.1 dB less; after 400 epochs, with little left to gain, it made no difference.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from inrcodec.coding.sections import decode_sections
from inrcodec.coding.trim import SectionCoder
from inrcodec.fit.minmax import MinMaxQuantiser
from inrcodec.fit.quantiser import Quantiser
from inrcodec.fit.training.warm_start import ContinuedRepresentation
from inrcodec.models.family import Representation, StartsFromClip, TrainedFamily
from inrcodec.plan.network import SegmentPlan


def initial_representation(plan: SegmentPlan, clip: Tensor) -> Representation:
    """The network to fit to a clip (T, height, width, 3), on the CPU."""
    # `fit.registry` uses this fit for trained families only.
    family = cast("TrainedFamily[Any]", plan.family)
    fresh = family.representation(plan.config, plan.video, plan.seed)
    if plan.start is None:
        if isinstance(fresh, StartsFromClip):
            fresh.start_from(clip)
        return fresh
    values = decode_sections(plan.specs, plan.start.sections)
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    return ContinuedRepresentation(fresh, plan.specs, tensors)


def continue_steps(plan: SegmentPlan, quantiser: Quantiser | MinMaxQuantiser) -> None:
    """Set learned quantisation steps to those of the `--resume-from` file, if there is one.

    A tensor with one step per row starts from their geometric mean.
    """
    if plan.start is None or isinstance(quantiser, MinMaxQuantiser):
        return
    steps = {
        spec.name: math.exp(float(np.mean(np.log(section.steps))))
        for spec, section in zip(plan.specs, plan.start.sections, strict=True)
        if section.steps
    }
    quantiser.start(steps)


def start_coder(plan: SegmentPlan) -> SectionCoder | None:
    """A coder of the `--resume-from` file's tensors, or None; a factor of 1 gives the same symbols."""
    if plan.start is None:
        return None
    sections = plan.start.sections
    steps = {spec.name: one.steps for spec, one in zip(plan.specs, sections, strict=True) if one.steps}
    return SectionCoder(plan.specs, decode_sections(plan.specs, sections), steps)
