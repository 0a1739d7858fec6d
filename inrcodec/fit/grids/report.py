"""What a fit of `inrc` tells and shows while it goes on, and the course of it that is kept."""

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
from inrcodec.progress import Course, FitReport, Picture, Progress


@torch.no_grad()
def picture(segment: SegmentPlanes, frames: Mapping[int, Planes], weights: Mapping[str, Tensor]) -> Picture:
    """The frame in the middle of the segment, and what a network of these `weights` makes of its planes."""
    middle, video = segment.frame_count // 2, segment.video
    planes = frames[middle].map(lambda plane: plane[None].float())
    codes = to_codes(refine(to_quads(planes), weights), segment.config.is_smooth)
    shown = codes[0, : video.height, : video.width]
    return Picture(segment.clip[middle].cpu().numpy(), shown.cpu().numpy())


class Teller:
    """Tells of the parts of one fit; `pixel_count` is that of all frames of the segment."""

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
        """What a quantisation step gave: `bits`, of which `motion_bits`; what is not coded yet is apart."""
        self.course.add(0, psnr_db, (bits + rest_bits) / self._pixel_count)
        self._progress.detail(
            f"step {step:.4g}: {bits / 8:.0f} bytes of {target_bits / 8:.0f},"
            f" {motion_bits / 8:.0f} of motion, {psnr_db:.2f} dB"
        )

    def network_begins(self) -> None:
        """From now on steps are counted, and the next report is due in a while."""
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
        """Mean squared error and bits of the whole segment after so many steps of the network."""
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
        """One coding of the whole segment."""
        self._progress.stage("coding to size", number, TRIALS)
        self._progress.detail(f"step {step:.5g}: {trial.size} bytes, {trial.psnr_db:.2f} dB")
