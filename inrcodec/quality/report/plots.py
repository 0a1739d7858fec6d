"""The charts of a report: quality over frames, rate-distortion curves, the progress of fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.quality import bdrate
from inrcodec.quality.bdrate import METRICS
from inrcodec.quality.frame_metrics import MEASURES, Metric
from inrcodec.quality.report.charts import Series, Stop, chart, legend, linear_axis, logarithmic_axis
from inrcodec.quality.report.evidence import Evidence, FileEvidence
from inrcodec.quality.report.logs import FitPoint
from inrcodec.quality.report.markup import Markup, element, folded, joined, table
from inrcodec.quality.report.rates import RateCurves
from inrcodec.quality.report.sections import value_text
from inrcodec.text import counted

MOST_POINTS = 600
"""Maximum points of a line over frames; for longer videos each point stands for several frames."""
MOST_FITS = 8
"""Maximum number of segments whose fits are drawn."""
_CURVES = ("psnr", "ssim", "ms_ssim", "flip")


def quality_section(evidence: Evidence) -> Markup:
    """One chart per metric, with the chosen frames marked."""
    metrics = [one for one in evidence.files[0].quality.metrics if one.name in _CURVES]
    marks = [one.index for one in evidence.chosen]
    shown = ", ".join(f"{one.title} {one.index}" for one in evidence.chosen)
    missing = [one for one in MEASURES.values() if one.is_default and not one.is_installed]
    titles = ", ".join(metric.title for one in missing for metric in one.metrics)
    names = [Series(file.name, (), number) for number, file in enumerate(evidence.files)]
    return joined(
        legend(names),
        element("div", *(_over_frames(evidence.files, one, marks) for one in metrics), class_="charts"),
        element("p", f"Dotted lines: the frames shown above ({shown}).", class_="note"),
        element("p", f"Not installed: {titles} (pip install 'inrc[metrics]').", class_="note")
        if missing
        else None,
    )


def _over_frames(files: Sequence[FileEvidence], metric: Metric, marks: Sequence[int]) -> Markup:
    values = [file.quality.values[metric.name] for file in files]
    count = len(values[0])
    size = -(-count // MOST_POINTS)
    lines = [(number, file.name, one) for number, (file, one) in enumerate(zip(files, values, strict=True))]
    stops = [
        Stop(
            start,
            None,
            f"frame {start}" if size == 1 else f"frames {start} to {min(start + size, count) - 1}",
            [(number, name, _several(metric.name, one[start : start + size])) for number, name, one in lines],
        )
        for start in range(0, count, size)
    ]
    low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    floor = [0.0] if metric.name == "flip" else []
    better = "Higher is better." if metric.is_better_high else "Lower is better."
    return chart(
        metric.title,
        f"{counted(count, 'frame')}, from {value_text(metric.name, low)} to {value_text(metric.name, high)}. "
        f"{better}",
        linear_axis("frame", [0, count - 1], whole=True),
        linear_axis(metric.unit or better.lower().rstrip("."), [low, high, *floor], 4),
        [_series(name, one, number, size) for number, name, one in lines],
        stops,
        marks,
    )


def _series(name: str, values: NDArray[np.float64], colour: int, size: int) -> Series:
    """One point per `size` frames, with the range of their values."""
    runs = [(start, values[start : start + size]) for start in range(0, len(values), size)]
    band = [(start, float(run.min()), float(run.max())) for start, run in runs] if size > 1 else []
    return Series(name, [(start, float(run.mean())) for start, run in runs], colour, band=band)


def _several(name: str, values: NDArray[np.float64]) -> str:
    mean = value_text(name, float(values.mean()))
    if len(values) == 1:
        return mean
    return f"{mean} ({value_text(name, float(values.min()))} to {value_text(name, float(values.max()))})"


def rate_section(evidence: Evidence) -> Markup | None:
    """The charts of each clip, one per metric, and its BD-rates; None without plots."""
    if not evidence.plots:
        return None
    pieces: list[Markup | None] = []
    for plot, rows in zip(evidence.plots, evidence.comparisons, strict=True):
        shown = [name for name in METRICS if any(point[name] is not None for point in _points(plot))]
        colours = _colours(plot, len(evidence.files))
        charts = [_rate_chart(plot, metric, colours, evidence.files) for metric in shown]
        names = [_contender(name, colours) for name in plot.curves]
        pieces += [element("h3", plot.title), legend(names), element("div", *charts, class_="charts")]
        if not plot.ours:
            said = (
                "These results have a different number of pixels than the files and are plotted separately."
            )
            pieces.append(element("p", said, class_="note"))
        pieces.append(_bd_table(rows))
    return joined(*pieces)


def _points(plot: RateCurves) -> list[dict[str, Any]]:
    return [point for curve in plot.curves.values() for point in curve]


def _colours(plot: RateCurves, file_count: int) -> dict[str, int]:
    """The colour of each curve: ours have that of their first file, and the others none of a file."""
    others = [name for name in plot.curves if name not in plot.ours]
    ours = {name: min(point["file_number"] for point in plot.curves[name]) for name in plot.ours}
    return {**ours, **{name: file_count + number for number, name in enumerate(others)}}


def _contender(name: str, colours: Mapping[str, int], places: Sequence[tuple[float, float]] = ()) -> Series:
    return Series(name, places, colours[name], bdrate.is_rival(name), has_dots=True)


def _rate_chart(
    plot: RateCurves, metric: str, colours: Mapping[str, int], files: Sequence[FileEvidence]
) -> Markup:
    """The curves by one metric; a dot of ours has the colour of its file."""
    series, dots, stops = [], [], []
    for name, curve in plot.curves.items():
        known = [point for point in curve if point[metric] is not None]
        if not known:
            continue
        places = [(point["bpp"], point[metric]) for point in known]
        series.append(_contender(name, colours, places))
        for place, point in zip(places, known, strict=True):
            colour, said = colours[name], name
            if name in plot.ours:
                colour = point["file_number"]
                said = files[colour].name
                dots.append(Series(said, [place], colour, has_dots=True))
            rows = [(colour, METRICS[metric], value_text(metric.removesuffix("_db"), place[1]))]
            stops.append(Stop(*place, f"{said}: {place[0]:.4f} bits per pixel", rows))
    stops.sort(key=lambda stop: stop.x)
    title, _, unit = METRICS[metric].partition(", ")
    return chart(
        title,
        f"{counted(len(series), 'contender')} at {counted(len(stops), 'rate')}.",
        logarithmic_axis("bits per pixel", [stop.x for stop in stops]),
        linear_axis(unit, [stop.y for stop in stops if stop.y is not None]),
        [*series, *dots],
        stops,
    )


def _bd_table(rows: Sequence[dict[str, Any]]) -> Markup:
    """One row per anchor, one column per model and metric."""
    if not rows:
        reason = (
            "a BD-rate needs two contenders with at least four points each whose ranges of quality overlap"
            if bdrate.is_installed()
            else "they need bjontegaard (pip install 'inrc[report]')"
        )
        return element("p", f"No BD-rates: {reason}.", class_="note")
    figures = {(row["anchor"], row["test"], row["metric"]): row["percent"] for row in rows}
    columns = list(dict.fromkeys((row["test"], row["metric"]) for row in rows))
    lines = []
    for anchor in dict.fromkeys(row["anchor"] for row in rows):
        cells = [figures.get((anchor, *column)) for column in columns]
        lines.append([anchor, *("–" if cell is None else f"{cell:+.1f} %" for cell in cells)])
    heads = [f"{test}, by {METRICS[metric].partition(',')[0]}" for test, metric in columns]
    said = (
        "BD-rate: difference in bits from the codec of the row at equal quality; negative means fewer bits."
    )
    return folded("BD-rates", table(["against", *heads], lines), element("p", said, class_="note"))


def fit_section(evidence: Evidence) -> Markup | None:
    """PSNR and estimated bits over the time of each fit; None without logs."""
    logs = [
        (number, file.name, file.log) for number, file in enumerate(evidence.files) if file.log is not None
    ]
    if not logs:
        return None
    found = [
        (place, f"{name}, segment {number + 1}" if len(log.segments) > 1 else name, points)
        for place, name, log in logs
        for number, points in enumerate(log.segments)
        if points
    ]
    # A file keeps its colour, unless it has several fits.
    is_one_each = all(len(log.segments) == 1 for _, _, log in logs)
    fits = [
        (place if is_one_each else number, name, points) for number, (place, name, points) in enumerate(found)
    ]
    if not fits:
        said = "The fits were too short for progress reports: there is no curve."
        return element("p", said, class_="note")
    shown = fits[:MOST_FITS]
    charts = [
        _fit_chart("PSNR", "dB", "psnr", [(*fit, [at.psnr_db for at in fit[2]]) for fit in shown]),
        _fit_chart(
            "Estimated rate",
            "bits per pixel",
            "bpp",
            [(*fit, [at.bpp for at in fit[2]]) for fit in shown],
        ),
    ]
    said = "Estimates of the fit itself, from before the file was coded and decoded."
    rest = (
        f" Only the first {len(shown)} of {len(fits)} segments are shown." if len(shown) < len(fits) else ""
    )
    return joined(
        legend([Series(name, (), colour) for colour, name, _ in shown]),
        element("div", *charts, class_="charts"),
        element("p", said + rest, class_="note"),
    )


def _fit_chart(
    title: str, unit: str, name: str, fits: Sequence[tuple[int, str, Sequence[FitPoint], Sequence[float]]]
) -> Markup:
    """A chart of one value over time; `fits` have colour, name, points and the value at each point."""
    series, stops = [], []
    for colour, fit, points, values in fits:
        series.append(
            Series(fit, [(at.seconds, one) for at, one in zip(points, values, strict=True)], colour)
        )
        for at, value in zip(points, values, strict=True):
            row = (colour, fit, value_text(name, value))
            stops.append(Stop(at.seconds, value, f"{at.seconds:,.1f} s, epoch {at.epochs:.3g}", [row]))
    stops.sort(key=lambda stop: stop.x)
    return chart(
        title,
        f"{counted(len(stops), 'point')} of {counted(len(fits), 'fit')}.",
        linear_axis("seconds of the fit", [0.0, *(stop.x for stop in stops)], whole=True),
        linear_axis(unit, [stop.y for stop in stops if stop.y is not None], 4),
        series,
        stops,
    )
