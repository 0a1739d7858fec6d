"""Networks whose speed is measured: ours, the plain one and the authors', all on the same frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.authors.plain import BATCH_FRAMES, PlainTraining
from benchmarks.authors.programs import Authors, AuthorsTraining
from benchmarks.record import BENCHMARK_CLIPS
from inrcodec.fit.quantiser import Quantiser
from inrcodec.fit.training.loop import Fit, FitSettings
from inrcodec.fit.training.pruning import PrunedRepresentation
from inrcodec.models.family import Config, TrainedFamily, VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.source import SourceFrames
from inrcodec.settings.presets import PRESETS, Preset
from inrcodec.settings.source import FrameRange
from inrcodec.system.device import autocast, choose_device, compute_dtype
from inrcodec.video import read_clip

SYMBOL_BITS = 6.0
"""Target bits per symbol, about as at 0.06 bpp."""


@dataclass(frozen=True)
class Network:
    """A network and the frames to measure it on."""

    name: str
    clip: str
    width: int
    frames: int
    turns: int
    """Frames per turn."""


NETWORKS = (
    Network("0.35M at 320x160", "bunny-quarter", 44, 16, 32),
    Network("0.75M at 1280x640", "bunny", 48, 4, 4),
    Network("1.5M at 1280x640", "bunny", 68, 4, 4),
    Network("3M at 1280x640", "bunny", 97, 4, 4),
)


@dataclass(frozen=True)
class Contenders:
    """One network on the same frames: our version, the plain one and, with a checkout, the authors'."""

    network: Network
    frames: Tensor
    """(T, H, W, 3) uint8."""
    video: VideoInfo
    config: HNeRVConfig
    checkout: Path | None = None
    """Checkout of the authors' code."""

    @staticmethod
    def of(network: Network, checkout: Path | None = None) -> Contenders:
        clip = BENCHMARK_CLIPS[network.clip]
        source = replace(clip.source, frames=FrameRange(0, network.frames), audio=False)
        frames = torch.from_numpy(read_clip(clip.path, source).frames)
        video = VideoInfo(frames.shape[2], frames.shape[1], len(frames))
        config = HNeRV().plan(video, 1e9, {"width": str(network.width)}, 0)
        return Contenders(network, frames, video, config, checkout)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.video.height, self.video.width

    @property
    def parameter_count(self) -> int:
        return sum(spec.count for spec in HNeRV().tensors(self.config, self.video) if not spec.per_frame)

    def plain(self, epochs: int = 300) -> PlainTraining:
        config, frames, device = self.config, self._images(), choose_device("auto")
        return PlainTraining(
            frames, config.embedding_channels, config.width, config.grid.strides, epochs, device
        )

    def authors(self, epochs: int = 300) -> AuthorsTraining:
        """The authors' training; raises `ValueError` without a checkout of their code."""
        if self.checkout is None:
            raise ValueError("the authors' code needs a checkout; name it with --authors")
        code = Authors(self.checkout)
        return AuthorsTraining(code, self.config, self._images(), epochs, choose_device("auto"))

    def rival(self, name: str) -> PlainTraining | AuthorsTraining:
        """The training named `plain` or `authors`."""
        return self.plain() if name == "plain" else self.authors()

    def embedding(self, count: int) -> Tensor:
        """A random embedding for `count` frames, (B, d, h, w) float32."""
        grid = self.config.grid
        return torch.randn(count, self.config.embedding_channels, grid.rows, grid.columns)

    def _images(self) -> Tensor:
        """(T, 3, H, W) float32 in [0, 1]."""
        return self.frames.permute(0, 3, 1, 2).contiguous().float() / 255

    def ours(self, is_coded: bool = True) -> Fit:
        """A fit as `fit.network_training` sets it up with the default preset; of floats unless `is_coded`."""
        preset = PRESETS["medium"]
        if is_coded:
            preset = replace(preset, batch_frames=BATCH_FRAMES)
        clip = self.frames.to(choose_device("auto"))
        return fit_of(HNeRV(), self.config, self.video, clip, preset, is_coded)


def fit_of(
    family: TrainedFamily[Config],
    config: Config,
    video: VideoInfo,
    clip: Tensor,
    preset: Preset,
    is_coded: bool,
) -> Fit:
    """A fit of a network to `clip`, on its device, as `fit.network_training` sets it up."""
    device, specs = clip.device, family.tensors(config, video)
    network = PrunedRepresentation(family.representation(config, video, 0), specs, 0.0)
    network.module.to(device)
    network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    dtype, indices = compute_dtype("auto", device), torch.arange(BATCH_FRAMES, device=device)
    with torch.no_grad(), autocast(device, dtype):
        first = network.transmitted(SourceFrames(clip, indices), indices)
    settings = FitSettings(preset.learning_rate, preset.batch_frames, is_coded, 0, dtype, preset.optimizer)
    return Fit(network, Quantiser(specs, first, SYMBOL_BITS).to(device), clip, settings)
