"""The time of an `inrc` fit: its pace, filling the file before a deadline, and whole fits on a set clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from codec_samples import write_clip
from hypothesis import given
from hypothesis import strategies as st
from test_fit_grids import pan

import inrcodec
from bitstream import Section
from inrcodec.encoder import segment
from inrcodec.encoder.result import EncodeResult
from inrcodec.errors import NetworkTooLarge, TargetUnreachable
from inrcodec.fit.grids import fit, motion, motion_rounds, pace, refinement
from inrcodec.fit.grids.latents import LatentFit
from inrcodec.fit.grids.pace import (
    CHECK,
    FEWEST_REFINEMENTS,
    MOST_REFINEMENTS,
    RESERVED_TRIALS,
    Pace,
)
from inrcodec.fit.grids.step_search import Filled, Trial, fill
from inrcodec.fit.training.clock import StepClock, WallClock
from inrcodec.progress import Part, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system import deadline
from inrcodec.system.deadline import Deadline

# The pace


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def clock_of(patch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (pace, deadline):
        patch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_of(monkeypatch)


def paced_by(limit: Deadline, epochs: float, trial_seconds: float) -> Pace:
    """The pace of ten frames whose last trial took `trial_seconds`, three quarters of it for latents."""
    paced = Pace(limit, epochs, frame_count=10, step_share=0.5)
    paced.choosing.add(0.75 * trial_seconds)
    paced.coding.add(0.25 * trial_seconds)
    return paced


def announced(paced: Pace) -> tuple[float, float | None]:
    told: list[tuple[float, float | None]] = []
    part = Part(Silent(), expects=lambda seconds, epochs: told.append((seconds, epochs)))
    paced.begin(part, has_network=True)
    (only,) = told
    return only


@pytest.mark.parametrize(("epochs", "rounds"), [(0.5, FEWEST_REFINEMENTS), (7, 14), (600, MOST_REFINEMENTS)])
def test_a_fit_by_epochs_never_looks_at_the_clock(clock: Clock, epochs: float, rounds: int) -> None:
    paced = paced_by(Deadline(), epochs, 2.0)
    clock.now += 5
    assert paced.seconds == 5
    seconds, told = announced(paced)
    assert (seconds > 10 * 1.5, told) == (True, epochs)
    clock.now += 1e6
    assert not paced.is_late(100)
    assert paced.refining_rounds() == rounds
    assert paced.lasts(0.01)()
    network = paced.network_clock()
    assert isinstance(network, StepClock)
    assert network.total_steps == max(1, round(epochs * 10 / 4))
    assert paced.epochs(1) == epochs


def test_what_is_announced_grows_with_the_epochs(clock: Clock) -> None:
    told = []
    for epochs in (1, 10, 100):
        told.append(announced(paced_by(Deadline(), epochs, 1.0))[0])
    assert told == sorted(set(told))


def test_a_fit_by_time_leaves_what_coding_takes(clock: Clock) -> None:
    paced = paced_by(Deadline(100, clock.now), 7, 2.0)
    clock.now += 10
    assert announced(paced) == (90, None)
    assert paced.refining_rounds() == MOST_REFINEMENTS
    network = paced.network_clock()
    assert isinstance(network, WallClock)
    assert (network.deadline, network.reserve) == (clock.now + 90, (RESERVED_TRIALS + CHECK) * 2.0)
    # Ten steps of four frames are four passes over ten frames.
    assert paced.epochs(10) == 4
    # Three trials and the check take 8 seconds.
    clock.now += 81.9
    assert not paced.is_late(3)
    clock.now += 0.2
    assert paced.is_late(3)
    assert not paced.is_late(2)


def test_work_lasts_for_its_share_of_the_time_left(clock: Clock) -> None:
    paced = paced_by(Deadline(100, clock.now), 7, 2.0)
    clock.now += 60
    lasts = paced.lasts(0.25)
    clock.now += 9.9
    assert lasts()
    clock.now += 0.2
    assert not lasts()
    clock.now += 1000
    assert not paced.lasts(0.5)()


def test_a_slower_machine_counts_at_once_and_a_faster_one_by_a_third() -> None:
    cost = pace.Cost()
    for seconds, expected in ((1.0, 1.0), (7.0, 7.0), (1.0, 5.0), (2.0, 4.0)):
        cost.add(seconds)
        assert (cost.seconds, cost.last) == (expected, seconds)


def test_too_little_time_is_refused_and_enough_is_named(clock: Clock) -> None:
    with pytest.raises(TargetUnreachable, match="at least 14 seconds more"):
        announced(paced_by(Deadline(10, clock.now), 7, 8.0))
    assert announced(paced_by(Deadline(24, clock.now), 7, 8.0)) == (24, None)


def test_a_file_may_come_a_little_late_rather_than_not_at_all(clock: Clock) -> None:
    assert announced(paced_by(Deadline(10, clock.now), 7, 7.0)) == (14, None)
    late = paced_by(Deadline(20, clock.now), 7, 6.0)
    clock.now += 18
    assert announced(late) == (12, None)
    clock.now += 1
    with pytest.raises(TargetUnreachable):
        announced(late)


# Filling the file


class Coding:
    """Trials whose sizes follow a power law; records the steps tried."""

    def __init__(self, latent_bytes: float, others: int = 200) -> None:
        """Latents take `latent_bytes` at a step of 1; `others` is the number of constant bytes."""
        self._latent_bytes, self._others = latent_bytes, others
        self.steps: list[float] = []

    def __call__(self, step: float) -> Trial:
        self.steps.append(step)
        payload = bytes(int(self._latent_bytes * step**-1.4))
        return Trial((Section(0, (), payload),), len(payload) + self._others, -step)


def filled(coding: Coding, step: float, is_late: Callable[[int], bool]) -> int:
    return fill(coding, step, 10_000, 9_700, is_late, lambda *_: None).trial.size


@pytest.mark.parametrize("step", [0.2, 0.9, 1.0, 1.1, 5.0])
def test_the_bytes_are_filled_wherever_it_begins(step: float) -> None:
    assert 9_700 <= filled(Coding(9_000), step, lambda _: False) <= 10_000


def test_time_that_is_short_ends_it_when_the_file_is_full_enough() -> None:
    coding = Coding(9_600)
    # The first step fills 98 %, which is only enough for a fit that is late.
    assert filled(coding, 1.0, lambda passes: passes > 0) == 9_800
    assert coding.steps == [1.0]
    coding = Coding(6_000)
    assert filled(coding, 1.0, lambda passes: passes > 0) >= 9_700
    assert len(coding.steps) > 1
    coding = Coding(6_000)
    assert filled(coding, 1.0, lambda _: True) == 6_200
    assert coding.steps == [1.0]


def test_what_does_not_fit_leaves_a_margin_when_it_is_late() -> None:
    for latent_bytes in (9_802, 11_000, 20_000):
        coding = Coding(latent_bytes)
        assert 8_000 <= filled(coding, 1.0, lambda _: True) <= 10_000
        # A step that aims at 99 % could miss once more.
        assert coding.steps[1] >= (0.98 * 10_000 / (latent_bytes + 200)) ** (-1 / 1.4)


def test_sizes_that_lag_behind_the_step_fit_in_the_end() -> None:
    """Choices depend on earlier ones, so a coarser step may take as many bytes as a finer one."""

    def code(step: float) -> Trial:
        return trial_of(10_050 if step < 1.5 else round(14_500 * step**-1.4), -step)

    found = fill(code, 1.0, 10_000, 9_700, lambda _: False, lambda *_: None)
    assert found.trial.size <= 10_000


def test_what_never_fits_says_how_small_it_gets() -> None:
    with pytest.raises(NetworkTooLarge) as caught:
        filled(Coding(0, others=12_000), 1.0, lambda _: False)
    assert caught.value.least_bytes == 12_000


def trial_of(size: int, psnr_db: float = 30.0) -> Trial:
    return Trial((Section(0, (), bytes(size)),), size, psnr_db)


def test_why_a_file_is_short_is_known() -> None:
    for ran_out, reason in ((True, "time"), (False, "model")):
        assert Filled(trial_of(960), ran_out).short_of(970) == reason
        assert Filled(trial_of(970), ran_out).short_of(970) is None


def test_a_kept_trial_stands_in_for_one_that_does_not_fill_the_file() -> None:
    kept = trial_of(9_900, psnr_db=99.0)
    never = fill(Coding(9_000), 1.0, 10_000, 9_700, lambda _: True, lambda *_: None, kept)
    assert never.trial is kept
    fuller = fill(Coding(9_000), 1.0, 10_000, 9_700, lambda _: False, lambda *_: None, kept)
    assert fuller.trial is not kept and 9_700 <= fuller.trial.size <= 10_000
    too_large = fill(Coding(0, others=12_000), 1.0, 10_000, 9_700, lambda _: False, lambda *_: None, kept)
    assert too_large.trial is kept


@given(
    speeds=st.lists(st.floats(0.3, 6), min_size=12, max_size=12),
    seconds=st.floats(0.5, 40),
    latent_bytes=st.floats(2_000, 40_000),
)
def test_at_any_speed_the_promise_is_kept_or_time_is_named(
    speeds: list[float], seconds: float, latent_bytes: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = clock_of(patch)
        paced = paced_by(Deadline(seconds, clock.now), 1, 1.0)
        coding, left = Coding(latent_bytes), iter(speeds)

        def code(step: float) -> Trial:
            with paced.choosing.timed():
                clock.now += next(left)
            return coding(step)

        done = fill(code, 1.0, 10_000, 9_700, paced.is_late, lambda *_: None)
        assert done.trial.size <= 10_000
        reason = done.short_of(9_700)
        assert reason != "model"
        if reason == "time":
            # Not even the check has time now.
            assert paced.is_late(0)
        kept, before = done.trial, len(coding.steps)
        again = fill(code, 1.0, 10_000, 9_700, lambda _: True, lambda *_: None, kept)
        assert (again.trial, len(coding.steps)) == (kept, before)


# Whole fits


SIZE = 3000


class Machine:
    """A machine whose work takes set times: `speed` gives the factor on them at a time since the start."""

    def __init__(self, patch: pytest.MonkeyPatch, speed: Callable[[float], float]) -> None:
        self._patch, self._speed = patch, speed
        self.now = self.started = 1000.0
        patch.setattr("time.monotonic", lambda: self.now)
        # Few rounds, because they only take real time.
        for module, name, rounds in (
            (motion_rounds, "ROUNDS_A_TURN", 1),
            (motion_rounds, "ENTROPY_ROUNDS", 2),
            (motion_rounds, "NODE_SEARCHES", 1),
            (fit, "FIRST_ROUNDS", 6),
            (fit, "ENTROPY_ROUNDS", 2),
        ):
            patch.setattr(module, name, rounds)
        patch.setattr(pace, "MOST_REFINEMENTS", 4)
        self.slow(LatentFit, "code", 1.0)
        self.slow(fit, "encode_contextual", 0.5)
        self.slow(segment, "_decoded_psnr_db", 1.0)
        self.slow(motion, "search", 0.5)
        self.slow(motion.MotionFit, "refine", 1.0)
        self.slow(motion.MotionFit, "search_nodes", 1.0)
        self.slow(refinement, "cosine_with_warmup", 1.0)

    @property
    def passed(self) -> float:
        return self.now - self.started

    def slow(self, owner: Any, name: str, seconds: float) -> None:
        """Let a function take this time, too."""
        plain = getattr(owner, name)

        def slowed(*arguments: Any, **named: Any) -> Any:
            self.now += seconds * self._speed(self.passed)
            return plain(*arguments, **named)

        self._patch.setattr(owner, name, slowed)


def timed(
    patch: pytest.MonkeyPatch,
    folder: Path,
    seconds: float,
    speed: Callable[[float], float],
    width: str = "8",
) -> Any:
    """An encode of six frames to `SIZE` bytes within `seconds`; returns the machine and the result."""
    source = write_clip(folder / "clip.mp4", pan(48, 32, 6))
    asked = EncodeSettings(
        size_bytes=SIZE, time_seconds=seconds, device="cpu", model_options={"width": width}
    )
    machine = Machine(patch, speed)
    limit = Deadline(seconds, machine.now)
    result: EncodeResult = inrcodec.encode(str(source), folder / "out.inrv", asked, deadline=limit)
    return machine, result


SPEEDS: dict[str, Callable[[float], float]] = {
    "steady": lambda _: 1.0,
    "slows down": lambda passed: 1.0 if passed < 20 else 2.0,
    "recovers": lambda passed: 2.0 if passed < 15 else 0.5,
    "varies": lambda passed: 1.2 + 0.6 * math.sin(passed),
}


@pytest.mark.parametrize("speed", SPEEDS)
def test_a_fit_fills_its_size_and_its_time_at_any_speed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speed: str
) -> None:
    machine, result = timed(monkeypatch, tmp_path, 40.0, SPEEDS[speed])
    assert 0.97 * SIZE <= result.file_bytes <= SIZE
    assert result.short_of_size is None
    assert 0.85 * 40 <= machine.passed <= 40


@pytest.mark.parametrize("speed", SPEEDS)
def test_without_a_network_time_that_trials_leave_improves_the_motion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speed: str
) -> None:
    # The clip is small, and seldom gains after its first refinements.
    monkeypatch.setattr(fit, "TRIES_AGAIN", 100)
    last: list[str] = []
    for name in ("refine", "search_nodes"):
        plain = getattr(motion.MotionFit, name)

        def told(*arguments: Any, name: str = name, plain: Any = plain) -> Any:
            last.append(name)
            return plain(*arguments)

        monkeypatch.setattr(motion.MotionFit, name, told)
    machine, result = timed(monkeypatch, tmp_path, 40.0, SPEEDS[speed], width="0")
    assert 0.97 * SIZE <= result.file_bytes <= SIZE
    assert 0.85 * 40 <= machine.passed <= 40
    # Motion that was rounded after refinement by gradients is searched before it is coded.
    assert last[0] == last[-1] == "search_nodes"


def test_a_fit_ends_before_its_time_where_nothing_is_gained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refine(self: motion.MotionFit, rounds: int, *others: Any) -> None:
        *_, goes_on = others
        for _ in range(rounds):
            goes_on()

    monkeypatch.setattr(motion.MotionFit, "search_nodes", lambda *_: None)
    monkeypatch.setattr(motion.MotionFit, "refine", refine)
    machine, result = timed(monkeypatch, tmp_path, 400.0, SPEEDS["steady"], width="0")
    assert 0.97 * SIZE <= result.file_bytes <= SIZE
    assert machine.passed < 200


def test_refinement_leaves_time_for_a_search_and_for_trials(clock: Clock) -> None:
    assert paced_by(Deadline(), 7, 2.0).rounds_until(math.inf, 5) >= MOST_REFINEMENTS
    paced = paced_by(Deadline(100, clock.now), 7, 2.0)
    paced.refining.add(0.5)
    paced.searching.add(0.8)
    # Ten frames take 8 seconds to search, and five trials with the check 12.
    assert paced.rounds_until(math.inf, 5) == 160
    assert paced.rounds_until(paced.end_of(0.25), 5) == 50
    clock.now += 81
    assert paced.rounds_until(math.inf, 5) == 0


def test_a_machine_that_nearly_stops_still_leaves_the_early_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, result = timed(monkeypatch, tmp_path, 40.0, lambda passed: 1.0 if passed < 25 else 25.0)
    assert 0.97 * SIZE <= result.file_bytes <= SIZE
    assert result.short_of_size is None
    assert machine.passed <= 40 + 2 * 25.0


def test_a_file_that_time_left_short_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Pace, "is_late", lambda self, trials: True)
    _, result = timed(monkeypatch, tmp_path, 40.0, lambda _: 1.0)
    assert result.file_bytes < 0.97 * SIZE
    assert result.short_of_size == "time"
    assert result.as_dict()["short_of_size"] == "time"


@pytest.mark.parametrize(("epochs", "turns"), [(0.5, 0), (72, 0), (95, 0), (96, 1), (150, 3), (6000, 24)])
def test_long_fits_take_further_turns(clock: Clock, epochs: float, turns: int) -> None:
    assert paced_by(Deadline(), epochs, 2.0).further_turns() == turns
    assert paced_by(Deadline(100, clock.now), epochs, 2.0).further_turns() == 24
