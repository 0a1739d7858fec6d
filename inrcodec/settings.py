"""What a person can ask of an encode or a decode, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

DEFAULT_BPP = 0.06
AUTO = "auto"
"""The model where none is named; see `models.registry.family_of`."""
SegmentRule = int | Literal["auto", "scene"]
"""How a video is cut: into so many frames, where memory needs it, or where scenes change too."""
CHECKPOINT_SECONDS = 60.0
MOST_PRUNED = 0.95
"""Largest share of the weights that `--prune` sets to zero."""
FEWEST_BITS, MOST_BITS = 2, 12
"""What `--weight-bits` and `--embedding-bits` may be."""
METRICS = ("psnr", "yuv", "ssim", "ms-ssim", "flip")
"""What `inrc eval` measures; see `frame_metrics`."""
COMPARISON_SECONDS = 300.0
"""Wall clock of all our encodes of `inrc compare`, where nothing says how long to fit."""
MOST_FPS_SCALE = 64
"""Most times the frames that a decode interpolates: 24 frames a second become 1536."""


@dataclass(frozen=True)
class LossNeeds:
    """What must be there before a loss can be computed."""

    least_side: int = 1
    """Pixels that a frame's height and width have at least."""
    metrics: bool = False
    """Whether it needs the extra `metrics` (pytorch-msssim)."""


LOSSES: Mapping[str, LossNeeds] = {
    "l2": LossNeeds(),
    "l1": LossNeeds(),
    # SSIM has a window of 11 pixels; of MS-SSIM it must fit after four halvings, of `wavelet` after one.
    "l1+ssim": LossNeeds(11, metrics=True),
    "l1+ms-ssim": LossNeeds(161, metrics=True),
    "wavelet": LossNeeds(21, metrics=True),
}
"""What a fit can minimise; see `training.losses`."""
OPTIMIZERS = ("muon", "adam")
"""What can fit the weights of convolutions; see `training.optimizers`."""


@dataclass(frozen=True)
class MinMaxBits:
    """Bits of min-max quantisation; entropy coding takes fewer."""

    weight: int
    """Of a weight or bias."""
    embedding: int
    """Of a value of an embedding."""


@dataclass(frozen=True)
class Preset:
    """How to fit and to quantise, where no option says otherwise."""

    epochs: int
    learning_rate: float
    batch_frames: int
    optimizer: str = "muon"
    """One of `OPTIMIZERS`."""
    noise_from: float = 0.0
    """Share of the fit from which values carry quantisation noise and bits are charged for."""
    rounding_from: float = 0.75
    """Share of the fit from which values are rounded."""
    loss: str = "l2"
    prune: float = 0.0
    """Share of the weights that are set to zero."""
    prune_at: float = 0.75
    """Share of the fit after which they are; the rest fine-tunes what is left."""
    minmax: MinMaxBits | None = None
    """Quantise after a fit of float values; None learns the steps, and charges for bits, while fitting."""


