"""The parts of a report that are charts: quality over frames, rate against distortion, the course of fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec import bdrate
from inrcodec.bdrate import METRICS
from inrcodec.frame_metrics import Metric
from inrcodec.report.axes import linear_axis, logarithmic_axis
from inrcodec.report.charts import COLOUR_COUNT, Series, Stop, chart
from inrcodec.report.evidence import Evidence, FileEvidence
from inrcodec.report.logs import FitPoint
from inrcodec.report.markup import Markup, element, joined, table
from inrcodec.report.rates import RateCurves
from inrcodec.report.sections import value_text

MOST_POINTS = 600
"""Points of a line over frames; of a longer video each stands for several frames."""
_CURVES = ("psnr", "ssim", "ms_ssim", "flip")


def quality_section(evidence: Evidence) -> Markup:
    """A chart for each metric, with the chosen frames marked."""
    metrics = [one for one in evidence.files[0].quality.metrics if one.name in _CURVES]
    marks = [one.index for one in evidence.chosen]
    shown = ", ".join(f"{one.title} {one.index}" for one in evidence.chosen)
    names = ", ".join(one.title for one in metrics)
    missing = [] if "flip" in {one.name for one in metrics} else ["FLIP needs the extra inrc[metrics]."]
    return joined(
        element("div", *(_over_frames(evidence.files, one, marks) for one in metrics), class_="charts"),
        element("p", " ".join([f"{names}. Dashed: {shown}.", *missing]), class_="note"),
    )


def _over_frames(files: Sequence[FileEvidence], metric: Metric, marks: Sequence[int]) -> Markup:
    values = [file.quality.values[metric.name] for file in files]
    count = len(values[0])
    size = -(-count // MOST_POINTS)
    starts = range(0, count, size)
    series = [
        _series(file.name, one, number, size)
        for number, (file, one) in enumerate(zip(files, values, strict=True))
    ]
    stops = [
        Stop(
            start,
            None,
            f"frame {start}" if size == 1 else f"frames {start} to {min(start + size, count) - 1}",
            [
                (number, file.name, _several(metric.name, one[start : start + size]))
                for number, (file, one) in enumerate(zip(files, values, strict=True))
            ],
        )
        for start in starts
    ]
    low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    floor = [0.0] if metric.name == "flip" else []
    better = "Higher is better." if metric.is_better_high else "Lower is better."
    return chart(
        metric.title,
        f"{count} frames, from {value_text(metric.name, low)} to {value_text(metric.name, high)}. {better}",
        linear_axis("frame", [0, count - 1], whole=True),
        linear_axis(metric.unit, [low, high, *floor], 4),
        series,
        stops,
        marks,
    )


def _series(name: str, values: NDArray[np.float64], colour: int, size: int) -> Series:
    """A point for each `size` frames, with the range that their values take."""
    runs = [(start, values[start : start + size]) for start in range(0, len(values), size)]
    band = [(start, float(run.min()), float(run.max())) for start, run in runs] if size > 1 else []
    return Series(name, [(start, float(run.mean())) for start, run in runs], colour, band=band)


def _several(name: str, values: NDArray[np.float64]) -> str:
    mean = value_text(name, float(values.mean()))
    if len(values) == 1:
        return mean
    return f"{mean} ({value_text(name, float(values.min()))} to {value_text(name, float(values.max()))})"


def rate_section(evidence: Evidence) -> Markup | None:
    """For each clip a chart for each metric, and the BD-rates."""
    if not evidence.plots:
        return None
    pieces = []
    for plot, rows in zip(evidence.plots, evidence.comparisons, strict=True):
        shown = [name for name in METRICS if any(point[name] is not None for point in _points(plot))]
        charts = (_rate_chart(plot, metric) for metric in shown)
        pieces += [element("h3", plot.title), element("div", *charts, class_="charts")]
        if not plot.ours:
            said = "These results are of another number of pixels than the files here: they stand alone."
            pieces.append(element("p", said, class_="note"))
        pieces.append(_bd_table(rows))
    return joined(*pieces)


def _points(plot: RateCurves) -> list[dict[str, Any]]:
    return [point for curve in plot.curves.values() for point in curve]


def _rate_chart(plot: RateCurves, metric: str) -> Markup:
    series, stops = [], []
    for number, (name, curve) in enumerate(plot.curves.items()):
        places = [(point["bpp"], point[metric]) for point in curve if point[metric] is not None]
        if not places:
            continue
        series.append(Series(name, places, number, is_thin=bdrate.is_rival(name), has_dots=True))
        for bpp, value in places:
            rows = [(number, METRICS[metric], value_text(metric.removesuffix("_db"), value))]
            stops.append(Stop(bpp, value, f"{name}: {bpp:.4f} bits a pixel", rows))
    stops.sort(key=lambda stop: stop.x)
    title, _, unit = METRICS[metric].partition(", ")
    return chart(
        title,
        f"{len(series)} contenders at {len(stops)} rates.",
        logarithmic_axis("bits a pixel", [stop.x for stop in stops]),
        linear_axis(unit, [stop.y for stop in stops if stop.y is not None]),
        series,
        stops,
    )


def _bd_table(rows: Sequence[dict[str, Any]]) -> Markup:
    """A line for each anchor, a column for each contender of ours and metric."""
    if not rows:
        reason = (
            "a BD-rate needs two contenders of four points or more that reach the same quality"
            if bdrate.is_installed()
            else "pip install 'inrc[report]' brings what they need"
        )
        return element("p", f"No BD-rates: {reason}.", class_="note")
    figures = {(row["anchor"], row["test"], row["metric"]): row["percent"] for row in rows}
    columns = list(dict.fromkeys((row["test"], row["metric"]) for row in rows))
    lines = []
    for anchor in dict.fromkeys(row["anchor"] for row in rows):
        cells = [figures.get((anchor, *column)) for column in columns]
        lines.append([anchor, *("–" if cell is None else f"{cell:+.1f} %" for cell in cells)])
    heads = [f"{test}, by {METRICS[metric].partition(',')[0]}" for test, metric in columns]
    said = "BD-rate: bits at equal quality against the codec of the line; less than nothing is fewer bits."
    return joined(table(["against", *heads], lines), element("p", said, class_="note"))


def fit_section(evidence: Evidence) -> Markup | None:
    """PSNR and estimated bits over the time of each fit, where logs were given."""
    fits = [
        (f"{file.name}, segment {number + 1}" if len(file.log.segments) > 1 else file.name, points)
        for file in evidence.files
        if file.log is not None
        for number, points in enumerate(file.log.segments)
        if points
    ]
    if not any(file.log for file in evidence.files):
        return None
    if not fits:
        said = "These fits were too short to be heard of: there is no curve."
        return element("p", said, class_="note")
    charts = [
        _fit_chart(
            "PSNR", "dB", "psnr", fits, [[(one.seconds, one.psnr_db) for one in points] for _, points in fits]
        ),
        _fit_chart(
            "Estimated rate",
            "bits a pixel",
            "bpp",
            fits,
            [[(one.seconds, one.bpp) for one in points] for _, points in fits],
        ),
    ]
    said = (
        "As the fit saw itself: PSNR of the frames of its last steps, before the file was coded and decoded."
    )
    return joined(element("div", *charts, class_="charts"), element("p", said, class_="note"))


def _fit_chart(
    title: str,
    unit: str,
    name: str,
    fits: Sequence[tuple[str, Sequence[FitPoint]]],
    lines: Sequence[Sequence[tuple[float, float]]],
) -> Markup:
    series = [
        Series(fit, line, number % COLOUR_COUNT)
        for number, ((fit, _), line) in enumerate(zip(fits, lines, strict=True))
    ]
    stops = [
        Stop(x, y, f"{x:,.1f} s, epoch {at.epochs:.3g}", [(number, fit, value_text(name, y))])
        for number, ((fit, points), line) in enumerate(zip(fits, lines, strict=True))
        for (x, y), at in zip(line, points, strict=True)
    ]
    stops.sort(key=lambda stop: stop.x)
    return chart(
        title,
        f"{len(stops)} moments of {len(fits)} fits.",
        linear_axis("seconds of the fit", [0.0, *(stop.x for stop in stops)], whole=True),
        linear_axis(unit, [stop.y for stop in stops if stop.y is not None], 4),
        series,
        stops,
    )
