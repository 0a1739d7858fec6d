"""Entry point of a report: checks the request before anything is measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inrcodec.progress import Progress, Silent
from inrcodec.settings.pages import ReportSettings, check_report
from inrcodec.system.names import StrPath

if TYPE_CHECKING:
    from inrcodec.quality.report.gather import ReportResult


def write_report(
    source: StrPath,
    files: Sequence[StrPath],
    output: StrPath,
    settings: ReportSettings | None = None,
    progress: Progress | None = None,
) -> ReportResult:
    """Write a page to `output` that compares the .inrv `files` with the selected part of `source`.

    The page is one HTML file that loads nothing. Memory holds one frame of the source, what rendering a file
    needs, and the shown frames of each file, at most three. Raises `UsageError` (before any work where
    possible, and for files whose frames do not match the source's), `BitstreamError` for damaged files,
    `NotAVideo` and `OutputError`.
    """
    settings, progress = settings or ReportSettings(), progress or Silent()
    source, output, paths = os.fspath(source), os.fspath(output), [os.fspath(file) for file in files]
    check_report(source, paths, output, settings)
    # Everything below needs torch, whose import takes two seconds.
    from bitstream import DEFAULT_LIMITS
    from inrcodec.quality.evaluation import held_parts
    from inrcodec.quality.report.gather import ReportInputs, gather, write_page
    from inrcodec.quality.report.logs import read_logs
    from inrcodec.quality.report.rates import read_results

    limits = settings.limits or DEFAULT_LIMITS
    inputs = ReportInputs(
        source,
        held_parts(paths, limits) if settings.source is None else settings.source,
        paths,
        [clip for path in settings.results for clip in read_results(os.fspath(path))],
        read_logs([os.fspath(path) for path in settings.logs], paths),
        settings.device,
        limits=limits,
    )
    evidence = replace(gather(inputs, progress), title=settings.title)
    return write_page(evidence, output, settings.overwrite)
