"""Input and result of a fit of one segment, for any family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bitstream import Section
from inrcodec.plan.budget import Short
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
    """One segment to fit: everything its bytes depend on, the device, and the receiver of progress."""

    plan: SegmentPlan
    clip: Clip
    settings: EncodeSettings
    device: torch.device
    deadline: Deadline = Deadline()
    """When the segment must be coded and checked; without a limit the epochs end the fit."""
    progress: Progress = field(default_factory=Silent)
    checkpoints: Checkpoints | None = None
    """Where the fit saves its state and resumes from; None saves nothing."""


@dataclass(frozen=True)
class HeldSegment:
    """The segment of the `--resume-from` file, in at most the bytes of the plan."""

    sections: tuple[Section, ...]
    step_factor: float = 1.0


@dataclass(frozen=True)
class FittedSegment:
    """A segment that was fitted and coded in at most the bytes of its plan."""

    plan: SegmentPlan
    """The plan as fitted: a grid fit chooses how chroma is upsampled."""
    sections: tuple[Section, ...]
    fit_steps: int
    epochs: float
    seconds: float
    course: tuple[CoursePoint, ...] = ()
    step_factor: float = 1.0
    """Factor on all trained quantisation steps that met the size."""
    sampled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Indices of the frames on which the unquantised model was measured; empty if there is no such model."""
    sampled_psnr_db: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """PSNR of the unquantised model on those frames, dB."""
    short_of_size: Short | None = None
    """Why it has fewer than the plan's `filled_bytes`; None if it has not."""
