"""Interpolated frames of `inrc`: the motion between consecutive frames, and where it is not followed."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inrcodec.models.inrc.hierarchy import LEAST_SHOT, Hierarchy, hierarchy
from inrcodec.models.inrc.interpolation import between, motion_from
from inrcodec.models.inrc.planes import Planes

LENGTHS = st.lists(st.integers(LEAST_SHOT, 40), min_size=1, max_size=4)
ROWS, COLUMNS = 5, 6
INSIDE = slice(24, -24)
"""Pixels whose tiles do not reach beyond the edges."""


def fields_of_steady_motion(tree: Hierarchy, motion: Tensor) -> Tensor:
    """The fields (T, 5, 1, 1) of content that moves by `motion` (2,) from each frame to the next."""
    fields = torch.zeros(len(tree.frame_levels), 5, 1, 1)
    for frame, (before, after) in enumerate(tree.frame_references):
        if tree.has_two[frame]:
            to_before, to_after = (before - frame) * motion, (after - frame) * motion
            fields[frame, :2, 0, 0] = (to_after - to_before) / 2
            fields[frame, 2:4, 0, 0] = (to_after + to_before) / 2
        elif before >= 0:
            fields[frame, :2, 0, 0] = (before - frame) * motion
    return fields


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 20), st.booleans())
def test_the_motion_between_all_frames_of_a_shot_is_known(
    lengths: list[int], group: int, is_returning: bool
) -> None:
    starts = [sum(lengths[:count]) for count in range(len(lengths))]
    returns = (0,) * (len(lengths) - 1) if is_returning else ()
    tree = hierarchy(sum(lengths), group, tuple(starts[1:]), returns)
    fields = fields_of_steady_motion(tree, torch.tensor([3.0, -1.5]))
    for frame, following in pairwise(range(sum(lengths))):
        if following not in tree.starts:
            found = motion_from(frame, tree, fields)
            assert found.flatten().tolist() == [3.0, -1.5], (frame, tree.frame_references)


def texture(seed: int = 0) -> Planes:
    generator = torch.Generator().manual_seed(seed)
    luma = torch.rand(1, 16 * ROWS, 16 * COLUMNS, generator=generator)
    return Planes(luma, torch.rand(2, 8 * ROWS, 8 * COLUMNS, generator=generator))


def moved(planes: Planes, right: int, down: int) -> Planes:
    """The planes with their content moved by even numbers of pixels, around the edges."""
    return Planes(
        planes.luma.roll((down, right), (1, 2)), planes.chroma.roll((down // 2, right // 2), (1, 2))
    )


@pytest.mark.parametrize(("quarters", "right", "down"), [(1, 2, -4), (2, 4, -8), (3, 6, -12)])
def test_content_is_where_its_motion_takes_it(quarters: int, right: int, down: int) -> None:
    before = texture()
    motion = torch.tensor([8.0, -16.0]).view(2, 1, 1).expand(2, ROWS, COLUMNS)
    found = between(before, moved(before, 8, -16), motion, quarters / 4)
    expected = moved(before, right, down)
    inside = (slice(None), INSIDE, INSIDE)
    assert torch.allclose(found.luma[inside], expected.luma[inside], atol=1e-6)
    inside = (slice(None), slice(12, -12), slice(12, -12))
    assert torch.allclose(found.chroma[inside], expected.chroma[inside], atol=1e-6)


def test_frames_are_blended_where_motion_makes_them_differ_more() -> None:
    """The left half moves, the right half stays, and the stored motion is that of the left everywhere."""
    before, behind = texture(), texture(1)
    after = moved(before, 4, 0)
    right = (slice(None), slice(None), slice(8 * COLUMNS, None))
    before.luma[right] = behind.luma[right]
    after.luma[right] = behind.luma[right] + 0.1
    motion = torch.tensor([4.0, 0.0]).view(2, 1, 1).expand(2, ROWS, COLUMNS)
    found = between(before, after, motion, 0.25)
    assert torch.allclose(found.luma[..., 20:28], before.luma.roll(1, 2)[..., 20:28], atol=1e-6)
    # Beyond the overlap with the tiles on the left.
    assert torch.allclose(found.luma[..., -24:], behind.luma[..., -24:] + 0.025, atol=1e-6)


def test_two_equal_frames_have_the_same_between_them() -> None:
    planes = texture()
    found = between(planes, planes, torch.full((2, ROWS, COLUMNS), 70_000.0), 0.5)
    assert torch.allclose(found.luma, planes.luma) and torch.allclose(found.chroma, planes.chroma)
