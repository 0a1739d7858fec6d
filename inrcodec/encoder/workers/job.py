"""One segment from a job to its bytes, in whichever process or machine the job was sent to."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import torch

from inrcodec.encoder.resume import ResumeFolder
from inrcodec.encoder.segment import CodedSegment, code_segment
from inrcodec.errors import InrcError, WorkerLost, explained
from inrcodec.fit.job import FitJob
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import Clip

SegmentKey = tuple[int, int]
"""Which of several sources, and which of its segments; both count from 0."""
Outcome = CodedSegment | Exception
"""What came of a segment."""


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """All that the bytes of one segment depend on: the same ones come from it wherever it is done.

    What is sent to another process is frames, plain data and the network's plan.
    """

    key: SegmentKey
    plan: SegmentPlan
    clip: Clip
    settings: EncodeSettings
    deadline: Deadline
    """When the segment must be coded; without a limit epochs decide."""
    folder: ResumeFolder
    """Where its checkpoints go, for a worker on the same machine."""


ProgressOf = Callable[[SegmentKey], Progress]
"""Where the fit of a segment reports to."""


class Workers(Protocol):
    """Those who code segments; a context manager, which ends with all of them stopped."""

    @property
    def reports(self) -> bool:
        """Whether fits are heard of while they run."""

    @property
    def count(self) -> int:
        """How many segments are worked on at once."""

    @property
    def description(self) -> str:
        """What segments are fitted on, in words; the bytes depend on it."""

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """The outcomes in the order in which they come; a job is asked for when somebody is free to do it."""

    def cancel(self, source: int) -> None:
        """Forget the segments of that source that are being worked on, and save nothing of them."""

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
    """Code the segment on `device`; what is raised is the outcome too.

    With `saves` the fit leaves checkpoints in the job's folder, and goes on from the last one there.
    """
    checkpoints = job.folder.checkpoints(job.key[1], progress) if saves else None
    fit_job = FitJob(job.plan, job.clip, job.settings, device, job.deadline, progress, checkpoints)
    try:
        return code_segment(fit_job)
    except Exception as error:
        return error


def portable(outcome: Outcome) -> Outcome:
    """The outcome as it survives the way to another process, with the traceback as a note."""
    if isinstance(outcome, CodedSegment):
        return outcome
    # Errors of others may hold what cannot be sent, or be made of other arguments than they keep.
    is_ours = isinstance(outcome, InrcError)
    error: Exception = copy(outcome) if is_ours else WorkerLost(explained(outcome)[0])
    error.add_note("".join(traceback.format_tb(outcome.__traceback__)))
    return error
