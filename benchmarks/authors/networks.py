"""Networks to compare with the authors' code, and our results for the pattern of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.authors.layout import Array, decoder_pairs, encoder_pairs, encoders, uniform
from inrcodec.models.family import TrainedFamily, VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.layers.layout import Grid
from inrcodec.models.nerv import NeRV, NeRVConfig
from inrcodec.models.snerv.snerv import SNeRV, SNeRVConfig
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.snerv.temporal import SNeRVTConfig

FRAME_COUNT = 3
SAMPLES = 24
FAMILIES: dict[str, TrainedFamily[Any]] = {
    family.name: family for family in (HNeRV(), NeRV(), SNeRV(), SNeRVT())
}


@dataclass(frozen=True)
class Case:
    """A small network that renders quickly; its narrowest stages have the minimum width, 12."""

    name: str
    family: str
    config: Any


SMALL = (
    Case("hnerv", "hnerv", HNeRVConfig(Grid(2, 3, (3, 2, 2, 2)), embedding_channels=6, width=18)),
    Case("hnerv ablation", "hnerv", HNeRVConfig(Grid(2, 3, (3, 2, 2, 2)), 6, 30, (3, 7), reduction=150)),
    Case("nerv", "nerv", NeRVConfig(Grid(2, 3, (3, 2, 2)), frequencies=80, width=26)),
    Case("snerv", "snerv", SNeRVConfig(Grid(2, 3, (2, 3, 2)), embedding_channels=6, width=18, blocks=2)),
    # The authors' code needs five stages, and only supports the temporal strides of certain frame sizes.
    Case("snerv-t", "snerv-t", SNeRVTConfig(Grid(1, 2, (3, 2, 2, 2, 2)), 6, 3, (3, 2), width=20, blocks=1)),
)
BUNNY = VideoInfo(1280, 640, 132)
_LARGE = Grid(2, 4, (5, 4, 4, 2, 2))
_BANDS = Grid(2, 4, (5, 4, 2, 2, 2))
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "hnerv": tuple(HNeRVConfig(_LARGE, 16, width) for width in (32, 48, 68, 97)),
    "nerv": tuple(NeRVConfig(Grid(8, 16, (5, 4, 2, 2)), 80, width) for width in (15, 30, 54, 91)),
    "snerv": tuple(
        SNeRVConfig(_BANDS, 16, width, blocks) for width, blocks in ((41, 2), (57, 3), (81, 4), (111, 6))
    ),
    "snerv-t": (
        SNeRVTConfig(_BANDS, 16, 3, (2, 2, 2), width=39, blocks=2),
        SNeRVTConfig(_BANDS, 16, 3, (2, 2, 2), width=61, blocks=3),
        SNeRVTConfig(_BANDS, 16, 3, (2,), width=103, blocks=6),
    ),
}
"""Networks of the papers' tables for Bunny; for NeRV, those that the authors' code chooses for 0.35, 0.75,
1.5 and 3 million parameters."""


def source_clip(video: VideoInfo) -> NDArray[np.uint8]:
    """Frames (T, height, width, 3) with a moving gradient and noise."""
    frame, row, column, colour = np.indices((video.frame_count, video.height, video.width, 3))
    noise = uniform("clip", frame.shape)
    smooth = (5 * row + (3 + colour) * column + 17 * frame + 40 * colour) % 200
    clip: NDArray[np.uint8] = (smooth + 27 + 20 * noise).astype(np.uint8)
    return clip


def frame_tensors(family: str, config: Any, video: VideoInfo) -> dict[str, Array]:
    """Per-frame tensors in our layout with pattern values: embeddings, and ranges of the low-pass band."""
    tensors = {}
    for spec in FAMILIES[family].tensors(config, video):
        if spec.per_frame:
            scale = 0.25 if spec.name == "range" else 1.0
            tensors[spec.name] = (scale * uniform(spec.name, spec.shape)).astype(np.float32)
    return tensors


def video_of(family: str, config: Any) -> VideoInfo:
    """A clip of a few frames as large as the network's output, because the authors' code does not crop."""
    width, height = FAMILIES[family].coded_size(config, BUNNY)
    return VideoInfo(width, height, FRAME_COUNT)


def parameter_count(family: str, config: Any) -> int:
    """Number of transmitted weights and biases of the decoder, without embeddings."""
    specs = FAMILIES[family].tensors(config, BUNNY)
    return sum(spec.count for spec in specs if not spec.per_frame)


def our_tensors(family: str, config: Any, video: VideoInfo) -> dict[str, Array]:
    """Every transmitted tensor by name, as a file would contain it."""
    weights = {pair.ours: pair.convert(pair.values) for pair in decoder_pairs(family, config)}
    return frame_tensors(family, config, video) | weights


def our_frames(family: str, config: Any, video: VideoInfo, tensors: Mapping[str, Array]) -> Array:
    """All frames (T, 3, height, width), rendered by our decoder as one batch in float32."""
    import torch

    held = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
    with torch.inference_mode():
        decoder = FAMILIES[family].decoder(config, video, held)
        rendered: Array = decoder(torch.arange(video.frame_count)).numpy()
    return rendered


def our_embeddings(family: str, config: Any, video: VideoInfo) -> dict[str, Array]:
    """Per-frame tensors by name that our encoders produce from `source_clip`, all frames as one batch.

    Raises `ValueError` if the encoders' parameters differ from those of the pattern.
    """
    import torch

    from inrcodec.models.source import SourceFrames

    representation = FAMILIES[family].representation(config, video, seed=1)
    state = {
        f"{ours}.network.{pair.ours}": torch.from_numpy(pair.convert(pair.values))
        for theirs, ours, strides, channels in encoders(family, config)
        for pair in encoder_pairs(theirs, strides, channels)
    }
    encoders_state = {name for name in representation.module.state_dict() if not name.startswith("named.")}
    if set(state) != encoders_state:
        raise ValueError(f"parameters of encoders differ: {sorted(set(state) ^ encoders_state)}")
    representation.module.load_state_dict({**representation.module.state_dict(), **state})
    indices = torch.arange(video.frame_count)
    with torch.inference_mode():
        frames = SourceFrames(torch.from_numpy(source_clip(video)), indices)
        made = representation.transmitted(frames, indices)
    return {name: made[name].numpy() for name in frame_tensors(family, config, video)}


def figures(values: Array) -> dict[str, Any]:
    """The recorded figures of an array: mean, standard deviation, and some values by flat index."""
    flat = values.astype(np.float64).ravel()
    # Multiples of the golden ratio spread evenly over the array and hit different rows and columns.
    indices = (np.arange(1, SAMPLES + 1) * flat.size * 0.6180339887).astype(np.int64) % flat.size
    samples = {str(index): round(float(flat[index]), 8) for index in indices.tolist()}
    return {"mean": round(flat.mean(), 8), "deviation": round(flat.std(), 8), "samples": samples}
