"""Rate against distortion: the files of a report, and contenders from the results of `benchmarks.rd`."""

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

_PIXELS_OFF = 0.01
"""Share by which the pixels of results may be off, whose rates are rounded nowhere but by floats."""
HERE = "this report"


@dataclass(frozen=True)
class RateCurves:
    """Contenders on one clip."""

    title: str
    curves: dict[str, Curve]
    ours: frozenset[str]
    """Those of the contenders that are files of this report."""


@dataclass(frozen=True)
class ClipResults:
    """What stored results have of one clip."""

    name: str
    curves: dict[str, Curve]
    pixel_count: float
    """Of all its frames, by the sizes and the rates of its points."""


def read_results(path: str) -> list[ClipResults]:
    """Clips of a file that `python -m benchmarks.rd --json` wrote. Raises `UsageError` for any other."""
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
        raise UsageError(f"{path} holds no results of benchmarks.rd: {error!r}") from error
    if not clips:
        raise UsageError(f"{path} holds no results of benchmarks.rd: there is not one point")
    return clips


def _point(point: Any) -> dict[str, float | None]:
    """The figures of a stored point; ValueError for what is no figure."""
    quality = point["ms_ssim"]
    found = {name: float(point[name]) for name in ("bpp", "file_bytes", "psnr_db")}
    known = [*found.values(), *([] if quality is None else [float(quality)])]
    if not all(map(math.isfinite, known)) or min(found["bpp"], found["file_bytes"]) <= 0:
        raise ValueError(f"expected figures, found {found}")
    return {**found, "ms_ssim": None if quality is None else float(quality)}


def own_curves(files: Sequence[tuple[str, Evaluation]]) -> dict[str, Curve]:
    """The files as curves, one for each family of models; `files` are the family's name and the figures."""
    curves: dict[str, Curve] = {}
    for family, evaluation in files:
        curves.setdefault(f"{family} ({HERE})", []).append(point_of(evaluation))
    for curve in curves.values():
        curve.sort(key=lambda point: point["bpp"])
    return curves


def point_of(evaluation: Evaluation) -> dict[str, Any]:
    """What a curve has of a file that was measured."""
    found = {one.metric.name: one for one in evaluation.summaries()}
    return {
        "bpp": evaluation.bpp,
        "file_bytes": evaluation.file_bytes,
        "psnr_db": found["psnr"].mean,
        "psnr_p1_db": found["psnr"].worst_in_hundred,
        "ms_ssim": found["ms_ssim"].mean if "ms_ssim" in found else None,
    }


def rate_curves(own: dict[str, Curve], pixel_count: int, clips: Sequence[ClipResults]) -> list[RateCurves]:
    """A plot for each clip of the results, with our files where it has as many pixels as they have.

    Without results of as many pixels, several files have a plot of their own.
    """
    plots = []
    is_placed = False
    for clip in clips:
        is_same = abs(clip.pixel_count / pixel_count - 1) < _PIXELS_OFF
        is_placed |= is_same
        # Ours first, then other models, then the codecs that they are compared with.
        others = dict(sorted(clip.curves.items(), key=lambda item: bdrate.is_rival(item[0])))
        curves = {**own, **others} if is_same else others
        plots.append(RateCurves(clip.name, curves, frozenset(own if is_same else ())))
    if not is_placed and sum(map(len, own.values())) > 1:
        plots.insert(0, RateCurves("these files", own, frozenset(own)))
    return plots


def bd_rates(plot: RateCurves) -> list[dict[str, Any]]:
    """Comparisons of `bdrate.compare_all` that have a figure; none where its library is not installed."""
    if not bdrate.is_installed():
        return []
    rows = bdrate.compare_all({plot.title: plot.curves})
    return [row for row in rows if row["percent"] is not None]
