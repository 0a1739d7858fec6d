"""The ConvNeXt encoder that makes a frame's embedding while a model is fitted; it is never transmitted.

    frame (3, H, W) -> per stage: strided convolution, layer norm, one ConvNeXt block -> embedding (d, h, w)

HNeRV section 3.1 and Table 15: one block per stage, 64 channels, d in the last stage, the decoder's strides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 64


class _Convolution(nn.Conv2d):
    """A convolution whose weights only `ConvNeXtEncoder.initialise` sets."""

    def reset_parameters(self) -> None:
        """Leave them as they are: PyTorch would draw them from the generator of the process."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        last = features.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, norm, 1x1 to 4C, GELU, 1x1 to C, scaled residual (Liu et al. 2022, section 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = _Convolution(channels, channels, 7, padding=3, groups=channels)
        self.norm = ChannelNorm(channels)
        self.expand = _Convolution(channels, 4 * channels, 1)
        self.project = _Convolution(4 * channels, channels, 1)
        self.gamma = nn.Parameter(1e-6 * torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.gelu(self.expand(self.norm(self.depthwise(features))))
        residual: Tensor = self.gamma[:, None, None] * self.project(hidden)
        return features + residual


class ConvNeXtEncoder(nn.Module):
    """Frames (B, 3, H, W) -> embeddings (B, d, H/P, W/P), P the product of `strides`."""

    def __init__(self, strides: tuple[int, ...], embedding_channels: int, channels: int = CHANNELS) -> None:
        super().__init__()
        widths = [channels] * (len(strides) - 1) + [embedding_channels]
        stages: list[nn.Module] = []
        incoming = 3
        for stride, outgoing in zip(strides, widths, strict=True):
            down = _Convolution(incoming, outgoing, stride, stride)
            # The first stage normalises its output, the others their input.
            norm_then_down = [down, ChannelNorm(outgoing)] if not stages else [ChannelNorm(incoming), down]
            stages.append(nn.Sequential(*norm_then_down, ConvNeXtBlock(outgoing)))
            incoming = outgoing
        self.stages = nn.Sequential(*stages)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw truncated normal weights of deviation 0.02 and set biases to zero, as in ConvNeXt."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor) -> Tensor:
        embeddings: Tensor = self.stages(frames)
        return embeddings
