"""What is said while segments are worked on, one or several at once, in terms of whole videos."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from inrcodec.models.family import VideoInfo
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import EncodePlan, FitReport, Passing, Progress


@dataclass
class Announcer:
    """States the plan of the whole file once, when the time is known that the first fit takes."""

    source: str
    video: VideoInfo
    plans: Sequence[SegmentPlan]
    target_bytes: int
    device: str
    worker_count: int
    progress: Progress
    _is_done: bool = field(default=False, init=False)

    def announce(self, number: int, expected_seconds: float, epochs: float | None) -> None:
        """Tell of segment `number`, whose fit takes so many seconds and epochs."""
        frames = self.plans[number].video.frame_count
        if not self._is_done:
            frames_left = sum(plan.video.frame_count for plan in self.plans[number:])
            self.state(expected_seconds * max(1.0, frames_left / frames / self.worker_count), epochs)
        if len(self.plans) > 1:
            self.progress.detail(f"segment {number + 1} of {len(self.plans)}: {frames} frames")

    def state(self, expected_seconds: float | None, epochs: float | None) -> None:
        """Tell of the whole file; the time may be unknown."""
        self._is_done = True
        self.progress.plan(
            EncodePlan(
                source=self.source,
                width=self.video.width,
                height=self.video.height,
                frame_count=self.video.frame_count,
                model=self.plans[0].family.name,
                parameter_count=sum(plan.parameter_count for plan in self.plans),
                target_bytes=self.target_bytes,
                device=self.device if self.worker_count == 1 else f"{self.worker_count} x {self.device}",
                expected_seconds=expected_seconds,
                epochs=epochs,
            )
        )


@dataclass(frozen=True)
class Named(Passing):
    """The progress of one of several sources: its remarks say which."""

    name: str

    def note(self, message: str) -> None:
        self.whole.note(f"{self.name}: {message}")

    def detail(self, message: str) -> None:
        self.whole.detail(f"{self.name}: {message}")


@dataclass(frozen=True)
class PartProgress(Passing):
    """The progress of a fit of frames `run`, as that of a video of `frame_count` frames."""

    run: range
    frame_count: int

    def fit(self, report: FitReport) -> None:
        done = self.run.start + report.fraction * len(self.run)
        # The frames after this segment take as long as those in it.
        whole_seconds = report.seconds_left / max(1 - report.fraction, 1e-3)
        after = whole_seconds * (self.frame_count - self.run.stop) / len(self.run)
        left = report.seconds_left + after
        self.whole.fit(replace(report, fraction=done / self.frame_count, seconds_left=left))

    def note(self, message: str) -> None:
        # What there is to say of one network (its learning rate) holds for those of all segments, about.
        if self.run.start == 0:
            self.whole.note(message)


@dataclass(frozen=True)
class OneOfMany(Passing):
    """The progress of one of several fits at once; their stages, which would alternate, are left out."""

    board: Board
    key: tuple[int, int]
    share: float

    def fit(self, report: FitReport) -> None:
        self.board.fit(self.whole, self.key, self.share, report)

    def stage(self, name: str, done: int, total: int) -> None:
        pass


@dataclass
class Board:
    """Where fits that run at once are added up. A share is what a segment is of all that is to be done."""

    _done: float = 0.0
    _running: dict[tuple[int, int], tuple[float, FitReport]] = field(default_factory=dict)
    _first: tuple[float, float] | None = None
    """When the first report came, and the share that was done then."""

    def fit(self, progress: Progress, key: tuple[int, int], share: float, report: FitReport) -> None:
        """Count the state of one fit, and report that of all."""
        self._running[key] = (share, report)
        running = list(self._running.values())
        whole, now = sum(share for share, _ in running), time.monotonic()
        fraction = min(1.0, self._done + sum(share * one.fraction for share, one in running))
        since, before = self._first = self._first or (now, fraction)
        pace = (fraction - before) / max(now - since, 1e-9)
        seconds_left = (1 - fraction) / pace if pace > 0 else max(one.seconds_left for _, one in running)
        progress.fit(
            FitReport(
                fraction=fraction,
                psnr_db=sum(share * one.psnr_db for share, one in running) / whole,
                predicted_bpp=sum(share * one.predicted_bpp for share, one in running) / whole,
                steps_per_second=sum(one.steps_per_second for _, one in running),
                seconds_left=seconds_left,
            )
        )

    def end(self, key: tuple[int, int], share: float) -> None:
        """Count a segment that needs no more work."""
        self._running.pop(key, None)
        self._done += share
