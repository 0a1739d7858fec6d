"""Reads the progress of fits from the output of `inrc encode --json`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.errors import UsageError


@dataclass(frozen=True)
class FitPoint:
    """The state of a fit at one moment."""

    seconds: float
    epochs: float
    psnr_db: float
    bpp: float


@dataclass(frozen=True)
class EncodeLog:
    """The log of the encode of one file."""

    path: str
    seconds: float
    steps: int
    epochs: float
    device: str
    segments: tuple[tuple[FitPoint, ...], ...]
    """Progress of the fit of each segment."""


def read_log(path: str) -> dict[str, EncodeLog]:
    """The logs in a file, by output name without folder. Raises `UsageError` if it is not a log."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        rows = value["files"] if "files" in value else [value]
        results = [row.get("result", row) | {"output": row["output"]} for row in rows if "error" not in row]
        return {os.path.basename(one["output"]): log_of(path, one) for one in results if "courses" in one}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not what inrc encode --json writes: {error!r}") from error


def read_logs(paths: Sequence[str], files: Sequence[str]) -> list[EncodeLog | None]:
    """The log of each file, matched by name. Raises `UsageError` for logs that match none or several."""
    names = [os.path.basename(file) for file in files]
    found: dict[str, EncodeLog] = {}
    for path in paths:
        logs = read_log(path)
        if not logs.keys() & set(names):
            raise UsageError(
                f"{path} is the log of {', '.join(logs) or 'no file'}, not of a file in the report"
            )
        several = [name for name in logs if names.count(name) > 1 or name in found]
        if several:
            raise UsageError(f"{path} is the log of {several[0]}, which matches several files or another log")
        found |= {name: log for name, log in logs.items() if name in names}
    return [found.get(name) for name in names]


def log_of(path: str, result: dict[str, Any]) -> EncodeLog:
    """Make the log of an encode from the fields of its `EncodeResult`, which were read from `path`.

    Raises `ValueError` for values that are not finite numbers.
    """
    courses = [[[float(value) for value in point] for point in one] for one in result["courses"]]
    if not all(math.isfinite(value) for one in courses for point in one for value in point):
        raise ValueError("expected finite numbers in `courses`")
    return EncodeLog(
        path=path,
        seconds=float(result["seconds"]),
        steps=int(result["steps"]),
        epochs=float(result["epochs"]),
        device=str(result["device"]),
        segments=tuple(tuple(FitPoint(*point) for point in one) for one in courses),
    )
