"""What a fit of one segment is given, and what it makes of it, whatever the family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bitstream import Section
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import CoursePoint, Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import Clip

if TYPE_CHECKING:
    import torch

    from inrcodec.fit.training.checkpoint import Checkpoints


@dataclass(frozen=True, eq=False)
class FitJob:
    """One segment to fit: all that its bytes depend on, where to fit it, and who hears of it."""

    plan: SegmentPlan
    clip: Clip
    settings: EncodeSettings
    device: torch.device
    deadline: Deadline = Deadline()
    """When the segment must be coded and checked; without a limit epochs decide."""
    progress: Progress = field(default_factory=Silent)
    checkpoints: Checkpoints | None = None
    """Where the fit saves how far it is, and goes on from; None saves nothing."""


@dataclass(frozen=True)
class HeldSegment:
    """What the file that a fit goes on from has of the segment, within the bytes of the plan."""

    sections: tuple[Section, ...]
    step_factor: float = 1.0


@dataclass(frozen=True)
class FittedSegment:
    """A segment that was fitted and coded in at most the bytes of its plan."""

    plan: SegmentPlan
    """As it was fitted: a grid fit decides about chroma."""
    sections: tuple[Section, ...]
    fit_steps: int
    epochs: float
    seconds: float
    course: tuple[CoursePoint, ...] = ()
    step_factor: float = 1.0
    """What all trained quantisation steps were multiplied by to meet the size."""
    sampled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Indices of the frames that the unquantised model was measured on; none where there is no such model."""
    sampled_psnr_db: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Its PSNR there, dB."""
