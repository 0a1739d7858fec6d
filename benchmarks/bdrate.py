"""Formats BD-rates of `inrcodec.quality.bdrate` as text and plots their rate-distortion curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inrcodec.quality.bdrate import LEAST_POINTS, METRICS, Curve, is_rival


def line(row: dict[str, Any]) -> str:
    """One comparison as a line of text."""
    name = f"{row['clip']:14} {row['test']:10} against {row['anchor']:14} {METRICS[row['metric']]:8}"
    if row["percent"] is None:
        is_short = min(row["points"]) < LEAST_POINTS
        return f"{name}  no BD-rate: {'fewer than four points' if is_short else 'no overlap in quality'}"
    low, high = row["overlap"]
    return f"{name} {row['percent']:+8.1f} %  over {low:.4g} to {high:.4g}"


def draw(curves: dict[str, dict[str, Curve]], path: Path) -> None:
    """Plot one panel per clip and metric, with bits per pixel on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    shown = [
        (clip, metric)
        for clip in curves
        for metric in METRICS
        if any(point[metric] is not None for curve in curves[clip].values() for point in curve)
    ]
    figure = Figure(figsize=(6.5 * len(shown), 5), layout="constrained")
    panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for axes, (clip, metric) in zip(panels, shown, strict=False):
        for name, curve in curves[clip].items():
            ordinary = is_rival(name)
            measured = [point for point in curve if point[metric] is not None]
            axes.plot(
                [point["bpp"] for point in measured],
                [point[metric] for point in measured],
                marker="." if ordinary else "o",
                linestyle="--" if ordinary else "-",
                linewidth=1 if ordinary else 2,
                label=name,
            )
        axes.set(title=clip, xlabel="bits per pixel", ylabel=METRICS[metric], xscale="log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)
