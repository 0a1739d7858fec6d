"""The families' counts of multiplications, compared with those of the convolutions that rendering makes.

`opened_segment` rejects files by these counts, so they must also hold for configs that no encoder writes.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from codec_samples import random_grid_decoder, random_tensors
from torch.utils.flop_counter import FlopCounterMode

from inrcodec.models.family import AnyFamily, VideoInfo
from inrcodec.models.hinerv.hinerv import HiNeRV
from inrcodec.models.hinerv.shapes import HiNeRVConfig, TemporalGrid
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.inrc.shapes import InrcConfig
from inrcodec.models.layers.layout import Grid, covering_grid
from inrcodec.models.nerv import NeRV, NeRVConfig
from inrcodec.models.snerv.snerv import SNeRV, SNeRVConfig
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.snerv.temporal import SNeRVTConfig
from inrcodec.models.supermask.config import SupermaskConfig
from inrcodec.models.supermask.supermask import Supermask

STRIDES = ((4, 2, 2), (8, 1, 1, 1, 1), (1, 1, 2), (1, 2, 8))


def configs(strides: tuple[int, ...], width: int) -> dict[str, tuple[AnyFamily, Any, VideoInfo]]:
    """A config of each convolutional family, for a video whose coded size is its display size."""
    grid = covering_grid(1, 1, strides)
    grid = Grid(4, 6, grid.strides)
    widths = tuple(range(width, width + len(strides) + 1))
    grids = (TemporalGrid(0, 2, 5), TemporalGrid(1, 2, 3), TemporalGrid(len(strides), 1, 2))
    plain = VideoInfo(grid.coded_width, grid.coded_height, 2)
    bands = VideoInfo(2 * grid.coded_width, 2 * grid.coded_height, 2)
    return {
        "hnerv": (HNeRV(), HNeRVConfig(grid, 3, width, (3, 7), 100), plain),
        "nerv": (NeRV(), NeRVConfig(grid, 5, width), plain),
        "hinerv": (HiNeRV(), HiNeRVConfig(grid, widths, (1, 5, 7, 3, 3)[: len(strides)], grids), plain),
        "supermask": (
            Supermask(),
            SupermaskConfig("nerv", "signed", "fixed", False, grid, 8, width, (9000,), 1),
            plain,
        ),
        "snerv": (SNeRV(), SNeRVConfig(grid, 2, width, 3), bands),
        "snerv-t": (SNeRVT(), SNeRVTConfig(grid, 2, 3, (2,), width, 2), bands),
    }


@pytest.fixture(autouse=True)
def _plain_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions to few channels are otherwise computed several at once, with zeros that also count."""
    monkeypatch.setattr("inrcodec.models.layers.convolution._lanes", lambda: 0)


@pytest.mark.parametrize("width", [2, 13])
@pytest.mark.parametrize("strides", STRIDES, ids=str)
@pytest.mark.parametrize("name", configs(STRIDES[0], 2))
def test_convolutions_multiply_as_often_as_they_say(name: str, strides: tuple[int, ...], width: int) -> None:
    family, config, video = configs(strides, width)[name]
    decoder = family.decoder(config, video, random_tensors(family, config, video))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        decoder(torch.tensor([1]))
    # The counter counts a multiplication and an addition as two.
    assert family.multiplication_count(config, video) == counter.get_total_flops() // 2


@pytest.mark.parametrize("width", [0, 8, 64])
def test_the_refining_network_multiplies_as_often_as_it_says(width: int) -> None:
    video = VideoInfo(96, 64, 3)
    config = InrcConfig(4, 6, 4, width)
    decoder = random_grid_decoder(config, video)
    # The two frames that the middle one is predicted from are there already.
    with torch.no_grad():
        decoder(torch.tensor([0, 2]))
        with FlopCounterMode(display=False) as counter:
            decoder(torch.tensor([1]))
    least = 96 * 64 * 27 * width
    assert least <= counter.get_total_flops() // 2 <= Inrc().multiplication_count(config, video)
