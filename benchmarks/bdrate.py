"""Formats BD-rates of `inrcodec.quality.bdrate` as text and plots their rate-distortion curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inrcodec.quality.bdrate import METRICS, Curve, is_rival


def standings(curves: Mapping[str, Mapping[str, Curve]], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the comparisons `rows` of `compare_all(curves)` as text: a table a pair, worst clip first.

    Seconds are means over the points of a curve, ours then the other's.
    """
    pairs = dict.fromkeys((row["test"], row["anchor"]) for row in rows)
    for test, anchor in pairs:
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in rows:
            if (row["test"], row["anchor"]) == (test, anchor):
                found.setdefault(row["clip"], {})[row["metric"]] = row
        yield f"BD-rate of {test} against {anchor}, worst first; mean seconds of both"
        names = "".join(f"{name.removesuffix(', dB'):>11}" for name in METRICS.values())
        yield f"  {'clip':16}{names}  {'PSNR overlap, dB':>16}  {'encode, s':>15}  {'decode, s':>15}"
        for clip in sorted(found, key=lambda clip: _badness(found[clip])):
            percents = "".join(f"{_percent(found[clip][metric]['percent']):>11}" for metric in METRICS)
            overlap = found[clip]["psnr_db"]["overlap"]
            both = curves[clip][test], curves[clip][anchor]
            times = (
                " / ".join(f"{_mean_seconds(curve, name):>6}" for curve in both)
                for name in ("seconds", "decode_seconds")
            )
            said = "none" if overlap is None else "{:.2f} to {:.2f}".format(*overlap)
            yield f"  {clip:16}{percents}  {said:>16}  {'  '.join(f'{one:>15}' for one in times)}"
        if len(found) > 1:
            means = (_mean([by[metric]["percent"] for by in found.values()]) for metric in METRICS)
            yield f"  {f'mean of {len(found)}':16}{''.join(f'{_percent(mean):>11}' for mean in means)}"


def _badness(by_metric: Mapping[str, Mapping[str, Any]]) -> float:
    """Minus the percent by PSNR; a clip without a figure comes first."""
    percent = by_metric["psnr_db"]["percent"]
    return -math.inf if percent is None else -float(percent)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, or None if a value is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:+.1f} %"


def _mean_seconds(curve: Curve, name: str) -> str:
    mean = _mean([point.get(name) for point in curve])
    return "-" if mean is None else f"{mean:.2f}"


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
