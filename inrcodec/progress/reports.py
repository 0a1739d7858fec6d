"""Progress reports of the library: a small protocol that the command line implements."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inrcodec.samples import Samples


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


@dataclass(frozen=True)
class JobReport:
    """The state of the whole job: of all fits, segments and sources that were asked for."""

    fraction: float
    """Elapsed fraction of the job, 0 to 1; it never falls."""
    seconds_left: float | None
    """None until anything can be said about it."""
    doing: str
    """The current stage with its own progress: `refining motion 3/16`."""
    place: str = ""
    """The current part, as in `fit 2 of 4, segment 3 of 7`; empty in a job of one part."""
    psnr_db: float | None = None
    """PSNR so far, dB; None if nothing was measured yet."""
    bpp: float | None = None
    """Bits per pixel so far, measured or predicted."""


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
    """One frame of the source and its fit, both (height, width, 3)."""

    source: Samples
    fit: Samples


class Progress(Protocol):
    """Receives the library's reports; every method must return quickly."""

    def begin(self, line: str) -> None:
        """Announce the work in one line, before anything about it is known."""

    def plan(self, plan: EncodePlan) -> None: ...

    def expect(self, seconds: float, epochs: float | None) -> None:
        """A fit is about to take `seconds`, and `epochs` unless `--time` decides (None)."""

    def fit(self, report: FitReport) -> None: ...

    def measured(self, psnr_db: float, bpp: float) -> None:
        """Report the quality and size of the fit as it is now; `bpp` may be an estimate."""

    def job(self, report: JobReport) -> None:
        """Report how far the whole job is, of which fits and stages are parts."""

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

    def begin(self, line: str) -> None:
        pass

    def plan(self, plan: EncodePlan) -> None:
        pass

    def expect(self, seconds: float, epochs: float | None) -> None:
        pass

    def fit(self, report: FitReport) -> None:
        pass

    def measured(self, psnr_db: float, bpp: float) -> None:
        pass

    def job(self, report: JobReport) -> None:
        pass

    def stage(self, name: str, done: int, total: int) -> None:
        pass

    def picture(self, draw: Callable[[], Picture]) -> None:
        pass

    def note(self, message: str) -> None:
        pass

    def detail(self, message: str) -> None:
        pass
