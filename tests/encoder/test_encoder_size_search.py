"""Sizes that a search for a quality tries, for known curves of quality over size."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.encoder.size_search import (
    PSNR_SCALE,
    VMAF_SCALE,
    Point,
    Scale,
    SizeSearch,
    is_flat,
    next_size,
    slope,
)

Curve = Callable[[int], float]


def searched(
    target: float, fit: Curve, trial: Curve | None = None, least: int = 1, scale: Scale = PSNR_SCALE
) -> SizeSearch:
    """A finished search."""
    search = SizeSearch(target, scale, 10_000, 10_000_000, most_trials=3 if trial else 0, most_fits=7)
    for sizes, curve, points in (
        (search.of_trials(), trial, search.trials),
        (search.of_fits(), fit, search.fits),
    ):
        for size in sizes:
            assert curve is not None
            if size < least:
                size = search.least_bytes = least
            points.append(Point(size, curve(size)))
    return search


def line(at_10k: float, slope: float) -> Curve:
    return lambda size: at_10k + slope * math.log2(size / 10_000)


@given(st.floats(25, 40), st.floats(-2, 8), st.floats(1.5, 6), st.floats(-1, 4))
def test_a_line_is_met_closely(target: float, doublings: float, slope: float, gain: float) -> None:
    at_10k = target - doublings * slope
    fit = line(at_10k, slope)
    for search in (searched(target, fit), searched(target, fit, line(at_10k - gain, slope))):
        best = min(one.quality for one in search.fits if one.quality >= target)
        assert best <= target + PSNR_SCALE.close
        # Only the last fit is close: the search ends there.
        assert not any(target <= one.quality <= target + PSNR_SCALE.close for one in search.fits[:-1])


def test_a_curve_that_bends_is_met_too() -> None:
    search = searched(33, lambda size: 40 - 3e4 / math.sqrt(size) / 15, lambda size: 35 - 30 / size**0.2)
    assert 33 <= search.fits[-1].quality <= 33 + PSNR_SCALE.close
    assert len(search.trials) <= 3


def test_trials_save_full_fits() -> None:
    fit, trial = line(20, 3), line(17, 3)
    assert len(searched(32, fit, trial).fits) == 1 < len(searched(32, fit).fits)


def test_the_first_fit_is_not_much_larger_than_the_largest_trial() -> None:
    search = searched(35, line(33, 3), line(17, 3))
    assert [one.size_bytes for one in search.trials] == [10_000, 40_000, 160_000]
    assert search.fits[0].size_bytes == 240_000
    assert 35 <= search.fits[-1].quality <= 35 + PSNR_SCALE.close


def test_a_curve_that_ends_is_left_early() -> None:
    search = searched(40, lambda size: min(30.0, line(25, 3)(size)))
    assert len(search.fits) < 7
    assert max(one.quality for one in search.fits) == 30
    assert search.is_settled()


def test_nothing_is_tried_beyond_the_bounds() -> None:
    assert max(one.size_bytes for one in searched(60, line(20, 3)).fits) == 10_000_000
    search = searched(20, line(30, 3), least=4_000)
    assert [one.size_bytes for one in search.fits] == [10_000, 4_000]
    assert search.is_settled()


def test_the_next_size_lies_between_those_around_the_aim() -> None:
    points = [Point(1000, 20.0), Point(4000, 30.0)]
    assert next_size(points, 25, PSNR_SCALE) == 2000
    assert 1000 < next_size(points, 20.01, PSNR_SCALE) < 1200
    assert 3400 < next_size(points, 29.99, PSNR_SCALE) < 4000
    # A larger fit with a lower PSNR does not send the search below its size.
    assert next_size([*points, Point(6000, 24.0)], 25, PSNR_SCALE) > 6000


def test_slopes_are_measured_within_reason() -> None:
    assert slope([Point(1000, 20.0)], 25, PSNR_SCALE) == PSNR_SCALE.usual_slope
    assert slope([Point(1000, 20.0), Point(2000, 24.0)], 25, PSNR_SCALE) == pytest.approx(4)
    assert slope([Point(1000, 20.0), Point(2000, 19.0)], 25, PSNR_SCALE) == PSNR_SCALE.least_slope
    assert slope([Point(1000, 20.0), Point(1001, 21.0)], 25, PSNR_SCALE) == PSNR_SCALE.most_slope


def test_flat_is_what_gains_nothing() -> None:
    assert not is_flat([], PSNR_SCALE)
    assert not is_flat([Point(1000, 20.0)], PSNR_SCALE)
    assert not is_flat([Point(1000, 20.0), Point(1900, 19.0)], PSNR_SCALE)
    assert not is_flat([Point(1000, 20.0), Point(2000, 21.0)], PSNR_SCALE)
    assert is_flat([Point(2000, 20.05), Point(1000, 20.0)], PSNR_SCALE)


@given(st.floats(50, 97), st.floats(-2, 6), st.floats(0.3, 2), st.floats(0, 2))
def test_a_quality_that_saturates_is_met_closely(
    target: float, doublings: float, slope: float, gain: float
) -> None:
    """VMAF bends towards 0 and 100: its log odds rise with the logarithm of the size."""

    def curve(size: int, less: float = 0.0) -> float:
        odds = target / (100 - target) * 2 ** (slope * (math.log2(size / 10_000) - doublings) - less)
        return 100 * odds / (1 + odds)

    for search in (
        searched(target, curve, scale=VMAF_SCALE),
        searched(target, curve, lambda size: curve(size, gain), scale=VMAF_SCALE),
    ):
        best = min(one.quality for one in search.fits if one.quality >= target)
        assert best <= target + VMAF_SCALE.close


def test_files_at_the_end_of_the_scale_do_not_end_a_search() -> None:
    """Two files of VMAF 0 gain nothing over each other, and the third is good."""
    search = searched(80, lambda size: min(95.0, max(0.0, line(-35, 16)(size))), scale=VMAF_SCALE)
    assert [one.quality for one in search.fits[:2]] == [0, 0]
    assert max(one.quality for one in search.fits) >= 80
