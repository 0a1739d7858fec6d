"""The speed reference: HNeRV written the plain way, as its authors' code runs (float32, contiguous NCHW).

It exists to be measured against, so it uses the obvious layers and none of ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PlainHNeRV(nn.Module):
    """The decoder of HNeRV, section 3.1: 1x1 stem, stages of convolution, pixel shuffle and GELU, head."""

    def __init__(self, embedding_channels: int, width: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(embedding_channels, width, 1), nn.GELU()]
        channels = width
        for index, stride in enumerate(strides):
            narrowed, kernel = max(round(channels / 1.2), 12), min(1 + 2 * index, 5)
            layers += [
                nn.Conv2d(channels, narrowed * stride**2, kernel, padding=kernel // 2),
                nn.PixelShuffle(stride),
                nn.GELU(),
            ]
            channels = narrowed
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, embedding: Tensor) -> Tensor:
        """(B, d, h, w) -> (B, 3, H, W) in [0, 1]."""
        frames: Tensor = torch.tanh(self.layers(embedding)) * 0.5 + 0.5
        return frames
