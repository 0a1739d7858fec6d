"""BD-rates between curves of rate against distortion.

The mean difference of rate at equal quality over the overlap of two curves (Bjontegaard, VCEG-M33), by
monotone cubic interpolation of the logarithm of the rate, through the library `bjontegaard`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

Curve = list[dict[str, Any]]
"""Points with `bpp`, `psnr_db` and `ms_ssim`, from the smallest rate up."""
METRICS = {"psnr_db": "PSNR, dB", "ms_ssim": "MS-SSIM"}
LEAST_POINTS = 4
_LIBRARY = "bjontegaard"


def is_installed() -> bool:
    """Whether the library is there that `bd_rate` needs."""
    return find_spec(_LIBRARY) is not None


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
    if min(len(anchor), len(test)) >= LEAST_POINTS and low < high:
        from bjontegaard import bd_rate as measured

        values = [[point[name] for point in curve] for curve in (anchor, test) for name in ("bpp", metric)]
        with warnings.catch_warnings():
            # A small overlap is told beside the figure.
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
    """Whether a contender is an ordinary codec at a preset, as `x264:medium`, whatever options follow."""
    return ":" in name.split()[0]


def compare_all(curves: Mapping[str, Mapping[str, Curve]]) -> list[dict[str, Any]]:
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
