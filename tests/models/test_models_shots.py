"""Shots inside a segment of `inrc`: their hierarchy, their config, and what the decoder shows of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import inrc_reference
import pytest
import torch
from codec_samples import random_grid_decoder
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BitstreamError, Corrupt
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.hierarchy import LEAST_SHOT, Hierarchy, hierarchy
from inrcodec.models.inrc.inrc import MOST_FRAMES, Inrc
from inrcodec.models.inrc.shapes import NEWEST_VERSION, InrcConfig

LENGTHS = st.lists(st.integers(LEAST_SHOT, 60), min_size=1, max_size=8)
"""Frames of each shot."""
VIDEO = VideoInfo(40, 24, 20)


@st.composite
def returning_shots(draw: st.DrawFn) -> tuple[list[int], int, tuple[int, ...]]:
    """Frames of each shot, the distance of anchors, and for each cut an anchor of an earlier shot or -1."""
    lengths, group = draw(LENGTHS), draw(st.integers(1, 20))
    returns, anchors = [], [-1]
    for shot in shots_of(lengths):
        if shot.start:
            returns.append(draw(st.sampled_from(anchors)))
        alone = hierarchy(len(shot), group)
        anchors += [shot[frame] for frame, level in enumerate(alone.frame_levels) if level < 2]
    return lengths, group, tuple(returns)


def shots_of(lengths: list[int]) -> list[range]:
    ends = [sum(lengths[:count]) for count in range(len(lengths) + 1)]
    return [range(first, stop) for first, stop in pairwise(ends)]


def cuts_of(lengths: list[int]) -> tuple[int, ...]:
    return tuple(shot.start for shot in shots_of(lengths)[1:])


def config_of(
    cuts: tuple[int, ...], version: int = NEWEST_VERSION, returns: tuple[int, ...] = ()
) -> InrcConfig:
    return InrcConfig(2, 3, 4, 0, version=version, cuts=cuts, returns=returns)


def check_order(tree: Hierarchy) -> None:
    """Batches ascend, have one level, and references in earlier batches."""
    done = {-1}
    for batch in tree.order:
        assert list(batch) == sorted(batch)
        assert len({tree.frame_levels[frame] for frame in batch}) == 1
        assert {one for frame in batch for one in tree.frame_references[frame]} <= done
        done.update(batch)


# The hierarchy


@given(LENGTHS, st.integers(1, 20))
def test_each_shot_has_the_hierarchy_of_a_segment_by_itself(lengths: list[int], group: int) -> None:
    tree = hierarchy(sum(lengths), group, cuts_of(lengths))
    for shot in shots_of(lengths):
        alone = hierarchy(len(shot), group)
        assert tree.frame_levels[shot.start : shot.stop] == alone.frame_levels
        pairs = [
            (before - shot.start, after - shot.start) if before >= 0 else (-1, -1)
            for before, after in tree.frame_references[shot.start : shot.stop]
        ]
        assert tuple(pairs) == alone.frame_references
        needed = tree.needed({shot[-1]})
        assert needed <= set(shot) and shot.start in needed


@given(LENGTHS, st.integers(1, 20))
def test_batches_have_one_level_and_earlier_references(lengths: list[int], group: int) -> None:
    tree = hierarchy(sum(lengths), group, cuts_of(lengths))
    assert sorted(frame for batch in tree.order for frame in batch) == list(range(sum(lengths)))
    check_order(tree)
    assert tree.order[0] == (0, *cuts_of(lengths))
    # A batch takes memory for all its frames.
    assert max(map(len, tree.order)) <= max(1, sum(lengths) // LEAST_SHOT)
    # All shots share the batches of their i-th anchors, and those of their levels.
    anchors = max(sum(level < 2 for level in hierarchy(length, group).frame_levels) for length in lengths)
    assert len(tree.order) == anchors + max(0, tree.level_count - 2)


@given(LENGTHS, st.integers(1, 20))
def test_the_specification_says_the_same(lengths: list[int], group: int) -> None:
    tree = hierarchy(sum(lengths), group, cuts_of(lengths))
    levels, references, batches = inrc_reference.hierarchy(sum(lengths), group, cuts_of(lengths))
    assert [levels[frame] for frame in range(sum(lengths))] == [*tree.frame_levels]
    assert [references.get(frame, (-1, -1)) for frame in range(sum(lengths))] == [*tree.frame_references]
    assert [tuple(batch) for batch in batches] == [*tree.order]


@given(returning_shots())
def test_a_shot_that_returns_is_predicted_from_an_earlier_one(
    asked: tuple[list[int], int, tuple[int, ...]],
) -> None:
    lengths, group, returns = asked
    cuts, count = cuts_of(lengths), sum(lengths)
    tree, without = hierarchy(count, group, cuts, returns), hierarchy(count, group, cuts)
    for frame in range(count):
        back = dict(zip(cuts, returns, strict=True)).get(frame, -1)
        if back >= 0:
            assert (tree.frame_levels[frame], tree.frame_references[frame]) == (1, (back, back))
        else:
            assert tree.frame_levels[frame] == without.frame_levels[frame]
            assert tree.frame_references[frame] == without.frame_references[frame]
    check_order(tree)
    assert sorted(frame for batch in tree.order for frame in batch) == list(range(count))
    assert tree.starts == {0, *cuts}
    for level in range(tree.level_count):
        kept, part = tree.up_to(level)
        check_order(part)
        assert part.frame_levels == tuple(tree.frame_levels[frame] for frame in kept)
        assert {kept[start] for start in part.starts} == tree.starts & set(kept)
    levels, references, batches = inrc_reference.hierarchy(count, group, cuts, returns)
    assert [levels[frame] for frame in range(count)] == [*tree.frame_levels]
    assert [references.get(frame, (-1, -1)) for frame in range(count)] == [*tree.frame_references]
    assert [tuple(batch) for batch in batches] == [*tree.order]


@pytest.mark.parametrize("returns", [(1,), (5,), (-2,), (12,), (-1, -1)])
def test_shots_return_to_anchors_of_earlier_shots(returns: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="return"):
        hierarchy(12, 4, (5,), returns)


def test_the_lower_levels_of_two_shots_are_a_hierarchy() -> None:
    whole = hierarchy(12, 4, (5,))
    assert whole.order[:3] == ((0, 5), (4, 8), (11,))
    kept, part = whole.up_to(1)
    assert kept == (0, 4, 5, 8, 11)
    expected = ((-1, -1), (0, 0), (-1, -1), (2, 2), (3, 3))
    assert part == Hierarchy((0, 1, 0, 1, 1), expected, ((0, 2), (1, 3), (4,)), frozenset({0, 2}))


@pytest.mark.parametrize("cuts", [(1,), (0,), (-2,), (9,), (10,), (12,), (4, 4), (4, 5), (6, 3)])
def test_no_shot_has_fewer_than_two_frames(cuts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shots of 2 frames"):
        hierarchy(10, 4, cuts)


# The config in a file


@given(LENGTHS)
def test_cuts_come_back(lengths: list[int]) -> None:
    video, config = VideoInfo(40, 24, sum(lengths)), config_of(cuts_of(lengths))
    packed = Inrc().pack(config)
    assert Inrc().unpack(packed, video, 0) == config
    if config.cuts:
        # After the version there is either nothing or the number of cuts and as many differences.
        for length in range(9, len(packed)):
            with pytest.raises(BitstreamError):
                Inrc().unpack(packed[:length], video, 0)
        with pytest.raises(BitstreamError):
            Inrc().unpack(packed + b"\3", video, 0)


@given(returning_shots())
def test_returns_come_back(asked: tuple[list[int], int, tuple[int, ...]]) -> None:
    lengths, group, returns = asked
    video, config = VideoInfo(40, 24, sum(lengths)), config_of(cuts_of(lengths), returns=returns)
    config = replace(config, group_frames=group)
    packed = Inrc().pack(config)
    assert Inrc().unpack(packed, video, 0) == config
    if returns:
        with pytest.raises(BitstreamError):
            Inrc().unpack(packed + b"\0", video, 0)
        # The last frame of the video is in no earlier shot.
        stored = Inrc().pack(replace(config, returns=(*returns[:-1], video.frame_count - 1)))
        with pytest.raises(Corrupt, match="return"):
            Inrc().unpack(stored, video, 0)


def test_a_config_without_cuts_is_as_before() -> None:
    assert len(Inrc().pack(config_of(()))) == 8
    assert Inrc().pack(config_of((4, 14)))[8:] == bytes([2, 4, 10])


@pytest.mark.parametrize(
    "stored",
    [
        [0],
        [1],
        [1, 0],
        [1, 1],
        [1, 19],
        [1, 20],
        [2, 4],
        [2, 4, 0],
        [2, 4, 1],
        [2, 4, 15],
        [1, 4, 3],
        [1, 4, 5],
        [1, 4, 1, 1],
        [9, *[2] * 8],
        [10, *[2] * 10],
        [127],
    ],
)
def test_other_cuts_are_refused(stored: list[int]) -> None:
    packed = Inrc().pack(config_of(()))
    with pytest.raises(BitstreamError):
        Inrc().unpack(packed + bytes(stored), VIDEO, 0)


def test_many_cuts_are_refused_without_reading_them() -> None:
    packed = Inrc().pack(config_of(()))
    for count in (b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\1"):
        with pytest.raises(Corrupt, match="out of range"):
            Inrc().unpack(packed + count, VideoInfo(40, 24, MOST_FRAMES), 0)


def test_version_0_has_no_cuts() -> None:
    with pytest.raises(ValueError, match="version 1"):
        Inrc().pack(config_of((4,), version=0))


def test_version_1_has_no_returns() -> None:
    with pytest.raises(ValueError, match="version 2"):
        Inrc().pack(config_of((4,), version=1, returns=(0,)))
    packed = Inrc().pack(config_of((4,), version=1))
    with pytest.raises(Corrupt, match="out of range"):
        Inrc().unpack(packed + b"\1", VIDEO, 0)


# The decoder


def test_a_shot_is_decoded_by_itself_and_does_not_blend_with_the_next() -> None:
    decoder = random_grid_decoder(config_of((7,)), VideoInfo(40, 24, 12), is_still=True)
    with torch.inference_mode():
        whole = decoder(torch.arange(12))
        assert torch.equal(decoder(torch.tensor([9])), whole[9:10])
        between = decoder(torch.tensor([5.5, 6.5, 7.5], dtype=torch.float64))
    torch.testing.assert_close(between[0], (whole[5] + whole[6]) / 2)
    assert torch.equal(between[1], whole[6])
    torch.testing.assert_close(between[2], (whole[7] + whole[8]) / 2)


def test_a_shot_that_returns_does_not_blend_with_the_one_before() -> None:
    decoder = random_grid_decoder(config_of((4, 7), returns=(-1, 3)), VideoInfo(40, 24, 12), is_still=True)
    with torch.inference_mode():
        whole = decoder(torch.arange(12))
        assert torch.equal(decoder(torch.tensor([7])), whole[7:8])
        between = decoder(torch.tensor([6.5, 7.5], dtype=torch.float64))
    assert torch.equal(between[0], whole[6])
    torch.testing.assert_close(between[1], (whole[7] + whole[8]) / 2)
