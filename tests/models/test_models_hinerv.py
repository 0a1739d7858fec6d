"""HiNeRV: grids that a budget pays for, configs that are refused, and features between moments."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from codec_samples import random_tensors

from bitstream.errors import Corrupt
from inrcodec.models.family import StartsFromClip, VideoInfo
from inrcodec.models.hinerv.first_grids import SPREAD
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


def started(clip: torch.Tensor, gridded: HiNeRVConfig) -> tuple[dict[str, torch.Tensor], ...]:
    """The grids of a representation before and after it starts from a clip."""
    video = VideoInfo(clip.shape[2], clip.shape[1], len(clip))
    representation = FAMILY.representation(gridded, video, 0)
    assert isinstance(representation, StartsFromClip)

    def grids() -> dict[str, torch.Tensor]:
        found = representation.transmitted(None, torch.arange(1))
        return {name: value.detach().clone() for name, value in found.items() if name.startswith("grid")}

    before = grids()
    representation.start_from(clip)
    return before, grids()


def test_grids_start_from_averages_of_the_frames_around_their_moments() -> None:
    """Rows of cells are dark or light; from frame 3 on it is the other way around."""
    clip = torch.full((7, 23, 31, 3), 60, dtype=torch.uint8)
    clip[:3, :8] = 200
    clip[3:, 8:] = 200
    gridded = config(TemporalGrid(0, 7, 1), TemporalGrid(0, 3, 1), TemporalGrid(1, 2, 1))
    _, grids = started(clip, gridded)
    fine = grids["grid0.1"]
    assert fine.std(correction=0) == pytest.approx(SPREAD, rel=1e-4)
    light, dark = fine[0, 0, 0, 0], fine[0, 0, 1, 0]
    assert light * dark < 0
    torch.testing.assert_close(fine[:, 0, 0, 0], torch.stack([light] * 3 + [dark] * 4), rtol=0, atol=1e-4)


def test_a_moment_averages_frames_by_their_distance() -> None:
    """Moments are at frames 0, 3 and 6 of a clip that becomes light at frame 4."""
    clip = torch.zeros(7, 23, 31, 3, dtype=torch.uint8)
    clip[4:] = 255
    _, grids = started(clip, config(TemporalGrid(0, 3, 1)))
    first, middle, last = grids["grid0.1"][:, 0, 0, 0].tolist()
    # Frames 1 to 5 weigh 1, 2, 3, 2 and 1; at the end, frames 4 to 6 weigh 1, 2 and 3.
    assert (middle - first) / (last - first) == pytest.approx(3 / 9, rel=1e-3)


def test_channels_without_content_stay_random() -> None:
    clip = torch.zeros(7, 23, 31, 3, dtype=torch.uint8)
    clip[4:] = 255
    before, grids = started(clip, config(TemporalGrid(0, 7, 2), TemporalGrid(1, 7, 4)))
    assert not torch.equal(before["grid0.1"][:, 0], grids["grid0.1"][:, 0])
    assert torch.equal(before["grid0.1"][:, 1], grids["grid0.1"][:, 1])
    assert torch.equal(before["grid1.1"], grids["grid1.1"])
    # There are three colours, and no fourth component.
    noise = torch.randint(0, 256, clip.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    before, grids = started(noise, config(TemporalGrid(0, 7, 2), TemporalGrid(1, 7, 4)))
    changed = [not torch.equal(before["grid1.1"][:, one], grids["grid1.1"][:, one]) for one in range(4)]
    assert changed == [True, True, True, False]
