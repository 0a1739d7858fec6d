"""The segment of the `--resume-from` file, as the start of an `inrc` fit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inrcodec.coding.grid_sections import DecodedGrids, decode_contextual
from inrcodec.fit.grids.motion import STEP
from inrcodec.fit.job import HeldSegment
from inrcodec.models.inrc.shapes import split_grids
from inrcodec.plan.network import SegmentPlan


def held_grids(plan: SegmentPlan) -> HeldSegment | None:
    """The segment of the `--resume-from` file; None if there is none or it exceeds the plan's bytes."""
    if plan.start is None or plan.file_bytes(plan.start.sections) > plan.target_bytes:
        return None
    return HeldSegment(plan.start.sections)


def decoded_start(plan: SegmentPlan) -> DecodedGrids | None:
    """Everything in that segment; None if there is none."""
    if plan.start is None:
        return None
    return decode_contextual(plan.config, plan.video, plan.specs, plan.start.sections)


def motion_grids(start: DecodedGrids, plan: SegmentPlan, device: torch.device) -> list[Tensor]:
    """The motion of `start` as grids in whole steps, for a `MotionFit`."""
    symbols = start.symbols
    motion = torch.from_numpy(symbols.motion * np.float32(symbols.motion_step / STEP)).to(device)
    return split_grids(motion.round().float(), plan.config.rows, plan.config.columns)
