"""Reports of a running fit: error, bits and time left."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from inrcodec.fit.training.clock import Clock
from inrcodec.progress import Course, FitReport, Progress

REPORT_SECONDS = 0.5


class Meter:
    """Sums errors on the device and reads them only to report; keeps the reports as `course`."""

    def __init__(
        self,
        progress: Progress,
        pixel_count: int,
        other_bits: float,
        device: torch.device,
        epochs_a_step: float = 0.0,
    ) -> None:
        """`other_bits` are bits of the file that fitting does not change; `pixel_count` is for all frames."""
        self.course = Course(epochs_a_step)
        self.progress = progress
        self._pixel_count, self._other_bits = pixel_count, other_bits
        self._error = torch.zeros((), device=device)
        self._steps_since, self._reported_at = 0, time.monotonic()

    def update(self, squared_error: Tensor, bits: Tensor, step: int, clock: Clock) -> bool:
        """Count one step; report if the last report is `REPORT_SECONDS` old. Returns whether it reported."""
        self._error += squared_error.detach()
        self._steps_since += 1
        now = time.monotonic()
        if now - self._reported_at < REPORT_SECONDS:
            return False
        # One copy, because a GPU makes each one wait for all steps.
        error, total_bits = torch.stack([self._error, bits.detach().to(self._error.dtype)]).tolist()
        mean_error = max(error / self._steps_since, 1e-12)
        steps_per_second = self._steps_since / (now - self._reported_at)
        report = FitReport(
            fraction=min(1.0, clock.fraction(step)),
            psnr_db=-10 * math.log10(mean_error),
            predicted_bpp=(total_bits + self._other_bits) / self._pixel_count,
            steps_per_second=steps_per_second,
            seconds_left=clock.seconds_left(step, steps_per_second),
        )
        self.progress.fit(report)
        self.course.add(step, report.psnr_db, report.predicted_bpp)
        self._error.zero_()
        self._steps_since, self._reported_at = 0, now
        return True
