"""Progress of one source, as the sum of its segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import EncodePlan, Part
from inrcodec.text import counted


@dataclass
class SourceProgress:
    """Makes a part of `whole` for each segment, and reports the plan of the file once."""

    whole: Part
    source: str
    plans: Sequence[SegmentPlan]
    target_bytes: int
    device: str
    worker_count: int
    """How many segments are fitted in parallel."""
    is_alone: bool
    """Whether only one fit runs at a time, over all sources."""
    _is_stated: bool = field(default=False, init=False)
    _parts: dict[int, Part] = field(default_factory=dict, init=False)

    def share(self, number: int) -> float:
        """Fraction of the frames of the source that are in segment `number`."""
        return self.plans[number].video.frame_count / self._frame_count

    @property
    def _frame_count(self) -> int:
        return sum(plan.video.frame_count for plan in self.plans)

    def of(self, number: int) -> Part:
        """The part for segment `number`."""
        if number not in self._parts:
            self._parts[number] = self.whole.part(
                self.share(number),
                expects=partial(self._expect, number),
                has_stages=self.is_alone,
                # Notes of one network (its learning rate) apply roughly to those of all segments.
                has_notes=number == 0 or not self.is_alone,
            )
        return self._parts[number]

    def _expect(self, number: int, seconds: float, epochs: float | None) -> None:
        frames = self.plans[number].video.frame_count
        if not self._is_stated:
            frames_left = sum(plan.video.frame_count for plan in self.plans[number:])
            self.state(seconds * max(1.0, frames_left / frames / self.worker_count), epochs)
        if len(self.plans) > 1:
            self.whole.detail(f"segment {number + 1} of {len(self.plans)}: {counted(frames, 'frame')}")

    def state(self, expected_seconds: float | None, epochs: float | None) -> None:
        """Report the plan of the whole file; `expected_seconds` is None if unknown."""
        self._is_stated = True
        first = self.plans[0]
        self.whole.plan(
            EncodePlan(
                source=self.source,
                width=first.video.width,
                height=first.video.height,
                frame_count=self._frame_count,
                model=first.family.name,
                parameter_count=sum(plan.parameter_count for plan in self.plans),
                target_bytes=self.target_bytes,
                device=self.device if self.worker_count == 1 else f"{self.worker_count} x {self.device}",
                expected_seconds=expected_seconds,
                epochs=epochs,
            )
        )
