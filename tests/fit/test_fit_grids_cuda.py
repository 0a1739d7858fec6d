"""The fit of `inrc` on a GPU, simulated: its loops wait for nothing, and add in a fixed order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from simulated_cuda import CUDA, SimulatedDevice, simulated_cuda
from test_fit_grids import pan

from inrcodec.fit.grids.latents import ROUNDS_A_SAMPLE, LatentFit
from inrcodec.fit.grids.motion import MotionFit, searched_field, to_grids
from inrcodec.fit.grids.rated_blocks import largest, set_cells
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.prediction import step_sizes
from inrcodec.models.inrc.shapes import NEWEST_VERSION, InrcConfig

STEP, PRICE = 0.1, 0.1


def begun() -> tuple[SegmentPlanes, MotionFit, torch.Tensor]:
    """A segment on the device, its motion and the mean fineness of its frames."""
    frames, config = pan(48, 32, 6), InrcConfig(2, 3, 4, 0, version=NEWEST_VERSION)
    segment = SegmentPlanes(torch.from_numpy(frames).to(CUDA), config, VideoInfo(48, 32, 6))
    motion = MotionFit(segment, to_grids(searched_field(segment, lambda *_: None)))
    fineness = step_sizes(motion.field(), segment.tree, *config.fineness)
    return segment, motion, fineness


def refined(device: SimulatedDevice, rounds: int) -> None:
    _, motion, fineness = begun()
    # The first rounds copy tables and indices, once.
    motion.refine(1, fineness.mean((1, 2, 3)), STEP, PRICE * STEP**2, lambda: True)
    device.begin()
    device.refuses_waits = True
    motion.refine(rounds, fineness.mean((1, 2, 3)), STEP, PRICE * STEP**2, lambda: True)


def fitted(device: SimulatedDevice) -> None:
    segment, motion, fineness = begun()
    latents = LatentFit(segment)
    latents.code(motion.field(), fineness * STEP, PRICE)
    counts = []
    for rounds in (1, ROUNDS_A_SAMPLE):
        device.begin()
        latents.fit_entropy(rounds)
        counts.append(device.counts.waits.total())
    # Rounds after the first of a sample add none.
    assert counts[1] <= counts[0] <= 8
    # All kinds of frames are one batch, and all parameters one vector.
    assert device.counts.kernels <= 700 * ROUNDS_A_SAMPLE


@pytest.mark.parametrize("rounds", [1, 3])
def test_rounds_of_refining_motion_wait_for_nothing(rounds: int) -> None:
    with simulated_cuda() as device:
        try:
            refined(device, rounds)
        finally:
            device.refuses_waits = False
    assert device.counts.kernels > 100 * rounds and not device.counts.unordered


def test_rounds_of_fitting_an_entropy_model_wait_once_a_sample() -> None:
    with simulated_cuda() as device:
        fitted(device)
    assert not device.counts.unordered


def test_searching_motion_launches_few_kernels_and_waits_for_none_of_them() -> None:
    """It tries hundreds of vectors, a row of them at once."""
    with simulated_cuda() as device:
        segment, _, _ = begun()
    assert device.counts.kernels <= 1400
    # Frames that are searched together, and tables.
    assert device.counts.waits.total() <= 4 * len(segment.tree.order)
    assert not device.counts.unordered


def test_coding_waits_for_first_frames_and_once_for_all_others() -> None:
    """The DC of first frames is chosen on the CPU; how many blocks had latents is read at the end."""
    with simulated_cuda() as device:
        segment, motion, fineness = begun()
        batches, latents = len(segment.tree.order), LatentFit(segment)
        device.begin()
        latents.code(motion.field(), fineness * STEP, PRICE)
        # The temporal filter searches motion of all pairs of frames at once.
        assert device.counts.kernels <= 2700
        latents.code(motion.field(), fineness * STEP, PRICE)
        device.begin()
        latents.code(motion.field(), fineness * STEP, PRICE)
    assert device.counts.kernels <= 1200 * batches
    assert device.counts.waits.total() <= 15
    assert not any("nonzero" in wait for wait in device.counts.waits)
    assert not device.counts.unordered


def test_a_list_that_had_no_room_for_all_blocks_is_made_again() -> None:
    with simulated_cuda() as device:
        segment, motion, fineness = begun()
        passes = []
        for shares in ({}, {(0, 0): 1e-9, (0, 1): 1e-9, (1, 0): 1e-9, (1, 1): 1e-9}):
            latents = LatentFit(segment)
            latents.code(motion.field(), fineness * STEP, PRICE)
            latents._rated_blocks._shares = shares
            device.begin()
            coded = latents.code(motion.field(), fineness * STEP, PRICE)
            passes.append((device.counts.kernels, coded.arrays()))
    (once, of_all), (twice, of_few) = passes
    assert twice > 1.5 * once
    assert all(np.array_equal(of_all[name], of_few[name]) for name in of_all)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
def test_lists_by_size_have_the_order_of_flags(seed: int, count: int, height: int, width: int) -> None:
    needs = torch.rand(count, height, width, generator=torch.Generator().manual_seed(seed))
    flags = needs > 0.5
    listed = set_cells(flags, int(flags.sum()))
    assert all(map(torch.equal, listed, flags.nonzero(as_tuple=True)))
    found = needs[largest(needs, 5)]
    assert torch.equal(found, needs.flatten().sort(descending=True).values[:5])


def test_pruning_motion_waits_for_nothing() -> None:
    with simulated_cuda() as device:
        _, motion, fineness = begun()
        prices = fineness.mean((1, 2, 3)), STEP, PRICE * STEP**2
        motion.prune(*prices)
        device.begin()
        motion.prune(*prices)
    assert not device.counts.waits and device.counts.kernels <= 3300
