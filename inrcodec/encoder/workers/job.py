"""Defines the job that codes one segment, on any process or machine, and the protocol of workers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import torch

from inrcodec.encoder.resume_folder import ResumeFolder
from inrcodec.encoder.segment import CodedSegment, code_segment
from inrcodec.errors import InrcError, WorkerLost, explained
from inrcodec.fit.job import FitJob
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import Clip

SegmentKey = tuple[int, int]
"""Index of the source and index of its segment, both from 0."""
Outcome = CodedSegment | Exception
"""A coded segment, or the exception that coding it raised."""


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """Everything that determines the bytes of one segment, so they do not depend on the worker.

    It can be pickled: frames, plain data and the network's plan.
    """

    key: SegmentKey
    plan: SegmentPlan
    clip: Clip
    settings: EncodeSettings
    deadline: Deadline
    """The segment must be coded by then; without a limit, epochs decide."""
    folder: ResumeFolder
    """Folder for checkpoints, used by workers on the same machine."""


ProgressOf = Callable[[SegmentKey], Progress]
"""Returns the `Progress` that receives the reports of a segment's fit."""


class Workers(Protocol):
    """Codes segments; a context manager that stops all workers when it exits."""

    @property
    def reports(self) -> bool:
        """Whether fits report while they run."""

    @property
    def count(self) -> int:
        """Number of segments coded in parallel."""

    @property
    def description(self) -> str:
        """Description of the device that fits segments; the bytes depend on it."""

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """Yield outcomes as segments finish; a job is requested only when a worker is free."""

    def cancel(self, source: int) -> None:
        """Drop the segments of `source` that are being coded, without saving checkpoints."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def outcome_of(
    job: SegmentJob,
    device: torch.device,
    progress: Progress,
    saves: bool = True,
) -> Outcome:
    """Code the segment on `device`; an exception is returned as the outcome.

    With `saves`, the fit saves checkpoints in the job's folder, and resumes from the last one there.
    """
    checkpoints = job.folder.checkpoints(job.key[1], job.plan, progress) if saves else None
    fit_job = FitJob(job.plan, job.clip, job.settings, device, job.deadline, progress, checkpoints)
    try:
        return code_segment(fit_job)
    except Exception as error:
        return error


def portable(outcome: Outcome) -> Outcome:
    """The outcome in a form that can be pickled; an error keeps its traceback as a note."""
    if isinstance(outcome, CodedSegment):
        return outcome
    # Other libraries' errors may contain what cannot be pickled, or fail to be rebuilt from their arguments.
    is_ours = isinstance(outcome, InrcError)
    error: Exception = copy(outcome) if is_ours else WorkerLost(explained(outcome)[0])
    error.add_note("".join(traceback.format_tb(outcome.__traceback__)))
    return error
