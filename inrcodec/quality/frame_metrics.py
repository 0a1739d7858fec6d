"""The per-frame metrics of `inrc eval`: their names, and the libraries that measure them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import UsageError
from inrcodec.metrics import ms_ssim, psnr_db
from inrcodec.progress import Progress
from inrcodec.samples import Samples, depth_of, peak_of
from inrcodec.video.planes import Picture, common_sampling
from inrcodec.video.vmaf import VMAF_NEEDS, vmaf_program
from inrcodec.video.xpsnr import has_xpsnr

Frame = Samples
"""(height, width, 3)."""
Measured = dict[str, float | None]
"""Values by the name of the metric; None if the frame is too small for it."""
SSIM_WINDOW = 11
"""Side of the SSIM window, pixels; smaller frames have no SSIM."""


@dataclass(frozen=True)
class Metric:
    """A metric: its name in JSON and CSV, its title, its unit, and which direction is better."""

    name: str
    title: str
    unit: str = ""
    is_better_high: bool = True

    def worst_in_hundred(self, values: NDArray[np.float64]) -> float:
        """The 1st percentile, or the 99th if lower is better: one frame in a hundred is worse."""
        return float(np.percentile(values, 1 if self.is_better_high else 99))

    def worst_frame(self, values: NDArray[np.float64]) -> int:
        return int(values.argmin() if self.is_better_high else values.argmax())


@dataclass(frozen=True)
class Measure:
    """Metrics that one function measures together."""

    name: str
    """Name for `--metric`."""
    metrics: tuple[Metric, ...]
    measure: Callable[[Picture, Picture], Measured] | None
    """None if it depends on other frames, too; see `sequence_metrics`."""
    library: str | None = None
    """Module that it imports, from the extra `metrics`; None if it needs none."""
    is_there: Callable[[], bool] = lambda: True
    """Whether the program or the filter that it needs is there."""
    needs: str = "needs additional packages: pip install 'inrc[metrics]'"
    """How to get it, for a message."""

    @property
    def is_installed(self) -> bool:
        return (self.library is None or find_spec(self.library) is not None) and self.is_there()

    @property
    def is_default(self) -> bool:
        """Whether it is measured without being asked for."""
        return self.measure is not None


def _psnr(reference: Picture, decoded: Picture) -> Measured:
    return {"psnr": psnr_db(reference.pixels, decoded.pixels)}


def _yuv(reference: Picture, decoded: Picture) -> Measured:
    sampling = common_sampling(reference, decoded)
    planes = zip("yuv", reference.planes(sampling), decoded.planes(sampling), strict=True)
    return {f"psnr_{name}": psnr_db(first, second) for name, first, second in planes}


def _ssim(reference: Picture, decoded: Picture) -> Measured:
    import torch
    from pytorch_msssim import ssim

    if min(reference.pixels.shape[:2]) < SSIM_WINDOW:
        return {"ssim": None}
    frames = (reference.pixels, decoded.pixels)
    first, second = (torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None] for frame in frames)
    return {"ssim": float(ssim(first, second, data_range=peak_of(reference.pixels), win_size=SSIM_WINDOW))}


def _ms_ssim(reference: Picture, decoded: Picture) -> Measured:
    return {"ms_ssim": ms_ssim(reference.pixels[None], decoded.pixels[None])}


def flip_map(reference: Frame, decoded: Frame) -> NDArray[np.float32]:
    """The visible difference per pixel (height, width) when both frames alternate, 0 to 1.

    This is LDR-FLIP at 67 pixels per degree (Andersson et al., "FLIP: a difference evaluator for alternating
    images", 2020), computed by the authors' package.
    """
    import flip_evaluator  # type: ignore[import-untyped]  # it ships no types

    first, second = (frame.astype(np.float32) / peak_of(frame) for frame in (reference, decoded))
    errors, _, _ = flip_evaluator.evaluate(first, second, "LDR", applyMagma=False)
    found: NDArray[np.float32] = errors[..., 0]
    return found


def _flip(reference: Picture, decoded: Picture) -> Measured:
    return {"flip": float(flip_map(reference.pixels, decoded.pixels).mean(dtype=np.float64))}


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
        Measure(
            "xpsnr",
            tuple(Metric(f"xpsnr_{name}", f"XPSNR of {name.upper()}", "dB") for name in "yuv"),
            None,
            is_there=has_xpsnr,
            needs="needs a PyAV whose FFmpeg has the filter xpsnr",
        ),
        Measure(
            "vmaf",
            (Metric("vmaf", "VMAF"),),
            None,
            is_there=lambda: vmaf_program() is not None,
            needs=VMAF_NEEDS,
        ),
    )
}


SEQUENCE_METRICS = tuple(
    metric.name for measure in MEASURES.values() if measure.measure is None for metric in measure.metrics
)
"""Names of the metrics that depend on other frames."""


def measure_frame(reference: Picture, decoded: Picture, names: Sequence[str]) -> Measured:
    """Measure one frame by the measures `names`. Raises `ValueError` for frames of different shapes.

    Measures that depend on other frames are left out. A decoded frame of another depth is converted to that
    of the reference.

    PSNR of Y, U and V is measured in the samples that the reference stores. For RGB and .inrv files these are
    the samples that the decoded video stores, or BT.709 with limited range and 4:2:0 if that has none, too.
    """
    found: Measured = {}
    decoded = decoded.at_depth(depth_of(reference.pixels))
    for name in names:
        measure = MEASURES[name].measure
        found |= {} if measure is None else measure(reference, decoded)
    return found


def usable_measures(measures: Sequence[str] | None, progress: Progress) -> list[str]:
    """The measures to take; by default all that are installed, with a note on the others.

    Raises `UsageError` for a requested measure that is unknown or not installed.
    """
    for name in measures or ():
        if name not in MEASURES:
            raise UsageError(f"unknown metric {name!r}; expected {', '.join(MEASURES)}")
        if not MEASURES[name].is_installed:
            raise UsageError(f"{name} {MEASURES[name].needs}")
    if measures:
        return list(dict.fromkeys(measures))
    usual = [name for name, measure in MEASURES.items() if measure.is_default]
    missing = [name for name in usual if not MEASURES[name].is_installed]
    if missing:
        progress.note(f"{', '.join(missing)}: left out; install with: pip install 'inrc[metrics]'")
    return [name for name in usual if name not in missing]
