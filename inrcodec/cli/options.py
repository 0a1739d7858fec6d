"""Options of the command line: their types, and groups of options as decorators of click commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from inrcodec.errors import UsageError
from inrcodec.settings import notation
from inrcodec.settings.decode import MOST_FPS_SCALE
from inrcodec.settings.encode import CHECKPOINT_SECONDS, LARGEST_SEED, SETTLED_BY_FILE, EncodeSettings
from inrcodec.settings.presets import FEWEST_BITS, LOSSES, MOST_BITS, MOST_PRUNED, OPTIMIZERS, PRESETS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _ParamType = click.ParamType[Any]
else:
    # click 8.1 has no subscript for it at run time.
    _ParamType = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])
Settings = TypeVar("Settings", bound="DataclassInstance")


class _Parsed(_ParamType):
    """A type whose values are parsed by a function of `notation`; its `ValueError` is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


FILE_SIZE = _Parsed("bytes", notation.parse_file_size)
COUNT = _Parsed("count", notation.parse_count)
LADDER = _Parsed("BPP,BPP,...", notation.parse_ladder)
DURATION = _Parsed("duration", notation.parse_duration)
MOMENT = _Parsed("time", notation.parse_moment)
FRAMES = _Parsed("a:b", notation.parse_frame_range)
PICTURE = _Parsed("WxH", notation.parse_picture_size)
SEGMENT = _Parsed("auto|scene|N", notation.parse_segment_rule)
WORKERS = _Parsed("workers", notation.parse_workers)
DEVICE = _Parsed("auto|cpu|cuda[:n]|mps", notation.parse_device)
POSITIVE = click.FloatRange(min=0, min_open=True, max=float("inf"), max_open=True)
FPS_SCALE = click.IntRange(1, MOST_FPS_SCALE)
_BITS = click.IntRange(FEWEST_BITS, MOST_BITS)

_NO_AUDIO = click.option(
    "--no-audio",
    "audio",
    is_flag=True,
    callback=lambda context, parameter, is_left_out: not is_left_out,
    help="Leave out audio and subtitles.",
)


def taken(settings: type[Settings], values: dict[str, Any]) -> Settings:
    """Create settings from those `values` that are its fields, and remove them from `values`."""
    return settings(**{one.name: values.pop(one.name) for one in fields(settings) if one.name in values})


def part_options(command: Command) -> Command:
    """Add --frames, --at, --no-audio and --skip-damaged: the part of a file to decode."""
    for option in (
        _NO_AUDIO,
        click.option(
            "--skip-damaged", is_flag=True, help="Decode a damaged file, freezing lost frames; exit code 4."
        ),
        click.option("--at", "at_seconds", type=MOMENT, help="Only the frame shown at this time, as 12.3s."),
        click.option("--frames", type=FRAMES, default=":", help="Frames A to B-1, from 0.  [default: all]"),
    ):
        command = option(command)
    return command


def effort_options(command: Command) -> Command:
    """Add --time, --epochs, --device and --seed: how long to fit, where, and with which random numbers."""
    for option in (
        click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True),
        click.option("--device", type=DEVICE, default="auto", show_default=True),
        click.option("--epochs", type=POSITIVE, help="Passes over the frames.  [default: by preset]"),
        click.option(
            "--time", "time_seconds", type=DURATION, help="Wall-clock limit of the command: 90s, 3m or 1h30m."
        ),
    ):
        command = option(command)
    return command


def preview_option(command: Command) -> Command:
    """Add --preview."""
    return click.option(
        "--preview", metavar="FILE.png", help="Show a frame during the fit: source left, fit right."
    )(command)


def reporting_options(command: Command) -> Command:
    """Add -q, -v and --json."""
    command = click.option("--json", "as_json", is_flag=True, help="Print a JSON object on stdout.")(command)
    command = click.option("-v", "--verbose", is_flag=True, help="Print details and tracebacks.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing on stderr but errors.")(command)


def target_options(command: Command) -> Command:
    """Add --bpp, --size, --psnr and --ladder, which exclude each other."""
    for option in (
        click.option(
            "--ladder",
            type=LADDER,
            help="Write a file for each of these bpp, named out-0.06bpp.inrv; %v in -o stands for the bpp.",
        ),
        click.option(
            "--psnr", "psnr_db", type=POSITIVE, help="Search for the smallest file with this mean PSNR in dB."
        ),
        click.option(
            "--size", "size_bytes", type=FILE_SIZE, help="Maximum size, audio excluded: 800000, 800k or 1.5M."
        ),
        click.option("--bpp", type=POSITIVE, help="Maximum bits per pixel, audio excluded.  [default: 0.06]"),
    ):
        command = option(command)
    return command


