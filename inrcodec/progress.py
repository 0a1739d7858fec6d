"""Progress reports of the library: a small protocol that the command line implements."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodePlan:
    """Size, model and effort of an encode, reported before the work starts."""

    source: str
    width: int
    height: int
    frame_count: int
    model: str
    parameter_count: int
    target_bytes: int
    device: str
    expected_seconds: float | None
    """Estimated duration of the work, from one timed step and one timed frame; None where workers
    measure it."""
    epochs: float | None
    """Passes over the frames, or None when `--time` decides."""


@dataclass(frozen=True)
class FitReport:
    """The state of a fit at one step."""

    fraction: float
    """Elapsed fraction of the schedule, 0 to 1."""
    psnr_db: float
    """Running PSNR of the training batches, dB."""
    predicted_bpp: float
    steps_per_second: float
    seconds_left: float


MOST_COURSE_POINTS = 400
CoursePoint = tuple[float, float, float, float]
"""Seconds since the fit began or resumed, epochs, PSNR in dB, bits per pixel."""


@dataclass
class Course:
    """The history of a fit in at most `MOST_COURSE_POINTS` points, further apart the longer the fit."""

    epochs_a_step: float
    points: list[CoursePoint] = field(default_factory=list)
    # Not `time.monotonic` itself: a test that sets the clock replaces the name in `time`.
    _started: float = field(default_factory=lambda: time.monotonic())
    _least_apart: float = 0.0

    def add(self, step: int, psnr_db: float, bpp: float) -> None:
        """Record the state after `step` steps, unless the last point is too recent."""
        seconds = time.monotonic() - self._started
        if self.points and seconds - self.points[-1][0] < self._least_apart:
            return
        self.points.append((seconds, self.epochs_a_step * step, psnr_db, bpp))
        if len(self.points) == MOST_COURSE_POINTS:
            self.points = self.points[::2]
            self._least_apart = seconds / len(self.points)


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame of the source and its fit, both uint8 (height, width, 3)."""

    source: NDArray[np.uint8]
    fit: NDArray[np.uint8]


class Progress(Protocol):
    """Receives the library's reports; every method must return quickly."""

    def plan(self, plan: EncodePlan) -> None: ...

    def expect(self, seconds: float, epochs: float | None) -> None:
        """A fit is about to take `seconds`, and `epochs` unless `--time` decides (None)."""

    def fit(self, report: FitReport) -> None: ...

    def stage(self, name: str, done: int, total: int) -> None:
        """`done` of `total` units (frames, trials) of the stage `name` are finished."""

    def picture(self, draw: Callable[[], Picture]) -> None:
        """Offer a picture of the fit as it is now; `draw` renders it, which takes time."""

    def note(self, message: str) -> None:
        """Report a warning or remark of one line."""

    def detail(self, message: str) -> None:
        """Report a remark that only `-v` shows."""


class Silent:
    """A `Progress` that says nothing; the default of the library."""

    def plan(self, plan: EncodePlan) -> None:
        pass

    def expect(self, seconds: float, epochs: float | None) -> None:
        pass

    def fit(self, report: FitReport) -> None:
        pass

    def stage(self, name: str, done: int, total: int) -> None:
        pass

    def picture(self, draw: Callable[[], Picture]) -> None:
        pass

    def note(self, message: str) -> None:
        pass

    def detail(self, message: str) -> None:
        pass


@dataclass(eq=False)
class Part:
    """A `Progress` for one part of a job; parts nest, and the outermost `Progress` sees the whole job.

    Reports of parts that run in parallel are combined. The fraction is summed over parts, weighted by share.
    PSNR and bits per pixel are means weighted by share. The time left follows from the pace of the running
    parts.
    """

    told: Progress
    """Receiver of the reports: the enclosing part or the outermost `Progress`."""
    share: float = 1.0
    """Fraction of the enclosing part, 0 to 1."""
    name: str = ""
    """Prefix of its notes and details."""
    title: str | None = None
    """Replaces the source in its plans."""
    expects: Callable[[float, float | None], None] | None = None
    """Receives `expect` in place of `told`."""
    pictures: Callable[[Callable[[], Picture]], None] | None = None
    """Receives pictures in place of `told`."""
    has_notes: bool = True
    """Whether its notes are passed on."""
    has_stages: bool = True
    """Whether its stages are passed on; stages of parallel parts would alternate."""
    repeats_notes: bool = True
    """Whether a repeated note is passed on; several encodes of one source make the same notes."""
    _whole: Part | None = field(default=None, repr=False)
    _done: float = 0.0
    _pace: float = 0.0
    _running: dict[Part, FitReport] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)

    def part(self, share: float, **options: Any) -> Part:
        """Create a part of this one; `options` are fields of `Part`."""
        return Part(self, share, **options, _whole=self)

    def end(self) -> None:
        """Count this part as done, whether it succeeded or failed."""
        if self._whole is not None:
            self._whole._running.pop(self, None)
            self._whole._done += self.share

    def plan(self, plan: EncodePlan) -> None:
        self.told.plan(plan if self.title is None else replace(plan, source=self.title))

    def expect(self, seconds: float, epochs: float | None) -> None:
        (self.expects or self.told.expect)(seconds, epochs)

    def fit(self, report: FitReport) -> None:
        if self._whole is None:
            self.told.fit(report)
            return
        self._whole._running[self] = report
        self._whole.fit(self._whole._sum())

    def _sum(self) -> FitReport:
        """The combined state of all parts."""
        running = self._running.items()
        whole = sum(part.share for part, _ in running)
        fraction = min(1.0, self._done + sum(part.share * one.fraction for part, one in running))
        pace = sum(part.share * (1 - one.fraction) / max(one.seconds_left, 1e-3) for part, one in running)
        # Parts that have just ended say nothing about the pace of those that follow.
        self._pace = pace or self._pace
        return FitReport(
            fraction=fraction,
            psnr_db=sum(part.share * one.psnr_db for part, one in running) / whole,
            predicted_bpp=sum(part.share * one.predicted_bpp for part, one in running) / whole,
            steps_per_second=sum(one.steps_per_second for _, one in running),
            seconds_left=(1 - fraction) / self._pace if self._pace > 0 else 0.0,
        )

    def stage(self, name: str, done: int, total: int) -> None:
        if self.has_stages:
            self.told.stage(name, done, total)

    def picture(self, draw: Callable[[], Picture]) -> None:
        (self.pictures or self.told.picture)(draw)

    def note(self, message: str) -> None:
        if self.has_notes and (self.repeats_notes or message not in self._noted):
            self._noted.add(message)
            self.told.note(self._named(message))

    def detail(self, message: str) -> None:
        self.told.detail(self._named(message))

    def _named(self, message: str) -> str:
        return f"{self.name}: {message}" if self.name else message
