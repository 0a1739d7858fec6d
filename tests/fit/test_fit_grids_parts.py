"""Parts of the fit of `inrc`: the search for a quantisation step, and pruning of motion."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from test_fit_grids import pan

from inrcodec.fit.grids.motion import SCALE, MotionFit, searched_field, to_grids
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.step_search import LARGEST_CHANGE, StepSearch
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.inrc import Inrc

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
    left = sum(
        float(motion._left_to_code(batch, fineness, step, motion.grids).sum())
        for batch in motion._batches(SCALE)
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
