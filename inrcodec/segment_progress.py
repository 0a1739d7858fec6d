"""What is said while one segment of several is worked on, in terms of the whole video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from inrcodec.device import describe_device
from inrcodec.models.family import VideoInfo
from inrcodec.planning import SegmentPlan
from inrcodec.progress import EncodePlan, FitReport, Progress


@dataclass
class Announcer:
    """States the plan of the whole file once the time is known that the first fit takes."""

    source: str
    video: VideoInfo
    plans: Sequence[SegmentPlan]
    target_bytes: int
    device: torch.device
    progress: Progress
    _is_done: bool = field(default=False, init=False)

    def of(self, number: int) -> Callable[[float, float | None], None]:
        """What `fit_segment` calls with the seconds and epochs that it expects of segment `number`."""

        def announce(expected_seconds: float, epochs: float | None) -> None:
            frames = self.plans[number].video.frame_count
            if not self._is_done:
                frames_left = sum(plan.video.frame_count for plan in self.plans[number:])
                self._state(expected_seconds * frames_left / frames, epochs)
            self._is_done = True
            if len(self.plans) > 1:
                self.progress.detail(f"segment {number + 1} of {len(self.plans)}: {frames} frames")

        return announce

    def _state(self, expected_seconds: float, epochs: float | None) -> None:
        self.progress.plan(
            EncodePlan(
                source=self.source,
                width=self.video.width,
                height=self.video.height,
                frame_count=self.video.frame_count,
                model=self.plans[0].family.name,
                parameter_count=sum(plan.parameter_count for plan in self.plans),
                target_bytes=self.target_bytes,
                device=describe_device(self.device),
                expected_seconds=expected_seconds,
                epochs=epochs,
            )
        )


@dataclass(frozen=True)
class PartProgress:
    """The progress of a fit of frames `run`, as that of a video of `frame_count` frames."""

    whole: Progress
    run: range
    frame_count: int

    def plan(self, plan: EncodePlan) -> None:
        self.whole.plan(plan)

    def fit(self, report: FitReport) -> None:
        done = self.run.start + report.fraction * len(self.run)
        # The frames after this segment take as long as those in it.
        whole_seconds = report.seconds_left / max(1 - report.fraction, 1e-3)
        after = whole_seconds * (self.frame_count - self.run.stop) / len(self.run)
        left = report.seconds_left + after
        self.whole.fit(replace(report, fraction=done / self.frame_count, seconds_left=left))

    def stage(self, name: str, done: int, total: int) -> None:
        self.whole.stage(name, done, total)

    def note(self, message: str) -> None:
        # What there is to say of one network (its learning rate) holds for those of all segments, about.
        if self.run.start == 0:
            self.whole.note(message)

    def detail(self, message: str) -> None:
        self.whole.detail(message)
