"""Settings of `inrc encode`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec

from inrcodec.errors import UsageError
from inrcodec.naming import flag_of
from inrcodec.settings.notation import AUTO_WORKERS, local_worker_count, parse_workers
from inrcodec.settings.presets import (
    AUTO,
    FEWEST_BITS,
    LOSSES,
    MOST_BITS,
    MOST_PRUNED,
    OPTIMIZERS,
    PRESETS,
    MinMaxBits,
    Preset,
)
from inrcodec.settings.source import SegmentRule, SourceSettings
from inrcodec.system.names import StrPath

DEFAULT_BPP = 0.06
CHECKPOINT_SECONDS = 60.0
LARGEST_SEED = 2**64 - 1
SEARCHED = ("psnr_db", "vmaf")
"""Fields that set the quality of the file; several fits search for the smallest one."""
TARGETS = ("bpp", "size_bytes", "bitrate", *SEARCHED)
"""Fields that set the size or quality of the file; at most one is given."""
BEST_VMAF = 100.0
SETTLED_BY_FILE = ("model", "model_options", "parameters", "seed", "segment")
"""Fields whose values come from the file of `resume_from`."""
_POSITIVE = (
    *TARGETS,
    *("time_seconds", "epochs", "parameters", "learning_rate", "batch_frames", "checkpoint_seconds"),
)
_TRAINING = {"only_for": "trained networks"}


@dataclass(frozen=True)
class EncodeSettings:
    """The settings of `inrc encode`, with the defaults of the command line.

    The constructor raises `UsageError` for settings that contradict each other, for unknown names, and for
    libraries that are missing.
    """

    model: str = AUTO
    model_options: Mapping[str, str] = field(default_factory=dict)
    preset: str = "medium"
    bpp: float | None = None
    size_bytes: int | None = None
    bitrate: float | None = None
    """Maximum mean rate of the video in bits per second, audio excluded."""
    psnr_db: float | None = None
    """Mean PSNR in dB; the smallest file that reaches it is searched for, instead of a given size."""
    vmaf: float | None = None
    """Mean VMAF, 0 to 100, which is searched for likewise; needs an ffmpeg that has libvmaf."""
    time_seconds: float | None = None
    """Wall-clock budget of the whole command, in seconds."""
    epochs: float | None = None
    device: str = "auto"
    seed: int = 0
    parameters: int | None = field(default=None, metadata=_TRAINING)
    """Maximum number of transmitted values in the network; None for as many as the target allows."""
    learning_rate: float | None = field(default=None, metadata=_TRAINING)
    """None takes the preset's, as in the next six fields; Muon then raises it for fits of few steps."""
    batch_frames: int | None = field(default=None, metadata=_TRAINING)
    optimizer: str | None = field(default=None, metadata=_TRAINING)
    """One of `OPTIMIZERS`."""
    loss: str | None = field(default=None, metadata=_TRAINING)
    """One of `LOSSES`."""
    prune: float | None = field(default=None, metadata=_TRAINING)
    """Fraction of the weights that are set to zero, 0 to `MOST_PRUNED`."""
    weight_bits: int | None = field(default=None, metadata=_TRAINING)
    """Bits per weight or bias, only for a preset with min-max quantisation.

    The preset's bits are adjusted to the target size. Bits given here are a maximum: steps may only become
    coarser.
    """
    embedding_bits: int | None = field(default=None, metadata=_TRAINING)
    source: SourceSettings = SourceSettings()
    mask: StrPath | None = None
    """An image, or a video with a frame for each encoded frame; white pixels are holes to fill."""
    segment: SegmentRule = "auto"
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    """Minimum time between two checkpoints of a fit in seconds: the most work that a crash loses."""
    workers: str | None = None
    """Workers that fit the segments: `local:N` processes, `ray` or `ray://host:port`; None for this process.

    `auto` is this process, or two for several segments of `inrc` on a large GPU. Processes are spawned, so a
    script that uses them must guard its code by `if __name__ == "__main__"`.
    """
    resume_from: StrPath | None = None
    """An .inrv file of the same frames whose fit continues. Model, options, parameters, seed and segments are
    the file's, and so is the size unless one is given."""
    preview: StrPath | None = None
    """A PNG file that shows a frame of the source beside its fit while the fit runs."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check_exclusive(self)
        _check_numbers(self)
        _check_procedure(self)
        _check_workers(self.workers)

    @property
    def searched(self) -> str | None:
        """The one of `SEARCHED` that is given; None if the size is."""
        return next((name for name in SEARCHED if getattr(self, name) is not None), None)

    @property
    def names_workers(self) -> bool:
        """Whether workers other than `auto` are given."""
        return self.workers not in (None, AUTO_WORKERS)

    @property
    def fixes_bits(self) -> bool:
        """Whether bits of min-max quantisation are given; they limit how fine steps may become."""
        return self.weight_bits is not None or self.embedding_bits is not None

    @property
    def of_training(self) -> dict[str, object]:
        """Given settings that only trained networks use, by flag."""
        asked = {one.name: getattr(self, one.name) for one in fields(self) if one.metadata == _TRAINING}
        return {flag_of(name): value for name, value in asked.items() if value is not None}

    @property
    def procedure(self) -> Preset:
        """The preset, with given settings in place of its own."""
        preset = PRESETS[self.preset]
        minmax = preset.minmax
        if minmax is not None:
            minmax = MinMaxBits(self.weight_bits or minmax.weight, self.embedding_bits or minmax.embedding)
        batch_frames = self.batch_frames or preset.batch_frames
        return replace(
            preset,
            learning_rate=self.learning_rate or preset.rate_for(batch_frames),
            batch_frames=batch_frames,
            optimizer=self.optimizer or preset.optimizer,
            loss=self.loss or preset.loss,
            prune=preset.prune if self.prune is None else self.prune,
            minmax=minmax,
        )


def _check_exclusive(settings: EncodeSettings) -> None:
    given = [flag_of(name) for name in TARGETS if getattr(settings, name) is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
    if settings.resume_from is not None and settings.searched is not None:
        flag = flag_of(settings.searched)
        raise UsageError(f"{flag} searches for a network, --resume-from keeps one; give --bpp or --size")
    if settings.vmaf is not None and settings.mask is not None:
        raise UsageError("--vmaf measures whole frames, and --mask leaves a part of them out; give --psnr")
    if settings.time_seconds is not None and settings.epochs is not None:
        raise UsageError("--time and --epochs exclude each other; give one of them")
    if settings.parameters is not None and "width" in settings.model_options:
        raise UsageError("--parameters and --model-option width exclude each other; give one of them")


def _check_numbers(settings: EncodeSettings) -> None:
    for name in _POSITIVE:
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{flag_of(name)}: expected a positive number, found {value}")
    if settings.vmaf is not None and settings.vmaf > BEST_VMAF:
        raise UsageError(f"--vmaf: expected at most {BEST_VMAF:g}, found {settings.vmaf:g}")
    if not 0 <= settings.seed <= LARGEST_SEED:
        raise UsageError(f"--seed: expected 0 to 2^64-1, found {settings.seed}")


def _check_procedure(settings: EncodeSettings) -> None:
    """Raise `UsageError` for a way of fitting or quantising that does not exist or cannot run here."""
    if settings.preset not in PRESETS:
        raise UsageError(f"unknown preset {settings.preset!r}; known: {', '.join(PRESETS)}")
    loss = settings.procedure.loss
    if loss not in LOSSES:
        raise UsageError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    if settings.procedure.optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise UsageError(f"unknown optimizer {settings.procedure.optimizer!r}; known: {known}")
    if not 0 <= settings.procedure.prune <= MOST_PRUNED:
        raise UsageError(f"--prune: expected 0 to {MOST_PRUNED}, found {settings.prune}")
    for name in ("weight_bits", "embedding_bits"):
        flag, bits, preset = flag_of(name), getattr(settings, name), settings.preset
        if bits is not None and PRESETS[preset].minmax is None:
            by_range = ", ".join(name for name, preset in PRESETS.items() if preset.minmax)
            raise UsageError(
                f"{flag} needs --preset {by_range}: preset {preset} learns its quantisation steps"
            )
        if bits is not None and not FEWEST_BITS <= bits <= MOST_BITS:
            raise UsageError(f"{flag}: expected {FEWEST_BITS} to {MOST_BITS}, found {bits}")


def _check_workers(workers: str | None) -> None:
    if workers in (None, AUTO_WORKERS):
        return
    try:
        is_local = local_worker_count(parse_workers(workers)) > 0
    except ValueError as error:
        raise UsageError(f"--workers: {error}") from None
    if is_local:
        return
    if find_spec("ray") is None:
        raise UsageError(f"--workers {workers} needs Ray: pip install 'inrc[ray]'")
    if workers != "ray" and find_spec("grpc") is None:
        raise UsageError(f"--workers {workers} needs Ray's client: pip install 'inrc[ray]'")
