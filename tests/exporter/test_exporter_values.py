"""Values stored per frame: written a few frames at a time, in the smallest type, compressed if worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inrcodec.exporter.values import CHUNK_FRAMES, read_stored, write_stored
from inrcodec.models.family import VideoInfo
from inrcodec.models.graphs import GraphDecoder, Stored
from inrcodec.models.layers.layout import covering_grid
from inrcodec.models.nerv import NeRV, NeRVConfig

LONG = 2 * CHUNK_FRAMES + 3
PLACES = (0, 1, CHUNK_FRAMES - 1, CHUNK_FRAMES, LONG - 1)


@pytest.mark.parametrize("largest", [1, 127, 128, 40_000])
@pytest.mark.parametrize("is_noise", [False, True])
def test_integers_come_back(tmp_path: Path, largest: int, is_noise: bool) -> None:
    values = torch.zeros((LONG, 3, 4), dtype=torch.int32)
    if is_noise:
        values = torch.randint(-largest, largest + 1, (LONG, 3, 4), dtype=torch.int32)
    values[-1, 0, 0] = largest
    stored = write_stored(tmp_path, "a.bin", Stored(values, 0.5))
    assert stored.type == ("int8" if largest < 128 else "int16" if largest < 32768 else "int32")
    for place in PLACES:
        assert np.array_equal(read_stored(tmp_path, stored, place)[0], 0.5 * values[place].numpy())


def test_computed_values_are_those_of_the_decoder(tmp_path: Path) -> None:
    video = VideoInfo(31, 23, LONG)
    config = NeRVConfig(covering_grid(31, 23, (4, 2)), 4, 5)
    tensors = {spec.name: torch.randn(spec.shape) for spec in NeRV().tensors(config, video)}
    decoder = NeRV().decoder(config, video, tensors)
    assert isinstance(decoder, GraphDecoder)
    graphs = decoder.graphs()
    assert len(graphs.stored["encoding"].values) == LONG
    stored = write_stored(tmp_path, "a.bin", graphs.stored["encoding"])
    for place in PLACES:
        value = torch.from_numpy(read_stored(tmp_path, stored, place))
        assert torch.equal(graphs.shown.function(value)[0], decoder(torch.tensor([place])))
