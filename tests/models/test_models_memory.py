"""The families' estimates of values held while a frame is rendered, compared with measurements.

`opened_segment` rejects files by this estimate, so it must also hold for configs that no encoder writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from codec_samples import random_grid_decoder, random_tensors
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from inrcodec.models.family import AnyFamily, CodesDecoder, VideoInfo
from inrcodec.models.hinerv.hinerv import HiNeRV
from inrcodec.models.hinerv.shapes import HiNeRVConfig, TemporalGrid
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.inrc.shapes import InrcConfig
from inrcodec.models.layers.layout import Grid, covering_grid
from inrcodec.models.nerv import NeRV, NeRVConfig
from inrcodec.models.snerv.snerv import SNeRV, SNeRVConfig
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.snerv.spectral import low_band
from inrcodec.models.snerv.temporal import SNeRVTConfig

ORDINARY = ((5, 4, 2, 2), (4, 3, 2, 2), (2, 2, 2))
HOSTILE = ((8, 8, 1, 1, 1, 1, 1, 1), (8, 8, 1), (1, 1, 1, 8, 8), (1, 8, 8), (8, 1, 1, 8), (1, 1, 1))
WITHIN = 1.02
"""The tolerance covers tensors made from weights, such as repeated biases, which the estimate excludes."""


class Alive(TorchDispatchMode):
    """Measures the maximum number of values alive, by the storages that operations make."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                self._storages[storage._cdata] = (StorageWeakRef(storage), storage.nbytes() // 4)
        self._storages = {key: kept for key, kept in self._storages.items() if not kept[0].expired()}
        self.most = max(self.most, sum(values for _, values in self._storages.values()))
        return made


def measured_and_estimated(family: AnyFamily, config: Any, video: VideoInfo) -> tuple[int, int]:
    """Maximum number of values alive while a frame is rendered: measured, and the family's estimate."""
    decoder = family.decoder(config, video, random_tensors(family, config, video))
    with torch.inference_mode():
        at = torch.tensor([1])
        with Alive() as alive:
            decoder(at)
    return alive.most, family.activation_count(config, video)


def snerv(grid: Grid, width: int) -> tuple[AnyFamily, Any]:
    return SNeRV(), SNeRVConfig(grid, 2, width, 2)


def snerv_t(grid: Grid, width: int) -> tuple[AnyFamily, Any]:
    return SNeRVT(), SNeRVTConfig(grid, 2, 3, (), width, 2)


@pytest.mark.parametrize("width", [1, 6, 30])
@pytest.mark.parametrize("strides", [*ORDINARY, *HOSTILE], ids=str)
@pytest.mark.parametrize("made", [snerv, snerv_t])
def test_decoders_of_bands_hold_what_they_say(
    made: Callable[[Grid, int], tuple[AnyFamily, Any]], strides: tuple[int, ...], width: int
) -> None:
    video = VideoInfo(320, 240, 2)
    family, config = made(covering_grid(low_band(video).width, low_band(video).height, strides), width)
    measured, estimated = measured_and_estimated(family, config, video)
    assert 0.8 * estimated <= measured <= WITHIN * estimated


@pytest.mark.parametrize("width", [6, 30])
@pytest.mark.parametrize("strides", [(5, 4, 2, 2), (4, 2), (8, 8, 1, 1, 1, 1, 1, 1), (1, 1, 8)], ids=str)
@pytest.mark.parametrize("name", ["hnerv", "nerv"])
def test_up_sampling_decoders_hold_what_they_say(name: str, strides: tuple[int, ...], width: int) -> None:
    video = VideoInfo(320, 240, 2)
    grid = covering_grid(320, 240, strides)
    family: AnyFamily = HNeRV() if name == "hnerv" else NeRV()
    config: Any = HNeRVConfig(grid, 3, width) if name == "hnerv" else NeRVConfig(grid, 2, width)
    measured, estimated = measured_and_estimated(family, config, video)
    assert 0.8 * estimated <= measured <= WITHIN * estimated


@pytest.mark.parametrize("channels", [1, 20])
@pytest.mark.parametrize("width", [1, 6, 30])
@pytest.mark.parametrize("strides", [(5, 4, 2, 2), (4, 2), (8, 8, 1, 1, 1, 1, 1, 1), (1, 1, 8)], ids=str)
def test_decoders_of_hierarchical_grids_hold_what_they_say(
    strides: tuple[int, ...], width: int, channels: int
) -> None:
    video = VideoInfo(320, 240, 2)
    grids = [TemporalGrid(0, 2, channels), TemporalGrid(0, 1, 1), TemporalGrid(len(strides), 2, channels)]
    widths, kernels = (width,) * (len(strides) + 1), (3,) * len(strides)
    config = HiNeRVConfig(covering_grid(320, 240, strides), widths, kernels, tuple(grids))
    measured, estimated = measured_and_estimated(HiNeRV(), config, video)
    assert 0.8 * estimated <= measured <= WITHIN * estimated


@pytest.mark.parametrize(("level", "count", "channels"), [(0, 32, 64), (1, 8, 64), (2, 8, 1), (2, 2, 64)])
def test_decoders_of_many_grids_at_a_level_hold_what_they_say(level: int, count: int, channels: int) -> None:
    grids = (TemporalGrid(0, 2, 1), *count * (TemporalGrid(level, 2, channels),))
    config = HiNeRVConfig(covering_grid(320, 240, (4, 2)), (12, 12, 1), (3, 1), grids)
    measured, estimated = measured_and_estimated(HiNeRV(), config, VideoInfo(320, 240, 2))
    assert 0.8 * estimated <= measured <= WITHIN * estimated


@pytest.mark.parametrize("width", [0, 8, 32, 64])
@pytest.mark.parametrize("is_smooth", [False, True])
def test_grids_hold_what_they_say(width: int, is_smooth: bool) -> None:
    """Renders a frame with two references and latents everywhere, which few files have."""
    video = VideoInfo(320, 240, 5)
    config = InrcConfig(15, 20, 4, width, is_smooth=is_smooth)
    decoder = random_grid_decoder(config, video)
    assert isinstance(decoder, CodesDecoder)
    with torch.inference_mode():
        with Alive() as whole:
            decoder.codes([1])
        with Alive() as between:
            decoder(torch.tensor([1.5]))
    estimated = Inrc().activation_count(config, video)
    # SPEC.md fixes the estimate, which was closer before synthesis held fewer values.
    assert 0.7 * estimated <= whole.most <= WITHIN * estimated
    assert between.most <= 2 * estimated
