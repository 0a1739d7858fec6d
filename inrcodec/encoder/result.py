"""The result of encoding one source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.plan.budget import Short
from inrcodec.progress import CoursePoint


@dataclass(frozen=True)
class EncodeResult:
    """Result of an encode; quality is measured on the frames decoded from the file's bytes."""

    file_bytes: int
    extras_bytes: int
    """Bytes of audio, subtitles, chapters and tags, which neither the target nor `bpp` counts."""
    target_bytes: int
    bpp: float
    psnr_db: float
    """Mean over frames of the RGB PSNR; with a mask, of the pixels outside it."""
    psnr_p1_db: float
    """1st percentile over frames."""
    masked_share: float
    """Fraction of the pixels that the mask left to the network; no PSNR counts them."""
    quantisation_loss_db: float
    """How much higher the PSNR of the unquantised model is, on up to 16 frames."""
    step_factor: float
    """Factor on the trained quantisation steps that meets the size, 1 for none; geometric mean over
    segments."""
    family: str
    parameter_count: int
    """Transmitted values of all segments together."""
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
    """Segments kept from the `--resume-from` file because refitting made them worse."""
    short_of_size: Short | None = None
    """Why the file uses less than 97 % of its target: `time` ran out, the `model` cannot use more, or
    `weight_bits` limit it. None if it uses more."""
    psnr_target_db: float | None = None
    """The requested PSNR, if this is the smallest file found that reaches it."""
    vmaf: float | None = None
    """Mean VMAF over the frames; None unless it was searched for."""
    vmaf_target: float | None = None
    """The requested VMAF, if this is the smallest file found that reaches it."""
    psnr_frames_db: Sequence[float] = ()
    """PSNR of every frame."""
    courses: Sequence[Sequence[CoursePoint]] = ()
    """History of each segment's fit, measured during training."""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


Ended = Callable[[int, EncodeResult | Exception], None]
"""Called when one of several sources ends, with its index and its result or error."""
