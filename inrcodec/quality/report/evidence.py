"""The measurements that a report is made from."""

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
    """Everything that a report says about one file."""

    name: str
    """Short name that is unique in the report."""
    held: FileReport
    quality: Evaluation
    log: EncodeLog | None


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names the rows."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Foreword:
    """The start of a page: a verdict, the tables it rests on, and notes."""

    verdict: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Stream:
    """A file of ours, or the stream of an ordinary codec, among those of about the same bytes."""

    name: str
    setting: str
    file_bytes: int
    psnr_db: float
    """Mean over all frames."""


@dataclass(frozen=True)
class SideBySide:
    """One of our files, and ordinary codecs that have at most its bytes."""

    file: str
    """Short name of our file."""
    streams: tuple[Stream, ...]
    """Our file first."""
    pictures: Pictures
    """Chosen frames of the source and of each stream, without maps."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a report says."""

    source: str
    files: tuple[FileEvidence, ...]
    chosen: tuple[Chosen, ...]
    pictures: Pictures
    plots: tuple[RateCurves, ...]
    comparisons: tuple[tuple[dict[str, Any], ...], ...]
    """The BD-rates of each plot; see `bdrate.compare_all`."""
    foreword: Foreword | None = None
    side_by_side: tuple[SideBySide, ...] = ()
    title: str | None = None
    """Heading of the page; None for the name of the source."""


def short_names(paths: Sequence[str]) -> list[str]:
    """File names without folders if they are unique, otherwise the paths."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)
