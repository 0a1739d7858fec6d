"""Bits by level of the hierarchy: they add up to the payloads, and each level's depend on it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from test_coding_grid_sections import FAMILY, config_of, parameters_of, symbols_of

import bitstream
from bitstream import DEFAULT_LIMITS, Segment
from inrcodec.coding.grid_bits import LevelBits, level_bits
from inrcodec.coding.grid_sections import GridSymbols, encode_contextual
from inrcodec.coding.opened_segment import OpenedSegment, open_segment
from inrcodec.models.family import VideoInfo
from inrcodec.models.inrc.hierarchy import hierarchy

VIDEO = VideoInfo(40, 24, 10)
CONFIG = config_of(VIDEO)
TREE = CONFIG.tree(VIDEO)


def opened(symbols: GridSymbols) -> OpenedSegment:
    sections = encode_contextual(CONFIG, VIDEO, parameters_of(CONFIG, VIDEO), (), symbols)
    segment = Segment(0, VIDEO.frame_count, FAMILY.wire_id, 0, FAMILY.pack(CONFIG), sections)
    specs = FAMILY.tensors(CONFIG, VIDEO)
    return OpenedSegment(segment, FAMILY, CONFIG, VIDEO, specs, DEFAULT_LIMITS)


def sparse() -> GridSymbols:
    """Random symbols; the latents of half of the blocks of the frames between anchors are zero."""
    symbols = symbols_of(CONFIG, VIDEO)
    latent: NDArray[np.int16] = symbols.latent.copy()
    latent[TREE.levels > 1, :, :, ::2] = 0
    return replace(symbols, latent=latent)


def test_bits_add_up_to_the_payloads() -> None:
    segment = opened(sparse())
    levels = level_bits(segment)
    motion, latent = (8 * len(section.payload) for section in segment.segment.sections[-2:])
    # A payload also has its largest magnitude and the last state of the coder, and that of latents six bytes
    # of classes of sizes.
    assert 0 <= motion - sum(level.motion_bits for level in levels) <= 64
    assert 48 <= latent - sum(level.latent_bits + level.flag_bits for level in levels) <= 112
    assert all(level.bits >= 0 for level in levels)


def test_levels_hold_all_frames_and_blocks() -> None:
    levels = level_bits(opened(sparse()))
    assert [level.level for level in levels] == [*range(TREE.level_count)]
    assert [level.frames for level in levels] == np.bincount(TREE.levels).tolist()
    assert levels[0].motion_bits == 0
    blocks = 4 * CONFIG.rows * CONFIG.columns
    assert [level.blocks for level in levels] == [blocks * level.frames for level in levels]
    assert [level.empty_share for level in levels] == [0.0, 0.0] + [0.5] * (TREE.level_count - 2)


def test_a_file_whose_shots_return_has_levels() -> None:
    path = Path(__file__).parents[1] / "golden" / "inrc-returns.inrv"
    stream = bitstream.load(path.read_bytes())
    levels = level_bits(open_segment(stream.segments[0], stream.header))
    # The first frames of the second and third shot are anchors.
    assert [level.frames for level in levels] == [1, 5]


def test_a_level_without_latents_changes_no_lower_level() -> None:
    symbols = sparse()
    latent = symbols.latent.copy()
    latent[TREE.levels == TREE.level_count - 1] = 0
    before, after = level_bits(opened(symbols)), level_bits(opened(replace(symbols, latent=latent)))
    assert after[:-1] == before[:-1]
    assert isinstance(after[-1], LevelBits)
    assert after[-1].latent_bits == 0 < after[-1].flag_bits
    assert after[-1].motion_bits == before[-1].motion_bits and after[-1].empty_share == 1


@pytest.mark.parametrize(("frame_count", "group"), [(1, 16), (2, 16), (10, 4), (66, 16), (7, 1)])
def test_the_lower_levels_are_a_hierarchy(frame_count: int, group: int) -> None:
    whole = hierarchy(frame_count, group)
    for level in range(whole.level_count):
        kept, part = whole.up_to(level)
        assert [whole.frame_levels[frame] for frame in kept] == [*part.frame_levels]
        assert part.level_count == level + 1
        assert sorted(frame for batch in part.order for frame in batch) == [*range(len(kept))]
        for frame, references in zip(kept, part.frame_references, strict=True):
            found = tuple(kept[one] if one >= 0 else -1 for one in references)
            assert found == whole.frame_references[frame]
    assert whole.up_to(whole.level_count - 1) == (tuple(range(frame_count)), whole)
