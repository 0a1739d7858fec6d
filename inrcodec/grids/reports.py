"""What a fit of `inrc` says and shows while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inrcodec.grids.material import Material
from inrcodec.models.planes import Planes
from inrcodec.models.quads import to_codes, to_quads
from inrcodec.models.reconstruction import refine
from inrcodec.progress import FitReport, Picture, Progress
from inrcodec.training.meter import REPORT_SECONDS
from inrcodec.training.schedule import Clock


@torch.no_grad()
def picture(material: Material, frames: Mapping[int, Planes], weights: Mapping[str, Tensor]) -> Picture:
    """The frame in the middle of the segment, and what a network of these `weights` makes of its planes."""
    middle, video = material.frame_count // 2, material.video
    planes = frames[middle].map(lambda plane: plane[None].float())
    codes = to_codes(refine(to_quads(planes), weights), material.config.is_smooth)
    shown = codes[0, : video.height, : video.width]
    return Picture(material.clip[middle].cpu().numpy(), shown.cpu().numpy())


@dataclass
class NetworkReports:
    """Tells of the fit of the network when its last report is old."""

    progress: Progress
    material: Material
    clock: Clock
    other_bits: float
    """Of the segment, the network's left out."""
    draw: Callable[[], Picture]
    _started: float = field(default_factory=time.monotonic, init=False)
    _reported: float = field(default_factory=time.monotonic, init=False)

    def __call__(self, fraction: float, error: float, bits: float, step: int) -> None:
        """See `RefiningFit.run`."""
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        per_second = step / max(1e-9, now - self._started)
        self.progress.fit(
            FitReport(
                fraction=min(1.0, fraction),
                psnr_db=-10 * math.log10(max(error + self.material.chroma_error, 1e-12)),
                predicted_bpp=(self.other_bits + bits) / self.material.video.pixel_count,
                steps_per_second=per_second,
                seconds_left=self.clock.seconds_left(step, per_second),
            )
        )
        self.progress.picture(self.draw)
