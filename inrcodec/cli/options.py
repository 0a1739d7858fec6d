"""Groups of options of the command line, as decorators of click commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from inrcodec.cli.grouped import option_group
from inrcodec.cli.types import (
    BITRATE,
    COUNT,
    DEVICE,
    DURATION,
    FILE_SIZE,
    LADDER,
    POSITIVE,
    PRESET,
    SEGMENT,
    WORKERS,
)
from inrcodec.errors import UsageError
from inrcodec.settings import notation
from inrcodec.settings.encode import CHECKPOINT_SECONDS, LARGEST_SEED, SETTLED_BY_FILE, EncodeSettings
from inrcodec.settings.presets import FEWEST_BITS, LOSSES, MOST_BITS, MOST_PRUNED, OPTIMIZERS
from inrcodec.system.openmp import use_threads

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Command = TypeVar("Command", bound=Callable[..., Any])
Settings = TypeVar("Settings", bound="DataclassInstance")

_BITS = click.IntRange(FEWEST_BITS, MOST_BITS)
_target, _model = option_group("Size and quality"), option_group("Model")
_effort, _network = option_group("Time and device"), option_group("Trained networks")
_length, _output = option_group("Long videos"), option_group("Output")


def taken(settings: type[Settings], values: dict[str, Any]) -> Settings:
    """Create settings from those `values` that are its fields, and remove them from `values`."""
    return settings(**{one.name: values.pop(one.name) for one in fields(settings) if one.name in values})


def _use_threads(context: click.Context, parameter: click.Parameter, count: int | None) -> None:
    if count is not None:
        use_threads(count)


def threads_option(command: Command) -> Command:
    """Add --threads, which applies to the whole process."""
    return _effort(
        "--threads",
        type=click.IntRange(1),
        expose_value=False,
        callback=_use_threads,
        help="Cores that torch may use.  [default: all]",
    )(command)


def effort_options(command: Command) -> Command:
    """Add --time, --epochs, --device, --threads and --seed: how long and where to fit."""
    for option in (
        _effort("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True),
        _effort("--device", type=DEVICE, default="auto", show_default=True),
        threads_option,
        _effort("--epochs", type=POSITIVE, help="Passes over the frames.  [default: by preset]"),
        _effort(
            "--time",
            "time_seconds",
            type=DURATION,
            help="Wall-clock limit of the command: 90s, 3m, 1h30m or 1:30.",
        ),
    ):
        command = option(command)
    return command


def watching_options(command: Command) -> Command:
    """Add --preview and --log: what can be watched while a fit runs."""
    command = _output(
        "--log", metavar="FILE.jsonl", help="Append what happens to a file, one JSON object a line."
    )(command)
    return _output(
        "--preview", metavar="FILE.png", help="Show a frame during the fit: source left, fit right."
    )(command)


def reporting_options(command: Command) -> Command:
    """Add -q, -v and --json."""
    command = _output("--json", "as_json", is_flag=True, help="Print a JSON object on stdout.")(command)
    command = _output("-v", "--verbose", is_flag=True, help="Print details and tracebacks.")(command)
    return _output("-q", "--quiet", is_flag=True, help="Print nothing on stderr but errors.")(command)


def target_options(command: Command) -> Command:
    """Add --bpp, --bitrate, --size, --psnr, --vmaf and --ladder, which exclude each other."""
    for option in (
        _target(
            "--ladder",
            type=LADDER,
            help="Write a file for each of these bpp, named out-0.06bpp.inrv; %v in -o stands for the bpp.",
        ),
        _target(
            "--vmaf",
            type=POSITIVE,
            help="The same for this mean VMAF, 0 to 100; needs an ffmpeg that has libvmaf.",
        ),
        _target(
            "--psnr", "psnr_db", type=POSITIVE, help="Search for the smallest file with this mean PSNR in dB."
        ),
        _target(
            "--size",
            "size_bytes",
            type=FILE_SIZE,
            help="Maximum size, audio excluded: 800000, 800k, 1.5M or 1MiB.",
        ),
        _target("--bitrate", type=BITRATE, help="Maximum bits per second, audio excluded: 200k or 1.5M."),
        _target("--bpp", type=POSITIVE, help="Maximum bits per pixel, audio excluded.  [default: 0.06]"),
    ):
        command = option(command)
    return command


def _model_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """The models that a shell offers to complete."""
    from inrcodec.models.registry import family_names

    return [name for name in family_names() if name.startswith(begun)]


def model_options(command: Command) -> Command:
    """Add --model, --model-option and --preset."""
    for option in (
        _model(
            "--preset",
            type=PRESET,
            default=EncodeSettings.preset,
            show_default=True,
            help="Length of the fit and defaults of its options; paper is the papers' pipeline.",
        ),
        _model(
            "--model-option",
            "model_options",
            multiple=True,
            metavar="KEY=VALUE",
            callback=lambda context, parameter, texts: notation.parse_model_options(texts),
            help="Option of the model, such as width=32; docs/ lists them.  Repeatable.",
        ),
        _model(
            "--model",
            shell_complete=_model_names,
            default=EncodeSettings.model,
            show_default=False,
            help="Model to fit; `inrc models` lists them.  [default: inrc, or hnerv if an option needs a "
            "trained network]",
        ),
    ):
        command = option(command)
    return command


def refuse_what_is_settled(context: click.Context) -> None:
    """Raise `UsageError` for a given option whose value the file of --resume-from determines."""
    if context.params["resume_from"] is None:
        return
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if is_given and parameter.name in SETTLED_BY_FILE:
            raise UsageError(f"--resume-from continues the file's networks: leave {parameter.opts[0]} out")


def length_options(command: Command) -> Command:
    """Add --segment, --checkpoint, --workers and --resume-from."""
    for option in (
        _length(
            "--resume-from", metavar="FILE.inrv", help="Continue from an earlier encode of the same frames."
        ),
        _length(
            "--workers",
            type=WORKERS,
            default="auto",
            show_default=True,
            help="Fit segments in parallel, to the same file: local:N processes, ray or ray://HOST:PORT; "
            "auto is two processes for inrc on a large GPU.",
        ),
        _length(
            "--checkpoint",
            "checkpoint_seconds",
            type=DURATION,
            default=f"{CHECKPOINT_SECONDS:g}s",
            show_default=True,
            help="Time between checkpoints, the most a crash loses; inrc saves whole segments.",
        ),
        _length(
            "--segment",
            type=SEGMENT,
            default="auto",
            show_default=True,
            help="Frames per model: as memory allows (auto), also cut at scenes (scene), or a number.",
        ),
    ):
        command = option(command)
    return command


def procedure_options(command: Command) -> Command:
    """Add options that replace single values of the preset: how to fit and to quantise."""
    for option in (
        _network(
            "--embedding-bits",
            type=_BITS,
            help="Maximum bits per embedding value (preset paper only).  [default: 6, fitted to the size]",
        ),
        _network(
            "--weight-bits",
            type=_BITS,
            help="Maximum bits per weight (preset paper only).  [default: 8, fitted to the size]",
        ),
        _network(
            "--prune",
            type=click.FloatRange(0, MOST_PRUNED),
            help="Fraction of weights set to zero, smallest first (not for inrc).  [default: 0; paper: 0.1]",
        ),
        _network(
            "--batch",
            "batch_frames",
            type=click.IntRange(1),
            help="Frames per step: more of them take less time on a GPU, and fit less well (not for inrc).  "
            "[default: 1; paper: 2]",
        ),
        _network(
            "--learning-rate",
            type=POSITIVE,
            help="Learning rate, capped for wide networks (not for inrc).  "
            "[default: by preset, higher for short fits and for a --batch]",
        ),
        _network(
            "--optimizer",
            type=click.Choice(OPTIMIZERS),
            help="Optimiser of convolution weights (not for inrc).  [default: muon; paper: adam]",
        ),
        _network(
            "--parameters",
            type=COUNT,
            help="Maximum values per network: 350k or 1.5M (not for inrc).  [default: by target size]",
        ),
        _network(
            "--loss", type=click.Choice(list(LOSSES)), help="Loss to minimise (not for inrc).  [default: l2]"
        ),
    ):
        command = option(command)
    return command
