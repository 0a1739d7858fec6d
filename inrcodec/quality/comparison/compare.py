"""Entry point of a comparison: checks the request before anything is encoded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inrcodec.progress import Part, Progress, Silent
from inrcodec.quality.frame_metrics import usable_measures
from inrcodec.settings.pages import ComparisonSettings, check_comparison
from inrcodec.system.names import StrPath

if TYPE_CHECKING:
    from inrcodec.quality.comparison.result import ComparisonResult


def compare(
    source: StrPath,
    output: StrPath,
    settings: ComparisonSettings | None = None,
    progress: Progress | None = None,
) -> ComparisonResult:
    """Encode `source` with our models and with ordinary codecs, and write a page on them to `output`.

    Memory holds the compared frames while ordinary codecs encode them, then what one of our encodes needs.
    Intermediate files are in a hidden folder beside `output`, which is always removed at the end. Codecs that
    this build of FFmpeg lacks or that refuse the frames, and sizes that none of our networks meets, are left
    out with a note. Raises `UsageError` (before any work where possible), `NotAVideo` and `OutputError`; if
    nothing is left to compare, raises the error of the first encode.
    """
    settings, progress = settings or ComparisonSettings(), Part(progress or Silent(), repeats_notes=False)
    source, output = os.fspath(source), os.fspath(output)
    check_comparison(source, output, settings)
    if settings.metrics:
        usable_measures(settings.metrics, progress)
    # Everything below needs torch, whose import takes two seconds.
    from inrcodec.quality.comparison.flow import compare_checked

    return compare_checked(source, output, settings, progress)
