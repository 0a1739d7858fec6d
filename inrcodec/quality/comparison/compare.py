"""A comparison: what is asked for is checked before anything is encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inrcodec.progress import Part, Progress, Silent
from inrcodec.settings.pages import ComparisonSettings, check_comparison

if TYPE_CHECKING:
    from inrcodec.quality.comparison.result import ComparisonResult


def compare(
    source: str,
    output: str,
    settings: ComparisonSettings | None = None,
    progress: Progress | None = None,
) -> ComparisonResult:
    """Encode `source` with our models and with ordinary codecs, and write the page `output` on them.

    Memory holds the compared frames while ordinary codecs encode them, then what one of our encodes takes.
    What is made on the way is in a hidden folder beside `output`, and gone when this ends, however it ends.
    A codec that is not in this build of FFmpeg or refuses these frames, and a size that no network of ours
    meets, are left out with a note. Raises `UsageError` (before any work for what can be known then),
    `NotAVideo` and `OutputError`, and where nothing is left to compare what the first encode raised.
    """
    settings, progress = settings or ComparisonSettings(), Part(progress or Silent(), repeats_notes=False)
    check_comparison(source, output, settings)
    # Torch, which all that follows needs, takes two seconds to import.
    from inrcodec.quality.comparison.flow import compare_checked

    return compare_checked(source, output, settings, progress)
