"""Rate-distortion curves of the files of a report and of contenders from results of `benchmarks.rd`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.errors import UsageError
from inrcodec.quality import bdrate
from inrcodec.quality.bdrate import Curve
from inrcodec.quality.evaluation import Evaluation
from inrcodec.quality.frame_metrics import SEQUENCE_METRICS

_PIXELS_OFF = 0.01
"""Relative tolerance for the pixel count of results, which is computed from their sizes and rates."""
HERE = "this report"


@dataclass(frozen=True)
class RateCurves:
    """The curves of all contenders on one clip."""

    title: str
    curves: dict[str, Curve]
    ours: frozenset[str]
    """Names of the contenders that are files of this report."""


@dataclass(frozen=True)
class ClipResults:
    """The curves of one clip in stored results."""

    name: str
    curves: dict[str, Curve]
    pixel_count: float
    """Pixels of all its frames, computed from the size and rate of a point."""


def read_results(path: str) -> list[ClipResults]:
    """The clips in a file from `python -m benchmarks.rd --json`. Raises `UsageError` for other files."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)["results"]
        curves: dict[str, dict[str, Curve]] = {}
        for row in rows:
            name = " ".join([str(row["contender"]), *map(str, row["options"])])
            curves.setdefault(str(row["clip"]), {}).setdefault(name, []).append(_point(row["point"]))
        clips = []
        for clip, contenders in curves.items():
            for curve in contenders.values():
                curve.sort(key=lambda point: point["bpp"])
            point = next(iter(contenders.values()))[0]
            clips.append(ClipResults(clip, contenders, 8 * point["file_bytes"] / point["bpp"]))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UsageError(f"{path} contains no results of benchmarks.rd: {error!r}") from error
    if not clips:
        raise UsageError(f"{path} contains no results of benchmarks.rd: it has no points")
    return clips


def _point(point: Any) -> dict[str, float | None]:
    """The figures of a stored point. Raises `ValueError` for numbers that are not finite or not positive."""
    quality = point["ms_ssim"]
    found = {name: float(point[name]) for name in ("bpp", "file_bytes", "psnr_db")}
    known = [*found.values(), *([] if quality is None else [float(quality)])]
    if not all(map(math.isfinite, known)) or min(found["bpp"], found["file_bytes"]) <= 0:
        raise ValueError(f"expected finite numbers and positive sizes, found {found}")
    return {**found, "ms_ssim": None if quality is None else float(quality)}


def own_curves(files: Sequence[tuple[str, Evaluation]]) -> dict[str, Curve]:
    """The files as one curve per model family; `files` are pairs of family name and evaluation.

    Each point has the `file_number` of its file, from 0.
    """
    curves: dict[str, Curve] = {}
    for number, (family, evaluation) in enumerate(files):
        point = {**point_of(evaluation), "file_number": number}
        curves.setdefault(f"{family} ({HERE})", []).append(point)
    for curve in curves.values():
        curve.sort(key=lambda point: point["bpp"])
    return curves


def point_of(evaluation: Evaluation) -> dict[str, Any]:
    """The point of a measured file on a curve."""
    found = {one.metric.name: one for one in evaluation.summaries()}
    return {
        "bpp": evaluation.bpp,
        "file_bytes": evaluation.file_bytes,
        "psnr_db": found["psnr"].mean,
        "psnr_p1_db": found["psnr"].worst_in_hundred,
        "ms_ssim": found["ms_ssim"].mean if "ms_ssim" in found else None,
        **{name: found[name].mean for name in SEQUENCE_METRICS if name in found},
    }


def rate_curves(own: dict[str, Curve], pixel_count: int, clips: Sequence[ClipResults]) -> list[RateCurves]:
    """One plot per clip of the results, which includes our files if the pixel counts match.

    If no clip matches, two or more files get a separate plot.
    """
    plots = []
    is_placed = False
    for clip in clips:
        is_same = abs(clip.pixel_count / pixel_count - 1) < _PIXELS_OFF
        is_placed |= is_same
        # Order: our files, other models, ordinary codecs.
        others = dict(sorted(clip.curves.items(), key=lambda item: bdrate.is_rival(item[0])))
        curves = {**own, **others} if is_same else others
        plots.append(RateCurves(clip.name, curves, frozenset(own if is_same else ())))
    if not is_placed and sum(map(len, own.values())) > 1:
        plots.insert(0, RateCurves("these files", own, frozenset(own)))
    return plots


def bd_rates(plot: RateCurves) -> list[dict[str, Any]]:
    """Comparisons of `bdrate.compare_all` that have a BD-rate; empty if its library is not installed."""
    if not bdrate.is_installed():
        return []
    rows = bdrate.compare_all({plot.title: plot.curves})
    return [row for row in rows if row["percent"] is not None]
