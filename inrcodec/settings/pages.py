"""Settings of `inrc report` and `inrc compare`, which write a page."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inrcodec.errors import UsageError
from inrcodec.settings.presets import AUTO
from inrcodec.settings.source import SourceSettings
from inrcodec.system.files import check_output_file
from inrcodec.system.names import StrPath, check_paths, is_pipe

if TYPE_CHECKING:
    from bitstream.limits import Limits

METRICS = ("psnr", "yuv", "ssim", "ms-ssim", "flip", "xpsnr", "vmaf")
"""Metrics of `inrc eval`; see `frame_metrics`."""
FURTHER_METRICS = ("xpsnr", "vmaf")
"""Metrics that `inrc compare` measures on request."""
COMPARISON_SECONDS = 300.0
"""Wall-clock time of all our encodes in `inrc compare`, unless time, epochs or preset are given."""


@dataclass(frozen=True)
class ReportSettings:
    """The settings of `inrc report`."""

    source: SourceSettings | None = None
    """The part of the source that the files hold; None asks the files, which must agree."""
    results: Sequence[StrPath] = ()
    """Files of `python -m benchmarks.rd --json` with other codecs to plot beside the files."""
    logs: Sequence[StrPath] = ()
    """Files of `inrc encode --json`; each names the output that it describes."""
    device: str = "auto"
    overwrite: bool = False
    title: str | None = None
    """Heading of the page; None for the name of the source."""
    limits: Limits | None = None
    """Limits on the work and memory that each file asks for; None for the defaults."""


@dataclass(frozen=True)
class ComparisonSettings:
    """The settings of `inrc compare`.

    The constructor raises `UsageError` for settings that cannot be compared, and `OutputError` if the folder
    `keep` cannot be created.
    """

    source: SourceSettings = SourceSettings()
    first_seconds: float | None = 5.0
    """Seconds to compare from the start of a longer video; None compares all of `source.frames`. It has no
    effect if `source.frames` is not the whole video."""
    bpps: Sequence[float] = (0.03, 0.06, 0.12, 0.2)
    """Bits per pixel of our files; a BD-rate needs four."""
    models: Sequence[str] = (AUTO,)
    preset: str | None = None
    """One of `PRESETS`; None for `medium`."""
    time_seconds: float | None = None
    """Wall-clock time of all our encodes together; None means `COMPARISON_SECONDS`, unless preset or epochs
    are given."""
    epochs: float | None = None
    against: Sequence[str] = ("x264:medium", "x265:medium", "svtav1:6")
    """Ordinary codecs, as CODEC:PRESET."""
    metrics: Sequence[str] = ()
    """Some of `FURTHER_METRICS`, beside PSNR and MS-SSIM."""
    keep: StrPath | None = None
    """Folder to keep our files in; None removes them."""
    device: str = "auto"
    overwrite: bool = False
    title: str | None = None
    """Heading of the page; None for the name of the source."""

    def __post_init__(self) -> None:
        bpps = self.bpps
        if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
            raise UsageError(f"--bpp: expected positive numbers, each once, found {list(bpps)}")
        unknown = [name for name in self.metrics if name not in FURTHER_METRICS]
        if unknown or len(set(self.metrics)) < len(self.metrics):
            known = ", ".join(FURTHER_METRICS)
            raise UsageError(f"--metric: expected {known}, each once, found {', '.join(self.metrics)}")
        if not self.models or not self.against:
            raise UsageError("name at least one model, and one codec to compare it with")
        if self.time_seconds is not None and self.epochs is not None:
            raise UsageError("--time and --epochs exclude each other; give one of them")

    @property
    def total_seconds(self) -> float | None:
        """Seconds for all our encodes together; None if another setting decides."""
        if self.time_seconds is None and self.epochs is None and self.preset is None:
            return COMPARISON_SECONDS
        return self.time_seconds


def check_report(source: str, files: Sequence[str], output: str, settings: ReportSettings) -> None:
    """Raise `UsageError` for files that cannot be reported on, `OutputError` for an unwritable output."""
    if not files:
        raise UsageError("name at least one .inrv file to report on")
    if len(set(files)) < len(files):
        raise UsageError(f"a file is named twice: {', '.join(files)}")
    _check_page((source, *files, *settings.results, *settings.logs), output, settings.overwrite)


def check_comparison(source: str, output: str, settings: ComparisonSettings) -> None:
    """Raise `UsageError` for an unsuitable source, page or folder, `OutputError` for an unwritable output."""
    keep = settings.keep
    if keep is not None and not os.path.isdir(keep):
        if os.path.exists(keep):
            raise UsageError(f"--keep: {keep} is not a folder")
        check_output_file(os.path.abspath(keep), False)
    if is_pipe(source):
        raise UsageError(
            f"compare reads its source several times, and {source} can be read only once: save it as a file"
        )
    _check_page((source,), output, settings.overwrite)


def _check_page(inputs: Sequence[StrPath], output: str, overwrite: bool) -> None:
    """Raise as the two functions above, for a page made from the files `inputs`."""
    if not output.endswith((".html", ".htm")):
        raise UsageError(f"-o: expected a name that ends with .html, found {output}")
    for path in inputs:
        check_paths(path, output)
    check_output_file(output, overwrite)
