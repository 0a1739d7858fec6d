"""Parts of a job, whose reports add up to those of the whole."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inrcodec.progress.reports import EncodePlan, FitReport, JobReport, Picture, Progress

FIT = "fit"
"""Name of the phase that `Progress.fit` reports."""


@dataclass(eq=False)
class Part:
    """A `Progress` for one part of a job; parts nest, and the outermost `Progress` sees the whole job.

    Reports of parts that run in parallel are combined. The fraction is summed over parts, weighted by share.
    PSNR and bits per pixel are means weighted by share. The time left follows from the pace of the running
    parts. A part with `phases` also turns its stages into a fraction, and the outermost `Progress` hears of
    the whole job.
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
    place: str = ""
    """Its place in the enclosing part, as in `segment 3 of 7`."""
    phases: Sequence[tuple[str, float]] = ()
    """Stages in the order in which they come, and the share of the part that each takes; `FIT` is a fit."""
    predicts: bool = True
    """Whether other parts are as fast; reading says nothing about the fits that follow it."""
    expected_seconds: float | None = None
    """Seconds that it will take; None if unknown."""
    ends: float = math.inf
    """When it ends because its time is over, as `time.monotonic()`."""
    psnr_db: float | None = None
    """PSNR of what is finished, dB, for reports that have none of their own."""
    bpp: float | None = None
    """Bits per pixel of what is finished, for the same reports."""
    _measured: tuple[float | None, float | None] = (None, None)
    _job: JobReport | None = None
    _phase: int = 0
    _begun: float | None = None
    _whole: Part | None = field(default=None, repr=False)
    _done: float = 0.0
    _pace: float = 0.0
    _running: dict[Part, FitReport] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)
    _job_pace: float = 0.0
    _jobs: dict[Part, JobReport] = field(default_factory=dict)

    def part(self, share: float, **options: Any) -> Part:
        """Create a part of this one; `options` are fields of `Part`."""
        return Part(self, share, **options, _whole=self)

    @property
    def done(self) -> float:
        """The share of parts that have ended, 0 to 1."""
        return self._done

    def end(self) -> None:
        """Count this part as done, whether it succeeded or failed."""
        if self._whole is not None:
            self._whole._running.pop(self, None)
            self._whole._jobs.pop(self, None)
            self._whole._done += self.share

    def begin(self, line: str) -> None:
        if self.title is None:
            self.told.begin(line)

    def plan(self, plan: EncodePlan) -> None:
        self.told.plan(plan if self.title is None else replace(plan, source=self.title))

    def expect(self, seconds: float, epochs: float | None) -> None:
        (self.expects or self.told.expect)(seconds, epochs)

    def fit(self, report: FitReport) -> None:
        if self._is_phase(FIT):
            text = f"fitting, {report.steps_per_second:.1f} steps/s"
            self._advance(report.fraction, text, report.psnr_db, report.predicted_bpp)
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
        if self._is_phase(name):
            self._advance(done / max(1, total), f"{name} {done}/{total}")
        if self.has_stages:
            self.told.stage(name, done, total)

    def measured(self, psnr_db: float, bpp: float) -> None:
        """Keep the quality for the reports of a part with phases; others pass it on."""
        if self.phases:
            self._measured = psnr_db, bpp
        else:
            self.told.measured(psnr_db, bpp)

    def _is_phase(self, name: str) -> bool:
        """Whether this is the current phase or a later one, which begins then; earlier ones may repeat."""
        names = [phase for phase, _ in self.phases]
        if name in names[self._phase :]:
            self._phase = names.index(name, self._phase)
        return name in names

    def _advance(
        self, share: float, doing: str, psnr_db: float | None = None, bpp: float | None = None
    ) -> None:
        """Report the job with `share` of the current phase done."""
        now, last = time.monotonic(), self._job
        self._begun = now if self._begun is None else self._begun
        shares = [part for _, part in self.phases]
        fraction = (sum(shares[: self._phase]) + share * shares[self._phase]) / sum(shares)
        elapsed, left = now - self._begun, None
        if math.isfinite(self.ends):
            left = max(0.0, self.ends - now)
            fraction = elapsed / max(elapsed + left, 1e-9)
        fraction = max(fraction, 0.0 if last is None else last.fraction)
        if left is None and (self.expected_seconds is not None or fraction > 0.05):
            # The estimate counts less the more is done.
            whole = elapsed / fraction if fraction else 0.0
            expected = whole if self.expected_seconds is None else self.expected_seconds
            left = (1 - fraction) * ((1 - fraction) * expected + fraction * whole)
        if psnr_db is None:
            psnr_db, bpp = self._measured
        self._measured = psnr_db, bpp
        self.job(JobReport(fraction, left, doing, "", psnr_db, bpp))

    def expect_more(self, seconds: float) -> None:
        """Correct `expected_seconds`: the part takes `seconds` from now on."""
        self.expected_seconds = seconds + (0.0 if self._begun is None else time.monotonic() - self._begun)

    def job(self, report: JobReport) -> None:
        """Take the state of this part, or of a job inside it, and pass on that of the enclosing job."""
        self._job = replace(
            report,
            place=", ".join(filter(None, (self.place, report.place))),
            psnr_db=self.psnr_db if report.psnr_db is None else report.psnr_db,
            bpp=self.bpp if report.bpp is None else report.bpp,
        )
        if self._whole is None:
            self.told.job(self._job)
            return
        self._whole._jobs[self] = self._job
        whole = self._whole._sum_of_jobs(self._job)
        self._whole.job(whole if self.predicts else replace(whole, seconds_left=None))

    def _sum_of_jobs(self, latest: JobReport) -> JobReport:
        """The combined state of all parts; `latest` says what is being done."""
        jobs = self._jobs.items()
        fraction = min(1.0, self._done + sum(part.share * one.fraction for part, one in jobs))
        known = [(part.share * (1 - one.fraction), one.seconds_left) for part, one in jobs if part.predicts]
        pace = sum(rest / max(left, 1e-3) for rest, left in known if left is not None)
        self._job_pace = pace or self._job_pace
        left = (1 - fraction) / self._job_pace if self._job_pace > 0 else None
        return replace(latest, fraction=fraction, seconds_left=left)

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
