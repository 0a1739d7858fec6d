"""How the library reports: a small protocol that the console implements and tests can ignore."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodePlan:
    """What an encode is about to do, stated before the work starts."""

    source: str
    width: int
    height: int
    frame_count: int
    model: str
    parameter_count: int
    target_bytes: int
    device: str
    expected_seconds: float | None
    """Estimate of the time the work will take, from a step and a frame that were timed; None where they were
    timed elsewhere."""
    epochs: float | None
    """Passes over the frames, or None when `--time` decides."""


@dataclass(frozen=True)
class FitReport:
    """The state of a fit at one step."""

    fraction: float
    """Elapsed share of the schedule, 0 to 1."""
    psnr_db: float
    """Running PSNR of the training batches, dB."""
    predicted_bpp: float
    steps_per_second: float
    seconds_left: float


MOST_COURSE_POINTS = 400
CoursePoint = tuple[float, float, float, float]
"""Seconds since the fit began or went on, epochs, PSNR in dB, bits per pixel."""


@dataclass
class Course:
    """How a fit went, in at most `MOST_COURSE_POINTS` moments: those of a long one are further apart."""

    epochs_a_step: float
    points: list[CoursePoint] = field(default_factory=list)
    _started: float = field(default_factory=lambda: time.monotonic())
    _least_apart: float = 0.0

    def add(self, step: int, psnr_db: float, bpp: float) -> None:
        """Keep the state of the fit after so many steps, unless the last one was just before it."""
        seconds = time.monotonic() - self._started
        if self.points and seconds - self.points[-1][0] < self._least_apart:
            return
        self.points.append((seconds, self.epochs_a_step * step, psnr_db, bpp))
        if len(self.points) == MOST_COURSE_POINTS:
            self.points = self.points[::2]
            self._least_apart = seconds / len(self.points)


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame of a fit; both are uint8 (height, width, 3)."""

    source: NDArray[np.uint8]
    fit: NDArray[np.uint8]


class Progress(Protocol):
    """Receives what the library has to say; every method must return quickly."""

    def plan(self, plan: EncodePlan) -> None: ...

    def fit(self, report: FitReport) -> None: ...

    def stage(self, name: str, done: int, total: int) -> None:
        """`done` of `total` units (frames, trials) of the stage `name` are finished."""

    def picture(self, draw: Callable[[], Picture]) -> None:
        """A fit could be shown as it is now: by `draw`, which takes time and is called by who wants it."""

    def note(self, message: str) -> None:
        """A warning or remark worth one line."""

    def detail(self, message: str) -> None:
        """A remark for `-v` only."""


class Silent:
    """A `Progress` that says nothing; the default of the library."""

    def plan(self, plan: EncodePlan) -> None:
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


@dataclass(frozen=True)
class Passing:
    """A progress that says everything to another one."""

    whole: Progress

    def plan(self, plan: EncodePlan) -> None:
        self.whole.plan(plan)

    def fit(self, report: FitReport) -> None:
        self.whole.fit(report)

    def stage(self, name: str, done: int, total: int) -> None:
        self.whole.stage(name, done, total)

    def picture(self, draw: Callable[[], Picture]) -> None:
        self.whole.picture(draw)

    def note(self, message: str) -> None:
        self.whole.note(message)

    def detail(self, message: str) -> None:
        self.whole.detail(message)


@dataclass(frozen=True)
class Once(Passing):
    """Says every note once: several encodes, or files, of one source have the same ones."""

    _noted: set[str] = field(default_factory=set)

    def note(self, message: str) -> None:
        if message not in self._noted:
            self._noted.add(message)
            self.whole.note(message)
