"""The metrics of `inrc eval`, frame by frame: what each is called, and the library that measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from inrcodec.metrics import ms_ssim, psnr_db

Frame = NDArray[np.uint8]
"""(height, width, 3)."""
Measured = dict[str, float | None]
"""By the names of metrics; None where a frame is too small for one."""
SSIM_WINDOW = 11
"""Pixels; no smaller frame has an SSIM."""


@dataclass(frozen=True)
class Metric:
    """One column of the report."""

    name: str
    title: str
    unit: str = ""
    is_better_high: bool = True

    def worst_in_hundred(self, values: NDArray[np.float64]) -> float:
        """One frame in a hundred is worse than this."""
        return float(np.percentile(values, 1 if self.is_better_high else 99))

    def worst_frame(self, values: NDArray[np.float64]) -> int:
        return int(values.argmin() if self.is_better_high else values.argmax())


@dataclass(frozen=True)
class Measure:
    """Metrics that are measured together."""

    name: str
    """On the command line."""
    metrics: tuple[Metric, ...]
    measure: Callable[[Frame, Frame], Measured]
    library: str | None = None
    """What is imported for it; of the extra `metrics`."""

    @property
    def is_installed(self) -> bool:
        return self.library is None or find_spec(self.library) is not None


def _psnr(reference: Frame, decoded: Frame) -> Measured:
    return {"psnr": psnr_db(reference, decoded)}


def _yuv(reference: Frame, decoded: Frame) -> Measured:
    from inrcodec.video.color import yuv_planes

    planes = zip("yuv", yuv_planes(reference), yuv_planes(decoded), strict=True)
    return {f"psnr_{name}": psnr_db(first, second) for name, first, second in planes}


def _ssim(reference: Frame, decoded: Frame) -> Measured:
    import torch
    from pytorch_msssim import ssim

    if min(reference.shape[:2]) < SSIM_WINDOW:
        return {"ssim": None}
    first, second = (torch.from_numpy(frame).permute(2, 0, 1)[None].float() for frame in (reference, decoded))
    return {"ssim": float(ssim(first, second, data_range=255, win_size=SSIM_WINDOW))}


def _ms_ssim(reference: Frame, decoded: Frame) -> Measured:
    return {"ms_ssim": ms_ssim(reference[None], decoded[None])}


def flip_map(reference: Frame, decoded: Frame) -> NDArray[np.float32]:
    """What one sees of the difference when both alternate, 0 to 1, of each pixel (height, width).

    LDR-FLIP at 67 pixels a degree (Andersson et al., "FLIP: a difference evaluator for alternating images",
    2020), by the authors' package.
    """
    import flip_evaluator  # type: ignore[import-untyped]  # it ships no types

    first, second = (frame.astype(np.float32) / 255 for frame in (reference, decoded))
    errors, _, _ = flip_evaluator.evaluate(first, second, "LDR", applyMagma=False)
    found: NDArray[np.float32] = errors[..., 0]
    return found


def _flip(reference: Frame, decoded: Frame) -> Measured:
    return {"flip": float(flip_map(reference, decoded).mean(dtype=np.float64))}


MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("psnr", (Metric("psnr", "PSNR", "dB"),), _psnr),
        Measure(
            "yuv", tuple(Metric(f"psnr_{name}", f"PSNR of {name.upper()}", "dB") for name in "yuv"), _yuv
        ),
        Measure("ssim", (Metric("ssim", "SSIM"),), _ssim, "pytorch_msssim"),
        Measure("ms-ssim", (Metric("ms_ssim", "MS-SSIM"),), _ms_ssim, "pytorch_msssim"),
        Measure("flip", (Metric("flip", "FLIP", is_better_high=False),), _flip, "flip_evaluator"),
    )
}


def measure_frame(reference: Frame, decoded: Frame, names: Sequence[str]) -> Measured:
    """All metrics of these measures of one frame. Raises `ValueError` for frames of different shapes."""
    found: Measured = {}
    for name in names:
        found |= MEASURES[name].measure(reference, decoded)
    return found
