"""Options of the command line: types of their values, and groups as decorators of click commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from inrcodec.errors import UsageError
from inrcodec.settings import notation as arguments
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
    """An option whose text one of the parsers in `arguments` turns into a value."""

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


FILE_SIZE = _Parsed("bytes, k, M", arguments.parse_file_size)
COUNT = _Parsed("350k, 1.5M", arguments.parse_count)
LADDER = _Parsed("BPP,BPP,...", arguments.parse_ladder)
DURATION = _Parsed("90s, 3m, 1h30m", arguments.parse_duration)
MOMENT = _Parsed("12.3s, 1m2s", arguments.parse_moment)
FRAMES = _Parsed("a:b", arguments.parse_frame_range)
PICTURE = _Parsed("WxH", arguments.parse_picture_size)
SEGMENT = _Parsed("auto, scene, N", arguments.parse_segment_rule)
WORKERS = _Parsed("local:N, ray, ray://HOST:PORT", arguments.parse_workers)
DEVICE = _Parsed("auto, cpu, cuda[:n], mps", arguments.parse_device)
POSITIVE = click.FloatRange(min=0, min_open=True, max=float("inf"), max_open=True)
FPS_SCALE = click.IntRange(1, MOST_FPS_SCALE)
_BITS = click.IntRange(FEWEST_BITS, MOST_BITS)


_NO_AUDIO = click.option(
    "--no-audio",
    "audio",
    is_flag=True,
    callback=lambda context, parameter, is_left_out: not is_left_out,
    help="Leave sound and subtitles out.",
)


def taken(settings: type[Settings], values: dict[str, Any]) -> Settings:
    """Settings of the `values` that are its fields, which are taken out of them."""
    return settings(**{one.name: values.pop(one.name) for one in fields(settings) if one.name in values})


def part_options(command: Command) -> Command:
    """--frames, --at, --no-audio and --skip-damaged: what of a file is decoded."""
    for option in (
        _NO_AUDIO,
        click.option(
            "--skip-damaged",
            is_flag=True,
            help="Freeze the picture where the file is damaged or cut off; exit code 4.",
        ),
        click.option("--at", "at_seconds", type=MOMENT, help="Only the frame shown at this time."),
        click.option("--frames", type=FRAMES, default=":", help="Only frames a to b, b left out."),
    ):
        command = option(command)
    return command


def effort_options(command: Command) -> Command:
    """--time, --epochs, --device and --seed: how long to fit, where, and from which random numbers."""
    for option in (
        click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True),
        click.option("--device", type=DEVICE, default="auto", show_default=True),
        click.option("--epochs", type=POSITIVE, help="Passes over the frames, instead of --time."),
        click.option("--time", "time_seconds", type=DURATION, help="Wall-clock budget of the whole command."),
    ):
        command = option(command)
    return command


def preview_option(command: Command) -> Command:
    """--preview: what is seen of a fit while it runs."""
    return click.option(
        "--preview", metavar="FILE.png", help="Keep a picture of the fit, right, beside its source, left."
    )(command)


def reporting_options(command: Command) -> Command:
    """-q, -v and --json."""
    command = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")(command)
    command = click.option("-v", "--verbose", is_flag=True, help="More on stderr; tracebacks.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")(command)


def target_options(command: Command) -> Command:
    """--bpp, --size, --psnr and --ladder, which exclude each other."""
    for option in (
        click.option(
            "--ladder",
            type=LADDER,
            help="A file for each of these bits per pixel: out-0.06bpp.inrv; %v in its name stands for them.",
        ),
        click.option(
            "--psnr", "psnr_db", type=POSITIVE, help="Find the smallest file of this mean PSNR, in dB."
        ),
        click.option(
            "--size", "size_bytes", type=FILE_SIZE, help="Size without sound: 800k is 800,000 bytes."
        ),
        click.option("--bpp", type=POSITIVE, help="Bits per pixel, sound left out.  [default: 0.06]"),
    ):
        command = option(command)
    return command


def model_options(command: Command) -> Command:
    """--model, --model-option and --preset."""
    for option in (
        click.option(
            "--preset",
            type=click.Choice(list(PRESETS)),
            default=EncodeSettings.preset,
            show_default=True,
            help="How long to fit without --time or --epochs; rate, batch, loss, pruning, quantiser.",
        ),
        click.option(
            "--model-option",
            "model_options",
            multiple=True,
            metavar="KEY=VALUE",
            callback=lambda context, parameter, texts: arguments.parse_model_options(texts),
            help="Repeatable.",
        ),
        click.option(
            "--model",
            default=EncodeSettings.model,
            show_default="inrc, or hnerv where an option asks for a trained network",
            help="See `inrc models`.",
        ),
    ):
        command = option(command)
    return command


def refuse_what_is_settled(context: click.Context) -> None:
    """Raise `UsageError` for an option that says of a network what the file of --resume-from says."""
    if context.params["resume_from"] is None:
        return
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if is_given and parameter.name in SETTLED_BY_FILE:
            raise UsageError(f"--resume-from goes on with the file's networks: leave {parameter.opts[0]} out")


_BIT_DEPTH = click.option(
    "--bit-depth",
    type=click.Choice(["8"]),
    callback=lambda context, option, depth: None if depth is None else int(depth),
    help="Reduce deeper sources.",
)


def source_options(command: Command) -> Command:
    """--frames to --no-audio: what of the source is encoded."""
    for option in (
        _NO_AUDIO,
        click.option(
            "--stream", type=click.IntRange(0), help="Which of several videos, from 0.  [default: the best]"
        ),
        _BIT_DEPTH,
        click.option("--mask", help="Image or video, as large as a coded frame: white pixels are holes."),
        click.option("--scale", type=PICTURE, help="Resize each frame, after --crop."),
        click.option("--crop", type=PICTURE, help="The centre of each frame."),
        click.option(
            "--every", type=click.IntRange(1), default=1, help="Of these, only frames 0, N, 2N, ..."
        ),
        click.option("--frames", type=FRAMES, default=":", help="Only frames a to b, b left out."),
    ):
        command = option(command)
    return command


def picture_options(command: Command) -> Command:
    """--frames to --stream: the frames of a source that its pictures are compared with."""
    for option in (
        click.option("--stream", type=click.IntRange(0), help="Which of several videos, from 0."),
        _BIT_DEPTH,
        click.option("--scale", type=PICTURE, help="Resize each frame, after --crop."),
        click.option("--crop", type=PICTURE, help="The centre of each frame."),
        click.option("--every", type=click.IntRange(1), default=1, help="Only frames 0, N, 2N, ..."),
        click.option("--frames", type=FRAMES, default=":", help="Only frames a to b, b left out."),
    ):
        command = option(command)
    return command


def length_options(command: Command) -> Command:
    """--segment, --checkpoint, --workers: how a long video is cut, what an interruption costs, who fits."""
    for option in (
        click.option(
            "--resume-from",
            metavar="FILE.inrv",
            help="Fit the networks of this file on, which holds the same frames.",
        ),
        click.option(
            "--workers",
            type=WORKERS,
            help="Fit segments at once, in N processes or on a Ray cluster; the file is the same.",
        ),
        click.option(
            "--checkpoint",
            "checkpoint_seconds",
            type=DURATION,
            default=f"{CHECKPOINT_SECONDS:g}s",
            show_default=True,
            help="Time between checkpoints: what a crash loses at most.",
        ),
        click.option(
            "--segment",
            type=SEGMENT,
            default="auto",
            show_default=True,
            help="Frames that one network holds.",
        ),
    ):
        command = option(command)
    return command


def procedure_options(command: Command) -> Command:
    """How to fit and to quantise; what is not given is as the preset has it."""
    for option in (
        click.option("--embedding-bits", type=_BITS, help="The same of a value of an embedding."),
        click.option(
            "--weight-bits",
            type=_BITS,
            help="At most, of a weight, by min and max (--preset paper); else 8 trimmed to the size.",
        ),
        click.option(
            "--prune",
            type=click.FloatRange(0, MOST_PRUNED),
            help="Share of the weights, the smallest, to set to zero.",
        ),
        click.option(
            "--batch", "batch_frames", type=click.IntRange(1), help="Frames a step.  [default: by preset]"
        ),
        click.option(
            "--learning-rate",
            type=POSITIVE,
            help="Biases of wide networks get less.  [default: by preset, more for few steps]",
        ),
        click.option(
            "--optimizer",
            type=click.Choice(OPTIMIZERS),
            help="What fits the weights of convolutions.  [default: by preset]",
        ),
        click.option(
            "--parameters",
            type=COUNT,
            help="Size of each segment's network, such as 1.5M, whatever the target.",
        ),
        click.option(
            "--loss", type=click.Choice(list(LOSSES)), help="What to minimise.  [default: by preset]"
        ),
    ):
        command = option(command)
    return command
