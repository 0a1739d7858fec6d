"""Progress reports and preview pictures of an `inrc` fit, and the recorded course of the fit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inrcodec.fit.grids.pace import NETWORK_FRAMES
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.step_search import TRIALS, Trial
from inrcodec.fit.training.clock import Clock
from inrcodec.fit.training.meter import REPORT_SECONDS
from inrcodec.models.inrc.planes import Planes
from inrcodec.models.inrc.quads import refine, to_codes, to_quads
from inrcodec.models.layers.codes import as_array, peak
from inrcodec.progress import Course, FitReport, Picture, Progress


@torch.no_grad()
def picture(segment: SegmentPlanes, frames: Mapping[int, Planes], weights: Mapping[str, Tensor]) -> Picture:
    """The middle frame of the segment: source, and `frames` refined by a network with these `weights`."""
    middle, video = segment.frame_count // 2, segment.video
    planes = frames[middle].map(lambda plane: plane[None].float())
    codes = to_codes(refine(to_quads(planes), weights), segment.config.is_smooth, peak(segment.clip))
    shown = codes[0, : video.height, : video.width]
    return Picture(as_array(segment.clip[middle]), as_array(shown))


class Teller:
    """Reports the progress of one fit; `pixel_count` counts the pixels of all frames of the segment."""

    def __init__(self, progress: Progress, frame_count: int, pixel_count: int) -> None:
        self.course = Course(NETWORK_FRAMES / frame_count)
        self._progress, self._pixel_count = progress, pixel_count
        self._started = self._reported = 0.0

    def step_tried(
        self,
        step: float,
        bits: float,
        target_bits: float,
        motion_bits: float,
        rest_bits: float,
        psnr_db: float,
    ) -> None:
        """Report a step of the step search: `bits` include `motion_bits`, `rest_bits` are not coded yet."""
        self._measured(psnr_db, bits + rest_bits)
        self._progress.detail(
            f"step {step:.4g}: {bits / 8:.0f} bytes of {target_bits / 8:.0f},"
            f" {motion_bits / 8:.0f} for motion, {psnr_db:.2f} dB"
        )

    def _measured(self, psnr_db: float, bits: float) -> None:
        bpp = bits / self._pixel_count
        self.course.add(0, psnr_db, bpp)
        self._progress.measured(psnr_db, bpp)

    def network_begins(self) -> None:
        """Start the clock of network steps and of their reports."""
        self._started = self._reported = time.monotonic()

    def network(
        self,
        clock: Clock,
        fraction: float,
        error: float,
        bits: float,
        step: int,
        draw: Callable[[], Picture],
    ) -> None:
        """Report the segment's mean squared error and bits after `step` network steps, if a report is due."""
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        per_second = step / max(1e-9, now - self._started)
        report = FitReport(
            fraction=min(1.0, fraction),
            psnr_db=-10 * math.log10(max(error, 1e-12)),
            predicted_bpp=bits / self._pixel_count,
            steps_per_second=per_second,
            seconds_left=clock.seconds_left(step, per_second),
        )
        self._progress.fit(report)
        self._progress.picture(draw)
        self.course.add(step, report.psnr_db, report.predicted_bpp)

    def trial(self, number: int, step: float, trial: Trial) -> None:
        """Report one trial of coding the segment to size."""
        self._progress.measured(trial.psnr_db, 8 * trial.size / self._pixel_count)
        self._progress.stage("coding to size", number, TRIALS)
        self._progress.detail(f"step {step:.5g}: {trial.size} bytes, {trial.psnr_db:.2f} dB")
