"""A report: what is asked for is checked before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inrcodec.progress import Progress, Silent
from inrcodec.settings.pages import ReportSettings, check_report

if TYPE_CHECKING:
    from inrcodec.quality.report.gather import ReportResult


def write_report(
    source: str,
    files: Sequence[str],
    output: str,
    settings: ReportSettings | None = None,
    progress: Progress | None = None,
) -> ReportResult:
    """Write a page to `output` on how the .inrv `files` compare with what `settings` select of `source`.

    The page is one HTML file that loads nothing. Memory holds a frame of the source and what rendering a file
    takes, and of each file the frames that are shown, three at most. Raises `UsageError` (before any work for
    what can be known then, and for files that do not have the source's frames), `BitstreamError` for a file
    that is not intact, `NotAVideo` and `OutputError`.
    """
    settings, progress = settings or ReportSettings(), progress or Silent()
    check_report(source, files, output, settings)
    # Torch, which all that follows needs, takes two seconds to import.
    from inrcodec.quality.report.gather import ReportInputs, gather, write_page
    from inrcodec.quality.report.logs import read_logs
    from inrcodec.quality.report.rates import read_results

    inputs = ReportInputs(
        source,
        settings.source,
        files,
        [clip for path in settings.results for clip in read_results(path)],
        read_logs(settings.logs, files),
        settings.device,
    )
    return write_page(gather(inputs, progress), output, settings.overwrite)