PRESETS: Mapping[str, Preset] = {
    "draft": Preset(epochs=15, learning_rate=8e-3, batch_frames=1),
    "fast": Preset(epochs=50, learning_rate=8e-3, batch_frames=1),
    "medium": Preset(epochs=150, learning_rate=8e-3, batch_frames=1),
    "slow": Preset(epochs=600, learning_rate=5e-3, batch_frames=1),
    # The authors' pipeline (HNeRV, sections 3.2 and 4.1, appendix A.2; bits of SNeRV, appendix D.1).
    "paper": Preset(
        epochs=300,
        learning_rate=1e-3,
        batch_frames=2,
        optimizer="adam",
        prune=0.1,
        minmax=MinMaxBits(8, 6),
    ),
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
    stream: int | None = None
    """Which of several video streams, from 0; None for the best."""
    audio: bool = True
    """Whether sound and subtitles are carried."""


@dataclass(frozen=True)
class EncodeSettings:
    """Everything `inrc encode` can be told, with the defaults of the command line."""

    model: str = AUTO
    model_options: Mapping[str, str] = field(default_factory=dict)
    preset: str = "medium"
    bpp: float | None = None
    size_bytes: int | None = None
    psnr_db: float | None = None
    """The mean PSNR that the smallest file is searched for which reaches it, in place of a size."""
    time_seconds: float | None = None
    """Wall-clock budget of the whole command, in seconds."""
    started: float | None = None
    """`time.monotonic()` at which the budget began; None for the call of `encode`."""
    epochs: float | None = None
    device: str = "auto"
    seed: int = 0
    parameters: int | None = None
    """Transmitted values that the network has at most; None for what the target's bits pay for."""
    learning_rate: float | None = None
    """None for the preset's, as in the six fields that follow; by Muon more in fits of few steps."""
    batch_frames: int | None = None
    optimizer: str | None = None
    """One of `OPTIMIZERS`."""
    loss: str | None = None
    """One of `LOSSES`."""
    prune: float | None = None
    """Share of the weights that are set to zero, 0 to `MOST_PRUNED`."""
    weight_bits: int | None = None
    """Bits of a weight or bias, only with a preset that quantises by min and max.

    The preset's bits are trimmed to the size; given here, they are the most: steps may only become coarser.
    """
    embedding_bits: int | None = None
    source: SourceSettings = SourceSettings()
    mask: str | None = None
    """An image, or a video of as many frames as are encoded: white pixels are holes to be filled."""
    segment: SegmentRule = "auto"
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    """Least time between two checkpoints of a fit: what a crash loses at most, seconds."""
    workers: str | None = None
    """Who fits the segments: `local:N` processes, `ray` or `ray://host:port`; None for this process alone.

    Processes are spawned: a script that asks for them has its own work under `if __name__ == "__main__"`.
    """
    resume_from: str | None = None
    """An .inrv file of the same frames whose networks are fitted on: model, options, parameters, seed and
    segments are the file's, and so is the size where none is given."""
    preview: str | None = None
    """A PNG file that shows, while a fit runs, a frame of the source beside what it has become."""
    overwrite: bool = False

    @property
    def fixes_bits(self) -> bool:
        """Whether bits of min-max quantisation were asked for; steps may then not be finer than they say."""
        return self.weight_bits is not None or self.embedding_bits is not None

    @property
    def of_training(self) -> dict[str, object]:
        """Options, by their names, that only families have a use for whose networks are trained."""
        return {
            "--loss": self.loss,
            "--prune": self.prune,
            "--weight-bits": self.weight_bits,
            "--embedding-bits": self.embedding_bits,
            "--learning-rate": self.learning_rate,
            "--optimizer": self.optimizer,
            "--batch": self.batch_frames,
            "--parameters": self.parameters,
        }

    @property
    def procedure(self) -> Preset:
        """The preset, with what was asked for in its place."""
        preset = PRESETS[self.preset]
        minmax = preset.minmax
        if minmax is not None:
            minmax = MinMaxBits(self.weight_bits or minmax.weight, self.embedding_bits or minmax.embedding)
        return replace(
            preset,
            learning_rate=self.learning_rate or preset.learning_rate,
            batch_frames=self.batch_frames or preset.batch_frames,
            optimizer=self.optimizer or preset.optimizer,
            loss=self.loss or preset.loss,
            prune=preset.prune if self.prune is None else self.prune,
            minmax=minmax,
        )


@dataclass(frozen=True)
class DecodeSettings:
    """Everything `inrc decode` can be told."""

    frames: FrameRange = FrameRange()
    at_seconds: Fraction | float | None = None
    """Only the frame that is shown at this time, counted from the first frame; in place of `frames`."""
    skip_damaged: bool = False
    """Decode what is intact of a damaged or unfinished file, with frozen frames for what is not."""
    device: str = "auto"
    precision: str = "auto"
    """`auto`, `float32` or `bfloat16`."""
    fps_scale: int = 1
    """K times as many frames a second: K - 1 are interpolated between two coded ones."""
    audio: bool = True
    """Sound and subtitles too, into video files."""
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ReportSettings:
    """Everything `inrc report` can be told."""

    source: SourceSettings = SourceSettings()
    results: Sequence[str] = ()
    """Files of `python -m benchmarks.rd --json`: contenders to draw beside the files."""
    logs: Sequence[str] = ()
    """Files of `inrc encode --json`, which have the names of the outputs that they are of."""
    device: str = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class ExportSettings:
    """Everything `inrc export` can be told."""

    web: bool = False
    """A page that plays the export, too."""
    runtime: str | None = None
    """Folder with onnxruntime-web for the page; None to obtain it through npm."""
    check: str = "some"
    """Frames that are compared with our decoder's: `some` (three of each segment) or `all`."""
    overwrite: bool = False


@dataclass(frozen=True)
class ComparisonSettings:
    """Everything `inrc compare` can be told."""

    source: SourceSettings = SourceSettings()
    first_seconds: float | None = 5.0
    """Of a longer video only its first seconds are compared; None for all of `source.frames`, and where these
    are no whole video it has no effect."""
    bpps: Sequence[float] = (0.03, 0.06, 0.12, 0.2)
    """Bits per pixel of our files; a BD-rate needs four."""
    models: Sequence[str] = (AUTO,)
    preset: str | None = None
    """One of `PRESETS`; None for `medium`."""
    time_seconds: float | None = None
    """Wall clock of all our encodes together; None for `COMPARISON_SECONDS`, unless preset or epochs say how
    long to fit."""
    epochs: float | None = None
    against: Sequence[str] = ("x264:medium", "x265:medium", "svtav1:6")
    """Ordinary codecs, as CODEC:PRESET."""
    keep: str | None = None
    """A folder for our files; None removes them."""
    device: str = "auto"
    overwrite: bool = False

    @property
    def total_seconds(self) -> float | None:
        """The time of all our encodes together, seconds; None where another setting decides."""
        if self.time_seconds is None and self.epochs is None and self.preset is None:
            return COMPARISON_SECONDS
        return self.time_seconds
