"""What a report is made from, all measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.decoder.info import FileReport
from inrcodec.quality.evaluation import Evaluation
from inrcodec.quality.report.logs import EncodeLog
from inrcodec.quality.report.pictures import Chosen, Pictures
from inrcodec.quality.report.rates import RateCurves


@dataclass(frozen=True)
class FileEvidence:
    """All that a report says of one file."""

    name: str
    """As short as tells the files apart."""
    held: FileReport
    quality: Evaluation
    log: EncodeLog | None


@dataclass(frozen=True)
class Table:
    """Text in cells; the first column names the rows."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Foreword:
    """What stands before all else: what the figures come to, and tables of them."""

    verdict: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """All that a report says."""

    source: str
    files: tuple[FileEvidence, ...]
    chosen: tuple[Chosen, ...]
    pictures: Pictures
    plots: tuple[RateCurves, ...]
    comparisons: tuple[tuple[dict[str, Any], ...], ...]
    """Of each plot, the BD-rates that there are; see `bdrate.compare_all`."""
    foreword: Foreword | None = None


def short_names(paths: Sequence[str]) -> list[str]:
    """Names without folders where these tell the files apart, else the paths."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)
