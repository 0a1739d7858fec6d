"""HiNeRV: grids that a budget pays for, configs that are refused, and features between moments."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from codec_samples import random_tensors

from bitstream.errors import Corrupt
from inrcodec.models.family import VideoInfo
from inrcodec.models.hinerv.hinerv import HiNeRV
from inrcodec.models.hinerv.shapes import BASE_SHARE, DETAIL_SHARE, HiNeRVConfig, TemporalGrid, planned_grids
from inrcodec.models.layers.layout import covering_grid

VIDEO = VideoInfo(31, 23, 7)
GRID = covering_grid(31, 23, (4, 2))
FAMILY = HiNeRV()


def config(*grids: TemporalGrid) -> HiNeRVConfig:
    return HiNeRVConfig(GRID, (5, 4, 3), (1, 3), grids)


@pytest.mark.parametrize("symbols", [300, 3000, 30_000, 300_000, 10**9])
@pytest.mark.parametrize("frame_count", [1, 2, 30, 300])
def test_grids_take_their_shares(symbols: int, frame_count: int) -> None:
    base, detail = 0, 0
    for one in planned_grids(GRID, frame_count, symbols):
        rows, columns = config(one).cells(one.level)
        count = one.moments * one.channels * rows * columns
        base, detail = (base + count, detail) if one.level == 0 else (base, detail + count)
        assert one.moments <= frame_count and one.channels <= 64
    # The coarsest level has at least two moments.
    assert base <= max(1.4 * BASE_SHARE * symbols, 2 * GRID.rows * GRID.columns)
    assert planned_grids(GRID, frame_count, symbols)[0].moments >= min(2, frame_count)
    assert detail <= 1.5 * DETAIL_SHARE * symbols
    assert symbols < 3000 or detail > 0


def test_a_width_brings_the_grids_of_the_budget_that_buys_it() -> None:
    video = VideoInfo(320, 160, 132)
    planned = FAMILY.plan(video, 1e6, {}, 0)
    asked = FAMILY.plan(video, 1.0, {"width": str(planned.widths[0])}, 0)
    counts = [
        sum(spec.count for spec in FAMILY.tensors(one, video) if spec.name.startswith("grid"))
        for one in (planned, asked)
    ]
    assert asked.widths == planned.widths
    assert 0.7 * counts[0] <= counts[1] <= 1.3 * counts[0]


@pytest.mark.parametrize(
    "grids",
    [
        (TemporalGrid(1, 2, 1),),
        (TemporalGrid(0, 2, 1), TemporalGrid(3, 2, 1)),
        (TemporalGrid(0, 2, 1), TemporalGrid(2, 2, 1), TemporalGrid(1, 2, 1)),
        (TemporalGrid(0, 8, 1),),
        (TemporalGrid(0, 0, 1),),
        (TemporalGrid(0, 2, 65),),
        (TemporalGrid(0, 2, 0),),
        (TemporalGrid(0, 2, 1),) * 33,
    ],
)
def test_grids_that_no_level_or_video_has_are_refused(grids: tuple[TemporalGrid, ...]) -> None:
    good = config(TemporalGrid(0, 7, 64), TemporalGrid(2, 1, 1))
    assert FAMILY.unpack(FAMILY.pack(good), VIDEO, 0) == good
    with pytest.raises(Corrupt):
        FAMILY.unpack(FAMILY.pack(replace(good, grids=grids)), VIDEO, 0)


@pytest.mark.parametrize(
    ("position", "before", "share"), [(0, 0, 0.0), (1, 0, 0.5), (2.5, 1, 0.25), (6, 3, 0.0)]
)
def test_features_between_moments_are_mixed(position: float, before: int, share: float) -> None:
    """Four moments are at frames 0, 2, 4 and 6; the other grid has one moment for all frames."""
    gridded = config(TemporalGrid(0, 4, 2), TemporalGrid(1, 4, 1), TemporalGrid(1, 1, 1))
    tensors = random_tensors(FAMILY, gridded, VIDEO)
    shown = FAMILY.decoder(gridded, VIDEO, tensors)(torch.tensor([position]))
    mixed = dict(tensors)
    for name in ("grid0.1", "grid1.1"):
        after = tensors[name][min(before + 1, 3)]
        mixed[name] = torch.lerp(tensors[name][before], after, share).expand_as(tensors[name])
    expected = FAMILY.decoder(gridded, VIDEO, mixed)(torch.tensor([0]))
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-6)
    other = FAMILY.decoder(gridded, VIDEO, tensors)(torch.tensor([4.2]))
    assert not torch.allclose(other, expected, atol=1e-3)
