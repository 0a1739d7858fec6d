"""What an encode of one source made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.progress import CoursePoint


@dataclass(frozen=True)
class EncodeResult:
    """What an encode made; every figure comes from the bytes of the file, decoded again."""

    file_bytes: int
    extras_bytes: int
    """Of the file: sound, subtitles, chapters and tags, which neither the target nor bpp counts."""
    target_bytes: int
    bpp: float
    psnr_db: float
    """Mean over frames of the RGB PSNR, of the pixels outside the mask where one was given."""
    psnr_p1_db: float
    """First percentile over frames."""
    masked_share: float
    """Share of the pixels that a mask left to the network; no PSNR counts them."""
    quantisation_loss_db: float
    """How much better the unquantised model is, on up to 16 frames."""
    step_factor: float
    """What the trained quantisation steps were multiplied by to meet the size; 1 is as trained. Of several
    segments the geometric mean."""
    family: str
    parameter_count: int
    """Of all segments together."""
    width: int
    height: int
    frames: int
    segments: int
    steps: int
    epochs: float
    fit_seconds: float
    seconds: float
    device: str
    segments_kept: int = 0
    """Of a file that was gone on from, segments that stay as they were because their fits came out worse."""
    psnr_target_db: float | None = None
    """The PSNR that this is the smallest file for which was found, where one was asked for."""
    psnr_frames_db: Sequence[float] = ()
    """Of every frame."""
    courses: Sequence[Sequence[CoursePoint]] = ()
    """How the fit of each segment went, as it saw itself."""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


Ended = Callable[[int, EncodeResult | Exception], None]
"""Told which of several sources has ended, and how."""
