"""Settings of `inrc encode`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from inrcodec.errors import UsageError
from inrcodec.settings.notation import local_worker_count, parse_workers
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
from inrcodec.system.files import check_output_file, is_pipe, resume_folder

DEFAULT_BPP = 0.06
CHECKPOINT_SECONDS = 60.0
PREVIEW_MARK = "inrc --preview"
"""What the pictures of `--preview` say near their beginning of where they come from."""


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


def check_exclusive(settings: EncodeSettings) -> None:
    """Raise `UsageError` for settings that contradict each other or are no positive numbers."""
    targets = {"--bpp": settings.bpp, "--size": settings.size_bytes, "--psnr": settings.psnr_db}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
    if settings.resume_from is not None and settings.psnr_db is not None:
        raise UsageError("--psnr looks for another network, --resume-from keeps one; give --bpp or --size")
    if settings.time_seconds is not None and settings.epochs is not None:
        raise UsageError("--time and --epochs exclude each other; give one of them")
    if settings.parameters is not None and "width" in settings.model_options:
        raise UsageError("--parameters and --model-option width exclude each other; give one of them")
    for name, value in (
        ("--bpp", settings.bpp),
        ("--size", settings.size_bytes),
        ("--psnr", settings.psnr_db),
        ("--time", settings.time_seconds),
        ("--epochs", settings.epochs),
        ("--parameters", settings.parameters),
        ("--learning-rate", settings.learning_rate),
        ("--batch", settings.batch_frames),
        ("--checkpoint", settings.checkpoint_seconds),
    ):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}: expected a positive number, found {value}")


def check_procedure(settings: EncodeSettings) -> None:
    """Raise `UsageError` for a way of fitting or quantising that does not exist or cannot run here."""
    if settings.preset not in PRESETS:
        raise UsageError(f"unknown preset {settings.preset!r}; known: {', '.join(PRESETS)}")
    loss = settings.procedure.loss
    if loss not in LOSSES:
        raise UsageError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    if LOSSES[loss].metrics and find_spec("pytorch_msssim") is None:
        raise UsageError(f"--loss {loss} needs pytorch-msssim: pip install 'inrc[metrics]'")
    if settings.procedure.optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise UsageError(f"unknown optimizer {settings.procedure.optimizer!r}; known: {known}")
    if not 0 <= settings.procedure.prune <= MOST_PRUNED:
        raise UsageError(f"--prune: expected 0 to {MOST_PRUNED}, found {settings.prune}")
    for name, bits in (
        ("--weight-bits", settings.weight_bits),
        ("--embedding-bits", settings.embedding_bits),
    ):
        if bits is not None and PRESETS[settings.preset].minmax is None:
            by_range = ", ".join(name for name, preset in PRESETS.items() if preset.minmax)
            raise UsageError(
                f"{name}: preset {settings.preset} learns its steps; bits are for --preset {by_range}"
            )
        if bits is not None and not FEWEST_BITS <= bits <= MOST_BITS:
            raise UsageError(f"{name}: expected {FEWEST_BITS} to {MOST_BITS}, found {bits}")


def check_ladder(sources: Sequence[str], bpps: Sequence[float], settings: EncodeSettings) -> None:
    """Raise `UsageError` for a ladder of these `bpps` that there cannot be."""
    for name, value in (("bpp", settings.bpp), ("size", settings.size_bytes), ("psnr", settings.psnr_db)):
        if value is not None:
            raise UsageError(f"--ladder and --{name} exclude each other; give one of them")
    if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
        raise UsageError(f"--ladder: expected positive numbers, each once, found {list(bpps)}")
    for source in sources:
        if is_pipe(source):
            raise UsageError(
                f"--ladder reads its source for every file anew, which {source} cannot be: save it"
            )


def check_workers(settings: EncodeSettings) -> None:
    """Raise `UsageError` for workers that there cannot be here."""
    if settings.workers is None:
        return
    try:
        is_local = local_worker_count(parse_workers(settings.workers)) > 0
    except ValueError as error:
        raise UsageError(f"--workers: {error}") from None
    if is_local:
        return
    if find_spec("ray") is None:
        raise UsageError(f"--workers {settings.workers} needs Ray: pip install 'inrc[ray]'")
    if settings.workers != "ray" and find_spec("grpc") is None:
        raise UsageError(f"--workers {settings.workers} needs Ray's client: pip install 'inrc[ray]'")


def check_preview(settings: EncodeSettings, requests: Sequence[tuple[str, str]]) -> None:
    """Raise `UsageError` for a preview of the encodes (source, output) that there cannot be.

    One that exists is replaced with `settings.overwrite`, and an earlier preview by an encode that goes on.
    """
    path = settings.preview
    if path is None:
        return
    if not path.lower().endswith(".png"):
        raise UsageError(f"--preview is a picture: expected a name ending in .png, found {path}")
    if settings.workers is not None:
        raise UsageError(
            "--preview shows the fits of this process, and --workers has others; give one of them"
        )
    for taken in (settings.mask, settings.resume_from, *(name for pair in requests for name in pair)):
        if taken is not None and _is_in(path, taken):
            raise UsageError(f"{path} is or belongs to {taken}, which the encode needs; name another preview")
    goes_on = any(resume_folder(output).is_dir() for _, output in requests)
    check_output_file(path, settings.overwrite or (goes_on and _is_preview(path)))


def _is_preview(path: str) -> bool:
    """Whether a file is a picture that `--preview` has left."""
    try:
        with open(path, "rb") as file:
            return PREVIEW_MARK.encode() in file.read(128)
    except OSError:
        return False


def _is_in(path: str, taken: str) -> bool:
    """Whether a file is the one called `taken`, or one of the images of that folder or pattern."""
    folder, name = os.path.split(os.path.realpath(path))
    parent, pattern = os.path.split(os.path.realpath(taken))
    if os.path.isdir(taken):
        return folder == os.path.realpath(taken)
    return folder == parent and bool(re.fullmatch(re.sub("%[0-9]*d", "[0-9]+", re.escape(pattern)), name))
