"""The arithmetic shared by all searches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.search import bracket, first_that, share_between, within


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=12), st.floats(-9, 9))
def test_a_bracket_holds_what_is_wanted(tried: list[tuple[float, float]], wanted: float) -> None:
    low, high = bracket(tried, wanted)
    assert (low is None) == all(value >= wanted for _, value in tried)
    assert (high is None) == all(value < wanted for _, value in tried)
    if low is not None:
        assert low[1] < wanted
        assert not [one for one in tried if one[1] < wanted and one[0] > low[0]]
    if high is not None:
        assert high[1] >= wanted
        assert not [one for one in tried if one[1] >= wanted and one[0] < high[0]]


def test_a_value_that_falls_leaves_a_bracket_the_wrong_way_round() -> None:
    assert bracket([(1.0, 30.0), (2.0, 20.0)], 25.0) == ((2.0, 20.0), (1.0, 30.0))


def test_a_share_stays_clear_of_the_ends() -> None:
    assert share_between(10, 20, 15) == 0.5
    assert share_between(20, 10, 18) == pytest.approx(0.2)
    assert share_between(10, 20, 10.1, inner=0.1) == 0.1
    assert share_between(10, 20, 19.9, inner=0.1) == 0.9
    assert (within(5, 1, 3), within(0, 1, 3), within(2, 1, 3)) == (3, 1, 2)


@given(st.integers(0, 300), st.integers(1, 300))
def test_the_first_number_is_found_in_few_trials(first: int, beyond: int) -> None:
    tried: list[int] = []

    def holds(number: int) -> bool:
        tried.append(number)
        return number >= first

    assert first_that(holds, -1, first + beyond) == first
    assert len(tried) <= 11