def model_options(command: Command) -> Command:
    """Add --model, --model-option and --preset."""
    for option in (
        click.option(
            "--preset",
            type=click.Choice(list(PRESETS)),
            default=EncodeSettings.preset,
            show_default=True,
            help="Length of the fit and defaults of its options; paper is the papers' pipeline.",
        ),
        click.option(
            "--model-option",
            "model_options",
            multiple=True,
            metavar="KEY=VALUE",
            callback=lambda context, parameter, texts: notation.parse_model_options(texts),
            help="Option of the model, such as width=32; docs/ lists them.  Repeatable.",
        ),
        click.option(
            "--model",
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


_STREAM = click.option(
    "--stream", type=click.IntRange(0), help="Number of the video stream.  [default: largest]"
)
_FRAME_OPTIONS = (
    click.option("--scale", type=PICTURE, help="Resize frames after --crop, such as to 640x320."),
    click.option("--crop", type=PICTURE, help="Keep the centre of each frame, such as 1280x640."),
    click.option("--every", type=click.IntRange(1), default=1, help="Keep every N-th frame.  [default: 1]"),
    click.option("--frames", type=FRAMES, default=":", help="Frames A to B-1, from 0.  [default: all]"),
)
"""Which frames of a source, and which part of them; decorators apply from the last one."""
_BIT_DEPTH = click.option(
    "--bit-depth",
    type=click.Choice(["8"]),
    callback=lambda context, option, depth: None if depth is None else int(depth),
    help="Reduce deeper sources to 8 bits per sample; otherwise they are refused.",
)


def source_options(command: Command) -> Command:
    """Add --frames to --no-audio: the part of the source to encode."""
    for option in (
        _NO_AUDIO,
        _STREAM,
        _BIT_DEPTH,
        click.option(
            "--mask", help="Image or video of the coded size: white pixels are holes to fill (not for inrc)."
        ),
        *_FRAME_OPTIONS,
    ):
        command = option(command)
    return command


def picture_options(command: Command) -> Command:
    """Add --frames to --stream: the frames of the source to compare with."""
    for option in (_STREAM, _BIT_DEPTH, *_FRAME_OPTIONS):
        command = option(command)
    return command


def length_options(command: Command) -> Command:
    """Add --segment, --checkpoint, --workers and --resume-from."""
    for option in (
        click.option(
            "--resume-from", metavar="FILE.inrv", help="Continue from an earlier encode of the same frames."
        ),
        click.option(
            "--workers",
            type=WORKERS,
            help="Fit segments in parallel, to the same file: local:N processes, ray or ray://HOST:PORT.",
        ),
        click.option(
            "--checkpoint",
            "checkpoint_seconds",
            type=DURATION,
            default=f"{CHECKPOINT_SECONDS:g}s",
            show_default=True,
            help="Time between checkpoints, the most a crash loses; inrc saves whole segments.",
        ),
        click.option(
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
        click.option(
            "--embedding-bits",
            type=_BITS,
            help="Maximum bits per embedding value (preset paper only).  [default: 6, fitted to the size]",
        ),
        click.option(
            "--weight-bits",
            type=_BITS,
            help="Maximum bits per weight (preset paper only).  [default: 8, fitted to the size]",
        ),
        click.option(
            "--prune",
            type=click.FloatRange(0, MOST_PRUNED),
            help="Fraction of weights set to zero, smallest first (not for inrc).  [default: 0; paper: 0.1]",
        ),
        click.option(
            "--batch",
            "batch_frames",
            type=click.IntRange(1),
            help="Frames per step (not for inrc).  [default: 1; paper: 2]",
        ),
        click.option(
            "--learning-rate",
            type=POSITIVE,
            help="Learning rate, capped for wide networks (not for inrc).  "
            "[default: by preset, higher for short fits]",
        ),
        click.option(
            "--optimizer",
            type=click.Choice(OPTIMIZERS),
            help="Optimiser of convolution weights (not for inrc).  [default: muon; paper: adam]",
        ),
        click.option(
            "--parameters",
            type=COUNT,
            help="Maximum values per network: 350k or 1.5M (not for inrc).  [default: by target size]",
        ),
        click.option(
            "--loss", type=click.Choice(list(LOSSES)), help="Loss to minimise (not for inrc).  [default: l2]"
        ),
    ):
        command = option(command)
    return command
