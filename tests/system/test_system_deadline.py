"""Deadlines: shares of the time left, and copies sent to other processes."""

from __future__ import annotations

import math
import pickle
import time

import pytest

from inrcodec.system.deadline import LEAST_SECONDS, Deadline


def test_without_a_limit_there_is_always_time() -> None:
    never = Deadline()
    sent = pickle.loads(pickle.dumps(never))
    for one in (never, never.share(0.1), never.at_most(5), never.less(100), sent):
        assert not one.is_limited
        assert one.ends == one.left == math.inf


def test_what_is_left_runs_from_the_start() -> None:
    assert Deadline(60, time.monotonic() - 20).left == pytest.approx(40, abs=1)
    assert Deadline(60, time.monotonic() - 80).left == pytest.approx(-20, abs=1)


def test_a_share_begins_now_and_is_never_nothing() -> None:
    whole = Deadline(60, time.monotonic() - 20)
    half = whole.share(0.5)
    assert half.seconds == pytest.approx(20, abs=1)
    assert half.left == pytest.approx(20, abs=1)
    assert Deadline(1, time.monotonic() - 5).share(0.5).seconds == LEAST_SECONDS


def test_equal_shares_of_what_is_left_are_equal() -> None:
    whole = Deadline(90, time.monotonic() - 30)
    first = whole.share(1 / 3)
    assert first.seconds == pytest.approx(20, abs=1)
    # The first share is used up, so two equal shares are left.
    later = Deadline(90, time.monotonic() - 50)
    assert later.share(1 / 2).seconds == pytest.approx(20, abs=1)


def test_no_part_ends_after_the_whole() -> None:
    whole = Deadline(60, time.monotonic() - 20)
    assert whole.at_most(10).seconds == 10
    assert whole.at_most(1000).ends == pytest.approx(whole.ends, abs=1)
    assert whole.less(15).left == pytest.approx(25, abs=1)


def test_it_ends_at_the_same_moment_elsewhere() -> None:
    sent = Deadline(60, time.monotonic() - 20)
    received = pickle.loads(pickle.dumps(sent))
    assert received.seconds == 60
    assert received.ends == pytest.approx(sent.ends, abs=0.5)
