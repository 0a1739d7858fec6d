"""Measures the files, makes the pictures and writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitstream import DEFAULT_LIMITS, Limits
from inrcodec.decoder.info import inspect
from inrcodec.progress import Part, Progress
from inrcodec.quality import bdrate
from inrcodec.quality.evaluation import evaluate, frames_at
from inrcodec.quality.report.evidence import Evidence, FileEvidence, short_names
from inrcodec.quality.report.logs import EncodeLog
from inrcodec.quality.report.page import page
from inrcodec.quality.report.pictures import choose_frames, make_pictures
from inrcodec.quality.report.rates import ClipResults, bd_rates, own_curves, rate_curves
from inrcodec.settings.source import SourceSettings
from inrcodec.system.files import atomic_output

_COMPARING = (("comparing", 1.0),)


@dataclass(frozen=True)
class ReportResult:
    """Result of `write_report`."""

    output: str
    page_bytes: int
    evidence: Evidence

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "output": self.output,
            "page_bytes": self.page_bytes,
            "source": self.evidence.source,
            "files": [_figures(one) for one in self.evidence.files],
            "frames": {one.title: one.index for one in self.evidence.chosen},
            "comparisons": [row for rows in self.evidence.comparisons for row in rows],
        }


def write_page(evidence: Evidence, output: str, overwrite: bool) -> ReportResult:
    """Write the page to `output`. Raises `UsageError` if it exists and not `overwrite`, and `OutputError`."""
    # File names may contain bytes that are not valid text.
    data = page(evidence).encode(errors="replace")
    with atomic_output(output, overwrite) as file:
        file.write(data)
    return ReportResult(output, len(data), evidence)


@dataclass(frozen=True)
class ReportInputs:
    """The inputs of a report."""

    source: str
    selected: SourceSettings
    """The part of the source that the files contain."""
    files: Sequence[str]
    clips: Sequence[ClipResults]
    """Other contenders, by clip."""
    logs: Sequence[EncodeLog | None]
    """The log of each file, or None."""
    device: str = "auto"
    measures: Sequence[str] | None = None
    """Measures taken for every frame; None for all that are installed."""
    limits: Limits = DEFAULT_LIMITS
    """Limits on the work and memory that each file asks for."""


def gather(inputs: ReportInputs, progress: Progress) -> Evidence:
    """Measure the files and make the pictures. Raises as `write_report` does, except for the output."""
    files, device = inputs.files, inputs.device
    held = [inspect(path, limits=inputs.limits) for path in files]
    measured = []
    whole = Part(progress, repeats_notes=False)
    for number, path in enumerate(files, 1):
        place = f"file {number} of {len(files)}" if len(files) > 1 else ""
        told = whole.part(1 / len(files), place=place, phases=_COMPARING)
        measured.append(
            evaluate(inputs.source, path, inputs.selected, inputs.measures, device, told, inputs.limits)
        )
        told.end()
        if len(files) > 1:
            progress.detail(f"measured {path}")
    chosen = choose_frames(np.mean([one.values["psnr"] for one in measured], axis=0))
    indices = [one.index for one in chosen]
    pictures = make_pictures(
        chosen,
        frames_at(inputs.source, indices, inputs.selected, device),
        [frames_at(path, indices, device=device, limits=inputs.limits) for path in files],
    )
    families = [one.segments[0].family for one in held]
    first = measured[0]
    plots = rate_curves(
        own_curves(list(zip(families, measured, strict=True))),
        first.width * first.height * first.frame_count,
        inputs.clips,
    )
    if plots and not bdrate.is_installed():
        progress.note("BD-rates: left out; install with: pip install 'inrc[report]'")
    return Evidence(
        source=inputs.source,
        files=tuple(map(FileEvidence, short_names(files), held, measured, inputs.logs)),
        chosen=tuple(chosen),
        pictures=pictures,
        plots=tuple(plots),
        comparisons=tuple(tuple(bd_rates(plot)) for plot in plots),
    )


def _figures(one: FileEvidence) -> dict[str, Any]:
    figures = one.quality.as_dict()
    metrics = {
        name: {key: value for key, value in metric.items() if key != "values"}
        for name, metric in figures["metrics"].items()
    }
    return {"file": one.quality.decoded, "file_bytes": one.quality.file_bytes, "bpp": one.quality.bpp} | {
        "metrics": metrics
    }
