"""A few rounds of the soak test, which stops commands at random and restarts them until they finish."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.soak import Soak


@pytest.mark.slow
def test_what_is_stopped_at_random_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    random_rounds = Soak(tmp_path, seed=1)
    found = [random_rounds.run(number) for number in range(5)]
    assert [one.problems for one in found] == [[]] * 5
    assert any(one.stops for one in found)


def test_the_soak_sees_what_is_left_behind(tmp_path: Path) -> None:
    reference = tmp_path / "reference.inrv"
    reference.write_bytes(b"whole")
    folder = tmp_path / "round"
    folder.mkdir()
    output = folder / "out.inrv"

    def problems(has_earlier: bool, number: signal.Signals = signal.SIGTERM) -> list[str]:
        was_killed = number == signal.SIGKILL
        return list(soak.problems_after_stop(number, -number, output, reference, has_earlier, was_killed))

    assert problems(has_earlier=False) == []
    assert problems(has_earlier=True) == ["SIGTERM removes the earlier file"]
    (folder / ".out.inrv.partial").write_bytes(b"")
    assert problems(has_earlier=False) == ["SIGTERM leaves .out.inrv.partial"]
    assert problems(False, signal.SIGKILL) == []
    output.write_bytes(b"wh")
    assert problems(False, signal.SIGKILL) == ["SIGKILL leaves an incomplete output"]
    output.write_bytes(soak.EARLIER)
    assert problems(True, signal.SIGKILL) == []
    output.write_bytes(b"whole")
    assert problems(False, signal.SIGKILL) == []
