"""Layers that families share, as functions of their weights, so that a fit and a decode run the same code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.family import VideoInfo
from inrcodec.models.layout import Convolution, Grid


def shuffle_pixels(features: Tensor, stride: int) -> Tensor:
    """Pixel shuffle (B, stride^2 C, H, W) -> (B, C, stride H, stride W) of channels ordered (row, column, C).

    The order differs from `torch.nn.PixelShuffle`, which wants (C, row, column), by a fixed permutation of
    the channels; in channels-last memory it copies contiguous runs and takes a quarter of the time.
    """
    if stride == 1:
        return features
    batch, channels, height, width = features.shape
    split = features.permute(0, 2, 3, 1).reshape(batch, height, width, stride, stride, channels // stride**2)
    merged = split.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * stride, width * stride, -1)
    return merged.permute(0, 3, 1, 2)


def upsample(
    layers: Iterable[Convolution],
    tensors: Mapping[str, Tensor],
    embedding: Tensor,
    grid: Grid,
    video: VideoInfo,
) -> Tensor:
    """Run an up-sampling decoder: embedding (B, d, h, w) -> frames (B, 3, height, width) in [0, 1].

    `tensors` holds `NAME.weight` and, for layers that have one, `NAME.bias` of each of the `layers` (see
    `layout`). An embedding of one vector a frame (NeRV) is spread over the grid after the stem. The coded
    frame is cropped to the display size.
    """
    features = embedding
    *body, head = layers
    for layer in body:
        features = F.gelu(shuffle_pixels(_convolve(features, layer, tensors), layer.stride))
        if layer.name == "stem" and features.shape[-2:] != (grid.rows, grid.columns):
            features = features.reshape(features.shape[0], -1, grid.rows, grid.columns)
            features = features.contiguous(memory_format=torch.channels_last)
    frames = torch.tanh(_convolve(features, head, tensors).float()) * 0.5 + 0.5
    return frames[:, :, : video.height, : video.width]


def _convolve(features: Tensor, layer: Convolution, tensors: Mapping[str, Tensor]) -> Tensor:
    weight = tensors[f"{layer.name}.weight"]
    return F.conv2d(features, weight, tensors.get(f"{layer.name}.bias"), padding=layer.kernel // 2)


def kaiming_uniform_(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """PyTorch's default initialisation of a convolution: uniform within 1/sqrt(fan in)."""
    fan_in = shape[1] * shape[2] * shape[3]
    bound = fan_in**-0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def initial_parameters(layers: Iterable[Convolution], generator: torch.Generator) -> dict[str, Tensor]:
    """Weights and biases of convolutions as PyTorch initialises them, drawn from `generator`."""
    parameters: dict[str, Tensor] = {}
    for layer in layers:
        weight = kaiming_uniform_(layer.weight_shape, generator)
        bound = (weight[0].numel()) ** -0.5
        parameters[f"{layer.name}.weight"] = weight
        parameters[f"{layer.name}.bias"] = torch.empty(layer.bias_count).uniform_(
            -bound, bound, generator=generator
        )
    return parameters


def position_encoding(times: Tensor, base: float, frequencies: int) -> Tensor:
    """NeRV's input: sin and cos of base^i pi t for i in 0..frequencies-1 (NeRV, section 3.1).

    `times` (B,) in [0, 1) gives (B, 2 x frequencies, 1, 1).
    """
    bases = torch.tensor([base**i * torch.pi for i in range(frequencies)], device=times.device)
    phases = times[:, None] * bases
    return torch.cat([torch.sin(phases), torch.cos(phases)], dim=1)[:, :, None, None]
