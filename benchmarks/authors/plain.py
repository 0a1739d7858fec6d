"""The speed reference: a straightforward HNeRV that runs like its authors' code (float32, contiguous NCHW).

It uses the obvious layers of torch and none of ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

ENCODER_CHANNELS = 64
BATCH_FRAMES = 2
LEARNING_RATE = 1e-3


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


class _Norm(nn.Module):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        normed: Tensor = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed.contiguous()


class _ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _Norm(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        self.gamma = nn.Parameter(1e-6 * torch.ones(channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        residual: Tensor = self.gamma * self.layers(features)
        return features + residual


class PlainEncoder(nn.Module):
    """The ConvNeXt encoder of HNeRV, section 3.1: a strided convolution and one block per stage."""

    def __init__(self, embedding_channels: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        incoming = 3
        for number, stride in enumerate(strides):
            outgoing = embedding_channels if number == len(strides) - 1 else ENCODER_CHANNELS
            down = nn.Conv2d(incoming, outgoing, stride, stride)
            layers += [_Norm(incoming), down] if layers else [down, _Norm(outgoing)]
            layers.append(_ConvNeXtBlock(outgoing))
            incoming = outgoing
        self.layers = nn.Sequential(*layers)
        for layer in self.layers.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, frames: Tensor) -> Tensor:
        embeddings: Tensor = self.layers(frames)
        return embeddings


def batches(frames: Tensor) -> tuple[Iterator[Tensor], int]:
    """An endless iterator of batches of frames (T, ...), shuffled each epoch, and the batches per epoch."""
    loader = DataLoader(TensorDataset(frames), BATCH_FRAMES, shuffle=True, drop_last=True)

    def forever() -> Iterator[Tensor]:
        while True:
            for (batch,) in loader:
                yield batch

    return forever(), len(loader)


class PlainTraining:
    """Trains encoder and decoder jointly with a data loader and Adam; reads the loss after every step."""

    def __init__(
        self,
        frames: Tensor,
        embedding_channels: int,
        width: int,
        strides: tuple[int, ...],
        epochs: int,
        device: torch.device,
    ) -> None:
        """`frames` (T, 3, H, W) are float32 in [0, 1]; `epochs` is the length of the cosine schedule."""
        torch.manual_seed(0)
        self.device = device
        self.encoder = PlainEncoder(embedding_channels, strides).to(device)
        self.decoder = PlainHNeRV(embedding_channels, width, strides).to(device)
        self._batches, each = batches(frames)
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self._optimizer = torch.optim.Adam(parameters, LEARNING_RATE, betas=(0.9, 0.999))
        self.total_steps = epochs * each
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, self.total_steps)

    def step(self) -> float:
        """Do one step and return its mean squared error."""
        frames = next(self._batches).to(self.device)
        loss = F.mse_loss(self.decoder(self.encoder(frames)), frames)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        return loss.item()
