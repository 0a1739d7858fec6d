"""Progress of one source, as the sum of its segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from inrcodec.encoder.cost import GRID_PHASES, READING_SHARE, TRAINED_PHASES
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
    expected_seconds: float | None = None
    """Estimated seconds of all fits, one after another; None if unknown."""
    _frames: int = field(default=0, init=False)
    _psnr_db: float = field(default=0.0, init=False)
    _bytes: int = field(default=0, init=False)
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
            several = len(self.plans) > 1
            is_trained = self.plans[number].family.is_trained
            self._parts[number] = self.whole.part(
                (1 - READING_SHARE) * self.share(number),
                place=f"segment {number + 1} of {len(self.plans)}" if several else "",
                phases=TRAINED_PHASES if is_trained else GRID_PHASES,
                expected_seconds=self.seconds_of(number),
                expects=partial(self._expect, number),
                has_stages=self.is_alone,
                # Notes of one network (its learning rate) apply roughly to those of all segments.
                has_notes=number == 0 or not self.is_alone,
            )
        return self._parts[number]

    def _expect(self, number: int, seconds: float, epochs: float | None) -> None:
        frames = self.plans[number].video.frame_count
        self.of(number).expect_more(seconds)
        if not self._is_stated:
            frames_left = sum(plan.video.frame_count for plan in self.plans[number:])
            self.state(seconds * max(1.0, frames_left / frames / self.worker_count), epochs)
        if len(self.plans) > 1:
            self.whole.detail(f"segment {number + 1} of {len(self.plans)}: {counted(frames, 'frame')}")

    def seconds_of(self, number: int) -> float | None:
        """Estimated seconds of the fit of segment `number`; None if unknown."""
        return None if self.expected_seconds is None else self.expected_seconds * self.share(number)

    def measured(self, frames: int, psnr_db: float, data_bytes: int) -> None:
        """Count the PSNR and size of a finished segment of `frames` frames."""
        self._frames += frames
        self._psnr_db += frames * psnr_db
        self._bytes += data_bytes
        video = self.plans[0].video
        self.whole.psnr_db = self._psnr_db / self._frames
        self.whole.bpp = 8 * self._bytes / (self._frames * video.width * video.height)

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
                device=self.device
                if self.worker_count == 1
                else f"{self.device}, {self.worker_count} workers",
                expected_seconds=expected_seconds,
                epochs=epochs,
            )
        )
