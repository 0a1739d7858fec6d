"""Opening hostile segments decodes and allocates nothing before its size is known and limited."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bitstream import Corrupt, LimitExceeded, Section, Segment, StreamHeader
from inrcodec.coding.opened_segment import open_segment
from inrcodec.models.family import VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.layers.layout import covering_grid
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.snerv.temporal import SNeRVTConfig

FAMILY = HNeRV()
STRIDES = (5, 4, 4, 2, 2)


def opened_with(
    width: int, frame_count: int, section_count: int | None = None, coded_width: int = 1280
) -> None:
    """Open a segment that claims a network of `width` channels and carries two bytes per section."""
    video = VideoInfo(1280, 640, frame_count)
    config = HNeRVConfig(covering_grid(1280, 640, STRIDES), 16, width)
    count = len(FAMILY.tensors(config, video)) if section_count is None else section_count
    sections = tuple(Section(1, (1.0,), b"\0\0") for _ in range(count))
    segment = Segment(0, frame_count, FAMILY.wire_id, 0, FAMILY.pack(config), sections)
    header = StreamHeader(1280, 640, coded_width, 640, frame_count, Fraction(25), Fraction(1, 25))
    open_segment(segment, header)


def test_an_ordinary_segment_opens() -> None:
    opened_with(width=68, frame_count=132)


def test_a_few_bytes_cannot_ask_for_all_memory() -> None:
    with pytest.raises(LimitExceeded, match="symbols"):
        opened_with(width=1024, frame_count=132)
    with pytest.raises(LimitExceeded, match="symbols"):
        opened_with(width=8, frame_count=1 << 21)


def test_sections_and_coded_size_must_be_those_of_the_network() -> None:
    with pytest.raises(Corrupt, match="sections"):
        opened_with(width=8, frame_count=2, section_count=3)
    with pytest.raises(Corrupt, match="coded size"):
        opened_with(width=8, frame_count=2, coded_width=1281)


def test_wide_features_of_early_stages_count_as_memory() -> None:
    """With strides of 1 after the first two, the third stage is widest, at the full size of a band."""
    video, family = VideoInfo(4096, 2304, 2), SNeRVT()
    header = StreamHeader(4096, 2304, 4096, 2304, 2, Fraction(25), Fraction(1, 25))

    def open_with(width: int) -> None:
        grid = covering_grid(2048, 1152, (8, 8, 1, 1, 1, 1, 1, 1))
        config = SNeRVTConfig(grid, 1, 1, (2, 2, 2), width, blocks=2)
        sections = tuple(Section(1, (1.0,), b"\0\0") for _ in family.tensors(config, video))
        open_segment(Segment(0, 2, family.wire_id, 0, family.pack(config), sections), header)

    open_with(width=20)
    with pytest.raises(LimitExceeded, match="max_memory = 10,200,547,328, found"):
        open_with(width=120)
