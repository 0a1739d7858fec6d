"""Clocks and the learning rate: they go from start to end at any speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.fit.training import clock as clocks
from inrcodec.fit.training.clock import (
    MOST_SLOWDOWN,
    StepClock,
    WallClock,
    cosine_with_warmup,
    rate_boost,
)


def test_a_step_clock_counts_steps() -> None:
    clock = StepClock(40)
    assert [clock.fraction(step) for step in (0, 10, 40)] == [0.0, 0.25, 1.0]
    assert clock.seconds_left(10, 3.0) == 10.0
    assert clock.seconds_left(10, 0.0) > 1e6


def test_a_wall_clock_runs_from_its_start_to_its_deadline() -> None:
    now = time.monotonic()
    assert WallClock(now + 1000, started=now - 1000).fraction(0) == pytest.approx(0.5, abs=0.01)
    assert WallClock(now + 1000).fraction(999) < 0.01
    assert WallClock(now + 1000).seconds_left(0, 1.0) == pytest.approx(1000, abs=10)


def test_a_deadline_that_has_passed_ends_the_fit() -> None:
    now = time.monotonic()
    for clock in (WallClock(now - 1, started=now - 5), WallClock(now - 5, started=now), WallClock(now, now)):
        assert clock.fraction(0) == 1.0
        assert clock.seconds_left(0, 1.0) == 0.0


def run_of(
    speed: Callable[[float], float], seconds: float, reserve: float, step_seconds: float
) -> tuple[list[float], float]:
    """Fractions of a fit on a set clock whose steps take `speed` seconds, and the seconds left at its end."""
    with pytest.MonkeyPatch.context() as patch:
        now = 0.0
        patch.setattr(clocks, "time", SimpleNamespace(monotonic=lambda: now))
        clock, step, fractions = WallClock(seconds, 0.0, step_seconds, reserve), 0, [0.0]
        while fractions[-1] < 1:
            now += speed(now)
            step += 1
            fractions.append(clock.fraction(step))
        return fractions, seconds - now


@pytest.mark.parametrize("step_seconds", [0.0, 1.0])
@pytest.mark.parametrize(("factor", "reserved"), [(1.0, 1.0), (3.0, 3.0), (0.2, 1.0), (100.0, MOST_SLOWDOWN)])
def test_the_reserve_grows_when_steps_become_slower(
    step_seconds: float, factor: float, reserved: float
) -> None:
    fractions, left = run_of(lambda now: 1.0 if now < 50 else factor, 5000, 100, step_seconds)
    assert fractions == sorted(fractions)
    assert left == pytest.approx(100 * reserved, abs=factor)


@given(speeds=st.lists(st.floats(0.1, 10), min_size=1, max_size=20), reserve=st.floats(0, 100))
def test_no_speed_turns_the_schedule_back_or_uses_the_reserve(speeds: list[float], reserve: float) -> None:
    fractions, left = run_of(lambda now: speeds[int(now) % len(speeds)], 1000, reserve, 0.0)
    assert fractions == sorted(fractions)
    assert left >= reserve - max(speeds)


def test_a_fit_goes_on_at_its_fraction_and_keeps_its_reserve() -> None:
    clock = WallClock(time.monotonic() + 1000, reserve=400)
    clock.continue_from(0.5)
    assert clock.fraction(100) == pytest.approx(0.5, abs=0.01)
    assert clock.seconds_left(100, 1.0) == pytest.approx(600, abs=10)
    clock.continue_from(1.0)
    assert clock.fraction(100) == 1.0


def test_the_learning_rate_warms_up_and_then_only_falls() -> None:
    factors = [cosine_with_warmup(step / 1000) for step in range(1001)]
    peak = factors.index(max(factors))
    assert factors[peak] == pytest.approx(1.0, abs=1e-3)
    assert 0 < peak < 200
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] < 0.1


@given(st.floats(0, 1))
def test_the_learning_rate_is_never_zero_and_never_above_the_preset(fraction: float) -> None:
    assert 0 < cosine_with_warmup(fraction) <= 1


def test_rates_are_the_higher_the_fewer_steps_there_are() -> None:
    boosts = [rate_boost(steps, 600.0) for steps in (0.0, 1.0, 30.0, 100.0, 300.0, 600.0, 1e4, math.inf)]
    assert boosts == sorted(boosts, reverse=True)
    assert boosts[0] == boosts[1] and boosts[2] > 2 * boosts[4] > 2
    assert boosts[-3:] == [1.0, 1.0, 1.0]
    assert rate_boost(1.0, 0.0) == 1.0
