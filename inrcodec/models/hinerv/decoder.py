"""The torch side of HiNeRV: features at a time, the decoder, and what a fit trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.family import ParameterGroup, VideoInfo
from inrcodec.models.hinerv.first_grids import start_grids
from inrcodec.models.hinerv.shapes import HiNeRVConfig
from inrcodec.models.layers.blocks import ConvolutionNetwork, frames_at, initial_parameters
from inrcodec.models.layers.trainable import MANY_STEPS, Trainable, capped_groups
from inrcodec.models.source import SourceFrames

GRID_RANGE = 0.1
"""Values of grids begin between this and its negative."""
GRID_RATE = 6.0
"""Learning rate of grids over that of other parameters: a step changes only the moments next to a frame."""


class HiNeRVRepresentation:
    """Trains the grids and the decoder's tensors; there is no encoder."""

    def __init__(self, config: HiNeRVConfig, video: VideoInfo, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        grids = {
            name: torch.empty(one.moments, one.channels, *config.cells(one.level)).uniform_(
                -GRID_RANGE, GRID_RANGE, generator=generator
            )
            for name, one in config.named_grids.items()
        }
        layers = [layer for layer, _ in config.layers]
        self.module = Trainable({**grids, **initial_parameters(layers, generator)}, encoder=None)

    def start_from(self, clip: Tensor) -> None:
        """Start the grids from averages of the frames; see `first_grids`."""
        start_grids(self._config, self.module.tensors(), clip)

    def groups(self) -> tuple[ParameterGroup, ...]:
        matrices, others = capped_groups(self.module, self._config.widths[0], MANY_STEPS)
        tensors = self.module.tensors()
        known = {id(tensors[name]) for name in self._config.named_grids}
        grids = tuple(one for one in others.parameters if id(one) in known)
        biases = tuple(one for one in others.parameters if id(one) not in known)
        features = ParameterGroup(grids, GRID_RATE, highest_rate=GRID_RATE * others.highest_rate)
        return matrices, replace(others, parameters=biases), features

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = self.module.tensors()
        return tensors

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        features = features_at(self._config, self._video, tensors, indices)
        return rendered(self._config, self._video, tensors, features)


def features_at(
    config: HiNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor], positions: Tensor
) -> dict[str, Tensor]:
    """The features (B, channels, rows, columns) of each grid at `positions` (B,), counted in frames."""
    # Places between moments are computed in float64, so that machines agree; Apple's GPUs have none.
    exact = (positions if positions.device.type != "mps" else positions.cpu()).double()
    exact = exact.clamp(max=video.frame_count - 1)
    features = {}
    for name, one in config.named_grids.items():
        if one.moments == 1:
            same = tensors[name].expand(len(positions), -1, -1, -1)
            features[name] = same.contiguous(memory_format=torch.channels_last)
            continue
        places = exact * ((one.moments - 1) / max(video.frame_count - 1, 1))
        on_device = places if positions.device.type != "mps" else places.float().to(positions.device)
        # Without a name of their own, as the copy before last would live as long as the next grid's features.
        features[name] = frames_at(tensors[name], on_device).contiguous(memory_format=torch.channels_last)
    return features


def rendered(
    config: HiNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor], features: Mapping[str, Tensor]
) -> Tensor:
    """Frames (B, 3, height, width) of the features of all grids."""
    network = ConvolutionNetwork([layer for layer, _ in config.layers], tensors)

    def joined(level: int) -> Tensor:
        found = [features[name] for name, one in config.named_grids.items() if one.level == level]
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    current = F.gelu(network("stem", joined(0)))
    for level in range(1, len(config.grid.strides) + 1):
        current = F.gelu(network(f"stage{level}", current))
        if config.channels(level):
            # Not by `convolve`, whose copy would be a third result of this size at the same time.
            weight, bias = tensors[f"mix{level}.weight"], tensors[f"mix{level}.bias"]
            current = F.conv2d(joined(level), weight, bias).add_(current)
    frames = torch.tanh(network("head", current).float()) * 0.5 + 0.5
    return frames[:, :, : video.height, : video.width]
