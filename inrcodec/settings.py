"""What a person can ask of an encode or a decode, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_BPP = 0.06


@dataclass(frozen=True)
class Preset:
    """How long and how hard to fit when neither `--time` nor `--epochs` says so."""

    epochs: int
    learning_rate: float
    batch_frames: int
    noise_from: float = 0.0
    """Share of the fit from which values carry quantisation noise and bits are charged for."""
    rounding_from: float = 0.75
    """Share of the fit from which values are rounded."""


PRESETS: Mapping[str, Preset] = {
    "draft": Preset(epochs=15, learning_rate=8e-3, batch_frames=1),
    "fast": Preset(epochs=50, learning_rate=8e-3, batch_frames=1),
    "medium": Preset(epochs=150, learning_rate=8e-3, batch_frames=1),
    "slow": Preset(epochs=600, learning_rate=5e-3, batch_frames=1),
    # The authors' settings (HNeRV, section 4.1); quantisation enters for the last tenth only.
    "paper": Preset(epochs=300, learning_rate=1e-3, batch_frames=2, noise_from=0.9, rounding_from=0.95),
}


@dataclass(frozen=True)
class FrameRange:
    """Frames `start` to `stop` (exclusive) of a video; `stop` None means to the end."""

    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Size:
    """Width and height of a frame, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class SourceSettings:
    """Which part of the input video is encoded: frames, then a centre crop, then a scale."""

    frames: FrameRange = FrameRange()
    crop: Size | None = None
    scale: Size | None = None
    bit_depth: int | None = None
    """8 reduces a deeper source; None refuses it."""
    every: int = 1
    """Only frames 0, N, 2N, ... of `frames`, at an N-th of the frame rate."""


@dataclass(frozen=True)
class EncodeSettings:
    """Everything `inrc encode` can be told, with the defaults of the command line."""

    model: str = "hnerv"
    model_options: Mapping[str, str] = field(default_factory=dict)
    preset: str = "medium"
    bpp: float | None = None
    size_bytes: int | None = None
    time_seconds: float | None = None
    """Wall-clock budget of the whole command, in seconds."""
    started: float | None = None
    """`time.monotonic()` at which the budget began; None for the call of `encode`."""
    epochs: float | None = None
    device: str = "auto"
    seed: int = 0
    source: SourceSettings = SourceSettings()
    mask: str | None = None
    """An image, or a video of as many frames as are encoded: white pixels are holes to be filled."""
    overwrite: bool = False


@dataclass(frozen=True)
class DecodeSettings:
    """Everything `inrc decode` can be told."""

    frames: FrameRange = FrameRange()
    device: str = "auto"
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`."""
    fps_scale: int = 1
    """K times as many frames a second: K - 1 are interpolated between two coded ones."""
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False
