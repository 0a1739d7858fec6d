"""Parts of the fit of `inrc`: the search for a quantisation step, its pace, and pruning of motion."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from test_fit_grids import pan

from bitstream import Section
from inrcodec.errors import NetworkTooLarge, TargetUnreachable
from inrcodec.fit.grids import pace
from inrcodec.fit.grids.block_search import finest_scale
from inrcodec.fit.grids.motion import MotionFit, searched_field, to_grids
from inrcodec.fit.grids.pace import FEWEST_REFINEMENTS, MOST_REFINEMENTS, REFINING_SHARE, RESERVE, Pace
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.step_search import LARGEST_CHANGE, LATE_FACTOR, StepSearch, Trial, fill
from inrcodec.fit.training.clock import StepClock, WallClock
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.progress import Part, Silent
from inrcodec.system import deadline
from inrcodec.system.deadline import Deadline

# The search for a quantisation step


def searched(
    size_of: dict[str, float], first: float, target: float, trials: int, noise: float
) -> list[float]:
    """Sizes at the steps tried: scale x step^-power, with a relative error up to `noise` in each trial."""
    search, step, sizes = StepSearch(), first, []
    for trial in range(trials):
        size = size_of["scale"] * step ** -size_of["power"] * (1 + noise * math.sin(7.3 * trial))
        sizes.append(size)
        search.add(step, size)
        step = search.next(target)
    return sizes


@given(
    power=st.floats(0.5, 4),
    best=st.floats(1e-3, 1e3),
    off=st.floats(1 / 30, 30),
    target=st.floats(1e6, 1e9),
)
def test_power_laws_are_met(power: float, best: float, off: float, target: float) -> None:
    law = {"scale": target * best**power, "power": power}
    sizes = searched(law, off * best, target, 16, 0)
    assert min(abs(math.log(size / target)) for size in sizes) < 0.005


@given(
    power=st.floats(0.7, 3),
    change=st.floats(-0.7, 0.7),
    target=st.floats(1e3, 1e9),
)
def test_a_first_step_that_is_nearly_right_takes_few_trials(
    power: float, change: float, target: float
) -> None:
    sizes = searched({"scale": target, "power": power}, math.exp(change), target, 5, 0)
    assert min(abs(math.log(size / target)) for size in sizes) < 0.01


@given(power=st.floats(0.7, 3), first=st.floats(1 / 30, 30), target=st.floats(1e6, 1e9))
def test_laws_that_change_from_trial_to_trial_are_met_about(
    power: float, first: float, target: float
) -> None:
    sizes = searched({"scale": target, "power": power}, first, target, 16, 0.04)
    assert min(abs(math.log(size / target)) for size in sizes) < 0.1


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(0, 1e12)), min_size=1, max_size=12),
    st.floats(-1e9, 1e12),
)
@example([(1.0, 100.0), (2.0, 300.0)], 200.0)
@example([(1.0, 100.0), (1.0, 300.0)], 200.0)
@example([(1.0, 100.0), (2.0, 100.0)], 100.0)
@example([(1.0, 0.0)], 0.0)
def test_any_sizes_give_a_step_near_those_tried(trials: list[tuple[float, float]], target: float) -> None:
    search = StepSearch()
    for step, size in trials:
        search.add(step, size)
    found, steps = search.next(target), [step for step, _ in trials]
    most = LARGEST_CHANGE * math.exp(0.01 * len(trials)) * (1 + 1e-9)
    assert min(steps) / most <= found <= max(steps) * most


def test_sizes_that_do_not_fall_give_new_steps() -> None:
    search, tried = StepSearch(), [1.0, 2.0]
    search.add(1.0, 100)
    search.add(2.0, 300)
    for _ in range(4):
        tried.append(search.next(200))
        search.add(tried[-1], 300 if tried[-1] > 1.2 else 100)
    assert len(set(tried)) == len(tried)


# The pace


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (pace, deadline):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def announced(paced: Pace) -> tuple[float, float | None]:
    told: list[tuple[float, float | None]] = []
    paced.begin(Part(Silent(), expects=lambda seconds, epochs: told.append((seconds, epochs))))
    (only,) = told
    return only


@pytest.mark.parametrize(("epochs", "rounds"), [(0.5, FEWEST_REFINEMENTS), (7, 7), (600, MOST_REFINEMENTS)])
def test_a_fit_by_epochs_never_looks_at_the_clock(clock: Clock, epochs: float, rounds: int) -> None:
    paced = Pace(Deadline(), epochs, frame_count=10)
    paced.code_seconds = 2.0
    clock.now += 5
    assert paced.seconds == 5
    seconds, told = announced(paced)
    assert (seconds > 10 * 2.0, told) == (True, epochs)
    clock.now += 1e6
    assert not paced.is_late(100)
    assert paced.refining_rounds() == rounds
    assert paced.refining_ends() == math.inf
    network = paced.network_clock()
    assert isinstance(network, StepClock)
    assert network.total_steps == max(1, round(epochs * 10 / 4))
    assert paced.epochs(1) == epochs


def test_what_is_announced_grows_with_the_epochs(clock: Clock) -> None:
    told = []
    for epochs in (1, 10, 100):
        paced = Pace(Deadline(), epochs, 10)
        paced.code_seconds = 1.0
        told.append(announced(paced)[0])
    assert told == sorted(set(told))


def test_a_fit_by_time_leaves_what_coding_takes(clock: Clock) -> None:
    paced = Pace(Deadline(100, clock.now), 7, frame_count=10)
    paced.code_seconds = 2.0
    clock.now += 10
    assert announced(paced) == (90, None)
    assert paced.refining_rounds() == MOST_REFINEMENTS
    assert paced.refining_ends() == clock.now + REFINING_SHARE * 90
    network = paced.network_clock()
    assert isinstance(network, WallClock)
    assert network.deadline == clock.now + 90 - RESERVE * 2.0
    # Ten steps of four frames are four passes over ten frames.
    assert paced.epochs(10) == 4
    # Three choices and half of the reserve take 12 seconds.
    clock.now += 77.9
    assert not paced.is_late(3)
    clock.now += 0.2
    assert paced.is_late(3)
    assert not paced.is_late(2)
    clock.now += 1000
    assert paced.refining_ends() == clock.now


def test_too_little_time_is_refused_and_enough_is_named(clock: Clock) -> None:
    paced = Pace(Deadline(10, clock.now), 7, frame_count=10)
    paced.code_seconds = 3.0
    with pytest.raises(TargetUnreachable, match="at least 8 seconds more"):
        announced(paced)
    paced = Pace(Deadline(10 + 8, clock.now), 7, frame_count=10)
    paced.code_seconds = 3.0
    assert announced(paced) == (18, None)


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
    return fill(coding, step, 10_000, 9_700, is_late, lambda *_: None).size


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


def test_what_does_not_fit_grows_coarse_fast_when_it_is_late() -> None:
    coding = Coding(11_000)
    assert filled(coding, 1.0, lambda _: True) <= 10_000
    assert coding.steps[1] >= LATE_FACTOR


def test_what_never_fits_says_how_small_it_gets() -> None:
    with pytest.raises(NetworkTooLarge) as caught:
        filled(Coding(0, others=12_000), 1.0, lambda _: False)
    assert caught.value.least_bytes == 12_000


# Pruning


@pytest.fixture(scope="module")
def panning() -> SegmentPlanes:
    video = VideoInfo(112, 80, 9)
    config = Inrc().plan(video, 1e5, {"group": "4"}, 0)
    return SegmentPlanes(torch.from_numpy(pan(112, 80, 9)), config, video)


def motion_of(segment: SegmentPlanes) -> MotionFit:
    motion = MotionFit(segment, to_grids(searched_field(segment, lambda *_: None)))
    motion.fit_entropy(40)
    return motion


@torch.no_grad()
def costs(
    motion: MotionFit, segment: SegmentPlanes, fineness: torch.Tensor, step: float
) -> tuple[float, float]:
    """Cost of coding the residual and bits of the motion grids, as pruning measures them."""
    scale = min(8, 2 * finest_scale(segment.height, segment.width))
    left = sum(
        float(motion._left_to_code(batch, fineness, step, scale, motion.grids).sum())
        for batch in motion._batches(scale)
    )
    return left, float(motion.entropy.bits([grid.detach() for grid in motion.grids]))


@pytest.mark.parametrize("step", [0.03, 0.3])
@pytest.mark.parametrize("price_steps", [0.06, 1.0])
def test_pruning_costs_no_more_than_it_saves(panning: SegmentPlanes, step: float, price_steps: float) -> None:
    motion, fineness = motion_of(panning), torch.linspace(0.5, 1, 9)
    before = [grid.detach().clone() for grid in motion.grids]
    price = price_steps * step**2
    left, bits = costs(motion, panning, fineness, step)
    motion.prune(fineness, step, price)
    left_after, bits_after = costs(motion, panning, fineness, step)
    assert left_after + price * bits_after <= 1.01 * (left + price * bits)
    assert bits_after < bits
    for grid, old in zip(motion.grids, before, strict=True):
        assert torch.equal(grid, grid.round())
        # A node of a frame either stays unchanged or is zero in all channels.
        kept = (grid == old).all(1)
        assert (kept | (grid == 0).all(1)).all()


def test_the_dearer_bits_are_the_fewer_nodes_stay(panning: SegmentPlanes) -> None:
    counts, fineness = [], torch.ones(9)
    for price in (0.0, 1e-2, 1.0, 1e9):
        motion = motion_of(panning)
        motion.prune(fineness, 0.1, price)
        counts.append(sum(int((grid != 0).sum()) for grid in motion.grids))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0
    assert counts[-1] == 0


def test_still_frames_have_no_motion_to_prune() -> None:
    video = VideoInfo(32, 32, 3)
    frames = torch.from_numpy(pan(32, 32, 1)).repeat(3, 1, 1, 1)
    segment = SegmentPlanes(frames, Inrc().plan(video, 1e5, {}, 0), video)
    motion = motion_of(segment)
    motion.prune(torch.ones(3), 0.1, 1.0)
    assert all((grid == 0).all() for grid in motion.grids)
