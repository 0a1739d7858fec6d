"""The torch side of `snerv_t`: temporal embeddings and temporal up-sampling blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec.models.family import ParameterGroup, VideoInfo
from inrcodec.models.layers.blocks import ConvolutionNetwork
from inrcodec.models.layers.trainable import (
    MANY_SPECTRAL_STEPS,
    FrameEncoder,
    Trainable,
    capped_groups,
    required,
)
from inrcodec.models.snerv.spectral import LEAST_STAGES
from inrcodec.models.snerv.spectral_blocks import (
    initial_spectral_parameters,
    leaky,
    normalised_low_bands,
    render_bands,
)
from inrcodec.models.snerv.temporal import SPATIAL_STAGES, SNeRVTConfig
from inrcodec.models.source import SourceFrames


class SNeRVTRepresentation:
    """Trains the decoder's tensors, and the three encoders that make the embeddings."""

    def __init__(self, config: SNeRVTConfig, video: VideoInfo, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        encoder = FrameEncoder(config.grid, config.embedding_channels, generator)
        self.module = Trainable(initial_spectral_parameters(config.convolutions, generator), encoder)
        self._temporal = nn.ModuleList(
            FrameEncoder(config.temporal_grid, config.temporal_channels, generator) for _ in range(2)
        )
        self.module.add_module("temporal_encoders", self._temporal)

    def groups(self) -> tuple[ParameterGroup, ...]:
        return capped_groups(self.module, self._config.width, MANY_SPECTRAL_STEPS)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        source = required(frames)
        images = [source.shifted(-1), source.current, source.shifted(1)]
        (before, now, after), band_range = normalised_low_bands(images)
        # Haar low-pass of two moments, halved as in the authors' code.
        temporal = [
            encoder((now + other) / (2 * math.sqrt(2)))
            for encoder, other in zip(self._temporal, (before, after), strict=True)
        ]
        embeddings = {"embedding": self.module.encode(now), "temporal": torch.cat(temporal, dim=1)}
        return {**embeddings, "range": band_range, **self.module.tensors()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return render(self._config, self._video, tensors)


def render(config: SNeRVTConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> Tensor:
    """Render frames (B, 3, height, width) from embeddings, temporal embeddings and ranges of B frames."""
    network = ConvolutionNetwork(config.convolutions, tensors)
    features, outputs = F.gelu(network("stem", tensors["embedding"])), []
    before, after = (
        _temporal_features(network, config, embedding) for embedding in tensors["temporal"].chunk(2, dim=1)
    )
    stage_count = len(config.grid.strides)
    for number in range(1, stage_count + 1):
        name = f"stage{number}"
        if number <= SPATIAL_STAGES:
            features = _spatial_block(network, name, features)
        else:
            moments = [before, features, after]
            before, features, after = _temporal_block(network, tensors, name, moments, number == stage_count)
        if number > stage_count - LEAST_STAGES:
            outputs.append(features)
    return render_bands(network, outputs, config.blocks, tensors["range"], video)


def _temporal_features(network: ConvolutionNetwork, config: SNeRVTConfig, embedding: Tensor) -> Tensor:
    """A temporal embedding up-sampled to the resolution of the second stage."""
    features = F.gelu(network("temporal.stem", embedding))
    for number in range(1, len(config.temporal_strides) + 1):
        features = network(f"temporal.up{number}", features)
    return features


def _spatial_block(network: ConvolutionNetwork, name: str, features: Tensor) -> Tensor:
    """Transposed convolution, then two convolutions around a residual connection."""
    upper = network(f"{name}.now", features)
    widened = leaky(network(f"{name}.widen", upper))
    return leaky(network(f"{name}.narrow", widened)) + upper


def _temporal_block(
    network: ConvolutionNetwork,
    tensors: Mapping[str, Tensor],
    name: str,
    moments: list[Tensor],
    is_last: bool,
) -> list[Tensor]:
    """Apply a temporal up-sampling block to the features before, now and after (SNeRV, section 3.3).

    Each moment is up-sampled by its own transposed convolution. Two 3D convolutions with a residual
    connection mix them. The last block computes "now" only.
    """
    names = [f"{name}.{moment}" for moment in ("before", "now", "after")]
    # The three are freed once they are concatenated, which saves a third of the memory.
    side_by_side = torch.cat(
        [network(layer, features) for layer, features in zip(names, moments, strict=True)], dim=1
    )
    widened = leaky(_over_time(side_by_side, tensors, f"{name}.widen"))
    if is_last:
        now = leaky(network(f"{name}.narrow", widened)) + side_by_side.chunk(3, dim=1)[1]
        return [now, now, now]
    mixed = leaky(_over_time(widened, tensors, f"{name}.narrow")) + side_by_side
    return list(mixed.chunk(3, dim=1))


def _over_time(moments: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """A zero-padded 3x3x3 convolution of three moments (B, 3 C, H, W), as one 2D convolution.

    The weight (C', 3 C, 3, 3) contains the taps for the moment before, the same and the one after. The result
    (B, 3 C', H, W) has the moments side by side, too.
    """
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    earlier, same, later = weight.chunk(3, dim=1)
    nothing = torch.zeros_like(same)
    rows = ([same, later, nothing], [earlier, same, later], [nothing, earlier, same])
    whole = torch.cat([torch.cat(row, dim=1) for row in rows])
    return F.conv2d(moments, whole, bias.repeat(3), padding=1)
