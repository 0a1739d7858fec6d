"""Compares rate-distortion curves: BD-rates, times, and a verdict of one plain sentence per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inrcodec.quality import bdrate
from inrcodec.quality.bdrate import METRICS, Curve

_PSNR, _MS_SSIM = METRICS
FURTHER = {"xpsnr_y": ("XPSNR of Y, dB", 2), "vmaf": ("VMAF", 2)}
"""Title and digits of metrics of points that have a BD-rate where they were asked for."""


@dataclass(frozen=True)
class Contender:
    """One of our models, or an ordinary codec with its preset, with its points by increasing rate."""

    name: str
    points: Curve
    """A `bdrate.Curve` whose points have the `seconds` of encoding too."""

    @property
    def is_rival(self) -> bool:
        return bdrate.is_rival(self.name)

    @property
    def mean_seconds(self) -> float:
        """Mean seconds of encoding over the points."""
        return float(np.mean([point["seconds"] for point in self.points]))


@dataclass(frozen=True)
class BdRate:
    """Mean difference of bits at equal quality; see `bdrate.bd_rate`."""

    percent: float | None
    """None if there are too few points, if the ranges of quality do not overlap, or without `bjontegaard`."""
    overlap: tuple[float, float] | None
    """Lowest and highest quality that both reach, in the metric's unit."""


@dataclass(frozen=True)
class Comparison:
    """One of our models compared with an ordinary codec."""

    test: str
    anchor: str
    psnr: BdRate
    ms_ssim: BdRate
    difference_db: float | None
    """PSNR of the model minus that of the other at equal bits, dB: the mean over the model's points whose
    rates lie within the other's range. None if no point does."""
    times_as_long: float
    """Mean encoding time of the model divided by that of the other."""
    further: Mapping[str, BdRate] = field(default_factory=dict)
    """By the metrics of `FURTHER` that were asked for."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "test": self.test,
            "anchor": self.anchor,
            "bd_rate_psnr_percent": self.psnr.percent,
            "overlap_psnr_db": self.psnr.overlap,
            "bd_rate_ms_ssim_percent": self.ms_ssim.percent,
            "overlap_ms_ssim": self.ms_ssim.overlap,
            "difference_db": self.difference_db,
            "times_as_long": self.times_as_long,
            **{f"bd_rate_{name}_percent": rate.percent for name, rate in self.further.items()},
            **{f"overlap_{name}": rate.overlap for name, rate in self.further.items()},
        }


def further_of(contenders: Sequence[Contender]) -> list[str]:
    """The metrics of `FURTHER` that all points have."""
    return [name for name in FURTHER if all(name in point for one in contenders for point in one.points)]


def compare_each(contenders: Sequence[Contender]) -> list[Comparison]:
    """Compare each model with every ordinary codec."""
    return [
        Comparison(
            test.name,
            anchor.name,
            _bd_rate(anchor.points, test.points, _PSNR),
            _bd_rate(anchor.points, test.points, _MS_SSIM),
            difference_db(anchor.points, test.points),
            test.mean_seconds / max(anchor.mean_seconds, 1e-6),
            {name: _bd_rate(anchor.points, test.points, name) for name in further_of(contenders)},
        )
        for test in contenders
        if not test.is_rival
        for anchor in contenders
        if anchor.is_rival
    ]


def _bd_rate(anchor: Curve, test: Curve, metric: str) -> BdRate:
    if not bdrate.is_installed():
        return BdRate(None, None)
    found = bdrate.bd_rate(anchor, test, metric)
    overlap = found["overlap"]
    return BdRate(found["percent"], None if overlap is None else (overlap[0], overlap[1]))


def difference_db(anchor: Curve, test: Curve) -> float | None:
    """Compute `Comparison.difference_db`.

    Between points of `anchor`, PSNR is interpolated linearly in the logarithm of bits.
    """
    rates = np.log([point["bpp"] for point in anchor])
    values = [point["psnr_db"] for point in anchor]
    differences = [
        point["psnr_db"] - float(np.interp(np.log(point["bpp"]), rates, values))
        for point in test
        if rates[0] <= np.log(point["bpp"]) <= rates[-1]
    ]
    return float(np.mean(differences)) if differences else None


def verdict(comparisons: Sequence[Comparison]) -> str:
    """The conclusion: one sentence per model, which states only what was measured."""
    tests = dict.fromkeys(one.test for one in comparisons)
    return " ".join(_sentence([one for one in comparisons if one.test == test]) for test in tests)


def _sentence(rows: Sequence[Comparison]) -> str:
    """The sentence on one model: bits for each BD-rate, otherwise PSNR if rates overlap; then the time."""
    by_bits = [one for one in rows if one.psnr.percent is not None]
    by_quality = [one for one in rows if one.psnr.percent is None and one.difference_db is not None]
    apart = [one for one in rows if one not in by_bits and one not in by_quality]
    parts = []
    if by_bits:
        said = [_bits(one.psnr.percent or 0.0, one.anchor, number == 0) for number, one in enumerate(by_bits)]
        parts.append(f"needs {listed(said)} for the same PSNR")
    if by_quality:
        parts.append(f"is {listed([_quality(one) for one in by_quality])} at the same bits")
    if apart:
        parts.append(f"has no rate in common with {listed([title(one.anchor) for one in apart])}")
    times = listed([times_text(one.times_as_long) for one in (*by_bits, *by_quality, *apart)])
    return f"On this clip {rows[0].test} {listed([*parts, f'takes {times} times as long to encode'])}."


def _bits(percent: float, anchor: str, is_first: bool) -> str:
    if round(abs(percent)) == 0:
        return f"as many bits as {title(anchor)}"
    more = "more" if percent > 0 else "fewer"
    return f"{abs(percent):,.0f} % {more}{' bits' if is_first else ''} than {title(anchor)}"


def _quality(row: Comparison) -> str:
    difference = row.difference_db or 0.0
    return f"{abs(difference):.2f} dB {'above' if difference > 0 else 'below'} {title(row.anchor)}"


def title(name: str) -> str:
    """A codec's name for display: `x265 medium` for `x265:medium`."""
    return name.replace("svtav1", "SVT-AV1").replace(":", " ")


def times_text(times: float) -> str:
    """Format a ratio of times: two significant digits below 10, whole numbers above."""
    return f"{times:,.0f}" if times >= 10 else f"{times:.2g}"


def listed(texts: Sequence[str]) -> str:
    """Join texts as `a`, `a and b` or `a, b and c`."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
