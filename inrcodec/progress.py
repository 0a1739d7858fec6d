"""How the library reports: a small protocol that the console implements and tests can ignore."""

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

    def expect(self, seconds: float, epochs: float | None) -> None:
        """A fit is about to take so many seconds, and epochs unless the time decides."""

    def fit(self, report: FitReport) -> None: ...

    def stage(self, name: str, done: int, total: int) -> None:
        """`done` of `total` units (frames, trials) of the stage `name` are finished."""

    def picture(self, draw: Callable[[], Picture]) -> None:
        """Offer a picture of a fit as it is now. Whoever wants it calls `draw`, which takes time."""

    def note(self, message: str) -> None:
        """A warning or remark worth one line."""

    def detail(self, message: str) -> None:
        """A remark for `-v` only."""


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
    """A part of a job as a `Progress`; parts nest, and tell the outermost `Progress` of the whole job.

    Fits of parts that run at once are added up: the whole is as far as the shares of its parts say, its PSNR
    and rate are means by share, and the time left follows from the pace of the parts that run.
    """

    told: Progress
    """Where reports go: the part that this one is a part of, or the outermost `Progress`."""
    share: float = 1.0
    """Of the whole that this is a part of."""
    name: str = ""
    """What its remarks begin with."""
    title: str | None = None
    """What its plans name in place of the source."""
    expects: Callable[[float, float | None], None] | None = None
    """Takes what it expects, in place of `told`."""
    pictures: Callable[[Callable[[], Picture]], None] | None = None
    """Takes its pictures, in place of `told`."""
    has_notes: bool = True
    """Whether its notes are passed on."""
    has_stages: bool = True
    """Whether its stages are passed on; those of several parts at once would alternate."""
    repeats_notes: bool = True
    """Whether a note is passed on that was made before; several encodes of one source have the same."""
    _whole: Part | None = field(default=None, repr=False)
    _done: float = 0.0
    _running: dict[Part, FitReport] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)

    def part(self, share: float, **options: Any) -> Part:
        """A part of this one; `options` are fields of `Part`."""
        return Part(self, share, **options, _whole=self)

    def end(self) -> None:
        """Count this part as done, whatever came of it."""
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
        """The state of all parts together."""
        running = self._running.items()
        whole = sum(part.share for part, _ in running)
        fraction = min(1.0, self._done + sum(part.share * one.fraction for part, one in running))
        pace = sum(part.share * (1 - one.fraction) / max(one.seconds_left, 1e-3) for part, one in running)
        return FitReport(
            fraction=fraction,
            psnr_db=sum(part.share * one.psnr_db for part, one in running) / whole,
            predicted_bpp=sum(part.share * one.predicted_bpp for part, one in running) / whole,
            steps_per_second=sum(one.steps_per_second for _, one in running),
            seconds_left=(1 - fraction) / pace if pace > 0 else 0.0,
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
