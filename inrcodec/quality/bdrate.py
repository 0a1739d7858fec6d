"""BD-rates between rate-distortion curves.

A BD-rate is the mean difference of rate at equal quality over the overlap of two curves (Bjontegaard,
VCEG-M33). The library `bjontegaard` computes it by monotone cubic interpolation of the logarithm of the rate.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

Curve = list[dict[str, Any]]
"""Points with `bpp`, `psnr_db` and `ms_ssim`, by increasing rate."""
METRICS = {"psnr_db": "PSNR, dB", "ms_ssim": "MS-SSIM"}
LEAST_POINTS = 4
_LIBRARY = "bjontegaard"


def is_installed() -> bool:
    """Whether the library that `bd_rate` needs is installed."""
    return find_spec(_LIBRARY) is not None


def bd_rate(anchor: Curve, test: Curve, metric: str) -> dict[str, Any]:
    """How many more bits `test` needs than `anchor`, in percent, and the range of quality that both reach.

    `percent` is negative for fewer bits, and None if a curve has fewer than four points or if the ranges of
    quality do not overlap. `points` counts the points used of each curve: points that are no better than a
    smaller one are left out.
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
            # The library warns of a small overlap, which is reported beside the figure anyway.
            warnings.simplefilter("ignore")
            percent = float(measured(*values, method="pchip", require_matching_points=False, min_overlap=0))
    overlap = [low, high] if low < high else None
    return {"percent": percent, "overlap": overlap, "points": [len(anchor), len(test)]}


def _rising(curve: Curve, metric: str) -> Curve:
    """The points that are better than every smaller one.

    After a failed fit, quality may fall as the rate rises; interpolation needs rising curves.
    """
    rising: Curve = []
    for point in curve:
        if point[metric] is not None and (not rising or point[metric] > rising[-1][metric]):
            rising.append(point)
    return rising


def is_rival(name: str) -> bool:
    """Whether `name` is an ordinary codec with its preset, such as `x264:medium`; options may follow it."""
    return ":" in name.split()[0]


def compare_all(curves: Mapping[str, Mapping[str, Curve]]) -> list[dict[str, Any]]:
    """Compare each model with every other contender, for each clip and metric."""
    return [
        {"clip": clip, "test": model, "anchor": name, "metric": metric, **bd_rate(anchor, test, metric)}
        for clip, contenders in curves.items()
        for model, test in contenders.items()
        if not is_rival(model)
        for name, anchor in contenders.items()
        if name != model
        for metric in METRICS
    ]
