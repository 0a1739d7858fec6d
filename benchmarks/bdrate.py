"""BD-rates between curves of rate against distortion, and their plot.

The mean difference of rate at equal quality over the overlap of two curves (Bjontegaard, VCEG-M33), by
monotone cubic interpolation of the logarithm of the rate, through the library `bjontegaard`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

Curve = list[dict[str, Any]]
"""Points with `bpp`, `psnr_db` and `ms_ssim`, from the smallest rate up."""
METRICS = {"psnr_db": "PSNR, dB", "ms_ssim": "MS-SSIM"}
_LEAST_POINTS = 4


def bd_rate(anchor: Curve, test: Curve, metric: str) -> dict[str, Any]:
    """How many more bits `test` needs than `anchor`, percent, and the range of quality that both reach.

    `percent` is None where a curve has fewer than four points, or both have no quality in common. `points`
    counts what was used of each: a point no better than a smaller one is left out.
    """
    anchor, test = _rising(anchor, metric), _rising(test, metric)
    both = bool(anchor and test)
    low = max(anchor[0][metric], test[0][metric]) if both else 0.0
    high = min(anchor[-1][metric], test[-1][metric]) if both else 0.0
    percent = None
    if min(len(anchor), len(test)) >= _LEAST_POINTS and low < high:
        from bjontegaard import bd_rate as measured

        values = [[point[name] for point in curve] for curve in (anchor, test) for name in ("bpp", metric)]
        with warnings.catch_warnings():
            # A small overlap is printed beside the figure.
            warnings.simplefilter("ignore")
            percent = float(measured(*values, method="pchip", require_matching_points=False, min_overlap=0))
    overlap = [low, high] if low < high else None
    return {"percent": percent, "overlap": overlap, "points": [len(anchor), len(test)]}


def _rising(curve: Curve, metric: str) -> Curve:
    """The points that are better than every smaller one; a fit that failed would make no function of rate."""
    rising: Curve = []
    for point in curve:
        if point[metric] is not None and (not rising or point[metric] > rising[-1][metric]):
            rising.append(point)
    return rising


def is_rival(name: str) -> bool:
    """Whether a contender is an ordinary codec at a preset, as `x264:medium`."""
    return ":" in name


def compare_all(curves: dict[str, dict[str, Curve]]) -> list[dict[str, Any]]:
    """Every model against every other contender, clip by clip and by both metrics."""
    return [
        {"clip": clip, "test": model, "anchor": name, "metric": metric, **bd_rate(anchor, test, metric)}
        for clip, contenders in curves.items()
        for model, test in contenders.items()
        if not is_rival(model)
        for name, anchor in contenders.items()
        if name != model
        for metric in METRICS
    ]


def line(row: dict[str, Any]) -> str:
    """One comparison as a line of text."""
    name = f"{row['clip']:14} {row['test']:10} against {row['anchor']:14} {METRICS[row['metric']]:8}"
    if row["percent"] is None:
        is_short = min(row["points"]) < _LEAST_POINTS
        return f"{name}  no BD-rate: {'fewer than four points' if is_short else 'no quality in common'}"
    low, high = row["overlap"]
    return f"{name} {row['percent']:+8.1f} %  over {low:.4g} to {high:.4g}"


def draw(curves: dict[str, dict[str, Curve]], path: Path) -> None:
    """One panel for each clip and metric, with the rate on a logarithmic axis."""
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
        axes.set(title=clip, xlabel="bits a pixel", ylabel=METRICS[metric], xscale="log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)
