"""First values of the grids of HiNeRV: averages of the frames around each moment, in principal components.

Random grids take most of a short fit to learn what the frames show, because only the frames next to a moment
change it. The average of those frames is nearly as good at once.

A cell of level 0 covers as many cells of level 1 as fit into it, each of the frames' mean colour: a vector.
The channels of level 0 start from the leading principal components of these vectors, those of level 1 from
the components of the colours that remain. Every channel is scaled to a standard deviation of `SPREAD`.
Channels that are left over stay random.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.hinerv.shapes import HiNeRVConfig
from inrcodec.models.source import SourceFrames

SPREAD = 0.4
"""About the standard deviation of grids after a fit."""
LEAST_SPREAD = 1e-4
"""A component that varies less has no content, and its channel stays random. White is 1."""


def start_grids(config: HiNeRVConfig, tensors: Mapping[str, Tensor], clip: Tensor) -> None:
    """Write the first values into the grids among `tensors`, from a clip (T, height, width, 3)."""
    rest = _colours(config, clip)
    for level, side in ((0, config.grid.strides[0]), (1, 1)):
        named = {name: one for name, one in config.named_grids.items() if one.level == level}
        vectors = _cells(rest, side)
        basis = _principal_components(vectors, config.channels(level))
        projected = (vectors - vectors.mean((0, 1, 2))) @ basis
        start = 0
        for name, one in named.items():
            # A slice, which may be empty or shorter: a list of channels would be copied to a GPU.
            chosen = projected[..., start : start + one.channels]
            _write(tensors[name].data, _averages(chosen, one.moments))
            start += one.channels
        rest = _joined(vectors - projected @ basis.T, side)


def _write(grid: Tensor, values: Tensor) -> None:
    """Write channels (moments, rows, columns, K) to the first K of a grid, if they have content."""
    for channel in range(values.shape[-1]):
        found = values[..., channel]
        spread = float(found.std(correction=0))
        if spread > LEAST_SPREAD:
            grid[:, channel].copy_(found * (SPREAD / spread))


def _colours(config: HiNeRVConfig, clip: Tensor) -> Tensor:
    """The mean colour in every cell of level 1, (T, rows, columns, 3)."""
    height, width = clip.shape[1:3]
    padding = (0, config.grid.coded_width - width, 0, config.grid.coded_height - height)
    means = []
    for index in torch.split(torch.arange(len(clip), device=clip.device), 1):
        padded = F.pad(SourceFrames(clip, index).current, padding, mode="replicate")
        means.append(F.adaptive_avg_pool2d(padded, config.cells(1)))
    return torch.cat(means).permute(0, 2, 3, 1)


def _cells(values: Tensor, side: int) -> Tensor:
    """(T, side R, side C, K) -> (T, R, C, side^2 K): what a coarser cell covers, as a vector."""
    frames, rows, columns, count = values.shape
    split = values.reshape(frames, rows // side, side, columns // side, side, count)
    return split.transpose(2, 3).flatten(3)


def _joined(vectors: Tensor, side: int) -> Tensor:
    """Inverse of `_cells`."""
    frames, rows, columns, _ = vectors.shape
    split = vectors.reshape(frames, rows, columns, side, side, -1).transpose(2, 3)
    return split.reshape(frames, rows * side, columns * side, -1)


def _principal_components(vectors: Tensor, most: int) -> Tensor:
    """The directions (K, at most `most`) in which vectors (T, R, C, K) vary most, of unit length."""
    flat = vectors.reshape(-1, vectors.shape[-1]).cpu()
    centred = flat - flat.mean(0)
    _, directions = torch.linalg.eigh((centred.T @ centred).double())
    leading: Tensor = directions.flip(1)[:, :most].to(vectors)
    return leading


def _averages(values: Tensor, moments: int) -> Tensor:
    """Means (moments, ...) of values (T, ...), weighted as frames depend on the moment."""
    last = len(values) - 1
    spacing = last / max(moments - 1, 1)
    times = torch.arange(len(values), device=values.device)
    if moments == 1 or last == 0:
        weights = values.new_ones(moments, len(values))
    else:
        centres = torch.linspace(0, last, moments, device=values.device)
        weights = (1 - (times - centres[:, None]).abs() / spacing).clamp(min=0)
    return torch.einsum("mt,t...->m...", weights / weights.sum(1, keepdim=True), values)
