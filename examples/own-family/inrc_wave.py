"""A model family of one's own: waves over time and place on a coarse grid, up-sampled three times by 2.

`pip install ./examples/own-family` registers it, and `inrc encode in.mp4 -o out.inrv --model wave` fits it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec import ModuleFamily
from inrcodec.models.family import VideoInfo

OCTAVES = 6
DOUBLINGS = 3


class WaveNetwork(nn.Module):
    """Maps times (B,) to frames (B, 3, rows, columns), a little larger than the video."""

    def __init__(self, width: int, video: VideoInfo) -> None:
        super().__init__()
        cell = 2**DOUBLINGS
        self.rows, self.columns = math.ceil(video.height / cell), math.ceil(video.width / cell)
        self.stem = nn.Conv2d(3 * 2 * OCTAVES, width, 1)
        self.stages = nn.ModuleList(nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(DOUBLINGS))
        self.head = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, times: Tensor) -> Tensor:
        features = F.gelu(self.stem(self.waves(times)))
        for stage in self.stages:
            features = F.gelu(F.pixel_shuffle(stage(features), 2))
        return torch.sigmoid(self.head(features))

    def waves(self, times: Tensor) -> Tensor:
        """Sines and cosines of time, row and column, each 0 to 1: (B, 36, rows, columns)."""
        size = (len(times), self.rows, self.columns)
        rows = torch.linspace(0, 1, self.rows, device=times.device)
        columns = torch.linspace(0, 1, self.columns, device=times.device)
        places = (times[:, None, None], rows[None, :, None], columns[None, None, :])
        octaves = [math.pi * 2**octave * place.expand(size) for place in places for octave in range(OCTAVES)]
        phases = torch.stack(octaves, 1)
        return torch.cat([phases.sin(), phases.cos()], 1)


class Wave(ModuleFamily):
    """The `wave` family. Its option is `width`, the channels on every grid."""

    wire_id = 200
    name = "wave"
    summary = "an example: waves over time and place, up-sampled by convolutions"
    largest_width = 256

    def network(self, width: int, video: VideoInfo) -> nn.Module:
        return WaveNetwork(width, video)
