"""The metrics by which an encode can search for the smallest file: how each is measured, scaled and shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from inrcodec.decoder.video import open_video
from inrcodec.encoder.result import EncodeResult
from inrcodec.encoder.size_search import PSNR_SCALE, VMAF_SCALE, Scale
from inrcodec.progress import Progress
from inrcodec.samples import depth_of
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import SourceSettings
from inrcodec.video import FrameReading
from inrcodec.video.planes import Picture
from inrcodec.video.vmaf import Vmaf

Measure = Callable[[EncodeResult, str, str, EncodeSettings, Progress], EncodeResult]
"""Adds the quality of a finished encode to its result; takes the paths of the source and of the file."""
MEASURING = "measuring VMAF"
"""Name of this stage in progress reports."""


@dataclass(frozen=True)
class SearchedMetric:
    """A metric that rises with the size of a file."""

    scale: Scale
    template: str
    """A value for display; `{}` is the number."""
    value: Callable[[EncodeResult], float]
    """The mean over the frames; the lowest of all if it was not measured yet."""
    with_target: Callable[[EncodeResult, float], EncodeResult]
    """The result of a search for a target."""
    measured: Measure
    """The result with the value, if an encode does not measure it by itself."""

    def text(self, value: float) -> str:
        """The value for display, rounded down, so that it is reached."""
        return self.template.format(f"{self.floor(value):.2f}")

    @staticmethod
    def floor(value: float) -> float:
        """The value rounded down to two digits."""
        return math.floor(100 * value) / 100


def _as_encoded(
    result: EncodeResult, source: str, path: str, settings: EncodeSettings, progress: Progress
) -> EncodeResult:
    return result


def _with_vmaf(
    result: EncodeResult, source: str, path: str, settings: EncodeSettings, progress: Progress
) -> EncodeResult:
    if result.vmaf is not None:
        return result
    return replace(result, vmaf=mean_vmaf(source, path, settings.source, settings.device, progress))


def mean_vmaf(source: str, path: str, selected: SourceSettings, device: str, progress: Progress) -> float:
    """The mean VMAF of an .inrv file, whose frames are those that `selected` names of the source.

    Raises `InrcError` if ffmpeg fails.
    """
    reading = FrameReading(source, selected)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(path, device))
        pictures = stack.enter_context(closing(reading.pictures()))
        vmaf: Vmaf | None = None
        for number, (reference, frame) in enumerate(zip(pictures, video, strict=True), 1):
            decoded = Picture(frame).at_depth(depth_of(reference.pixels))
            if vmaf is None:
                vmaf = stack.enter_context(Vmaf(reference, decoded, reading.frame_rate))
            vmaf.add(reference, decoded)
            progress.stage(MEASURING, number, len(video))
        scores = [] if vmaf is None else vmaf.scores()
    return math.fsum(scores) / len(scores)


METRICS: Mapping[str, SearchedMetric] = {
    "psnr_db": SearchedMetric(
        PSNR_SCALE,
        "{} dB",
        lambda result: result.psnr_db,
        lambda result, target: replace(result, psnr_target_db=target),
        _as_encoded,
    ),
    "vmaf": SearchedMetric(
        VMAF_SCALE,
        "VMAF {}",
        lambda result: VMAF_SCALE.lowest if result.vmaf is None else result.vmaf,
        lambda result, target: replace(result, vmaf_target=target),
        _with_vmaf,
    ),
}
"""By the field of `EncodeSettings` that has the target, see `SEARCHED`."""
