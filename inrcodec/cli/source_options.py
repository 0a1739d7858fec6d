"""Options that select a part of a source or of a file: frames, times, crop, scale and stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from inrcodec.cli.grouped import option_group
from inrcodec.cli.options import taken
from inrcodec.cli.types import CROP, FRAMES, MOMENT, SCALE
from inrcodec.errors import UsageError
from inrcodec.settings.source import FrameRange, SourceSettings, TimeRange

Command = TypeVar("Command", bound=Callable[..., Any])
_part = option_group("Part of the source")
_file_part = option_group("Part of the file")
_FRAMES_HELP = "Frames A to B-1, from 0, or times as 1s:3s.  [default: all]"
_START_HELP = "Begin at this time: 90, 1m30s or 1:30."
_END_HELP = "End before this time."
_NAMES = ("frames", "start", "end", "every", "crop", "scale", "bit_depth", "stream")
_NO_AUDIO_HELP = "Leave out audio and subtitles."


def _negated(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    return not value


_STREAM = _part("--stream", type=click.IntRange(0), help="Number of the video stream.  [default: largest]")
_FRAME_OPTIONS = (
    _part(
        "--scale", type=SCALE, help="Resize frames after --crop: 640x320, -1x320 (keeps the shape) or 50%."
    ),
    _part("--crop", type=CROP, help="Keep the centre of each frame, such as 1280x640, or 1280x640+X+Y."),
    _part("--every", type=click.IntRange(1), default=1, help="Keep every N-th frame.  [default: 1]"),
    _part("--end", type=MOMENT, help=_END_HELP),
    _part("--start", type=MOMENT, help=_START_HELP),
    _part("--frames", type=FRAMES, default=":", help=_FRAMES_HELP),
)
"""Which frames of a source, and which part of them; decorators apply from the last one."""
_BIT_DEPTH = _part(
    "--bit-depth",
    type=click.Choice(["8", "10"]),
    callback=lambda context, option, depth: None if depth is None else int(depth),
    help="Bits per sample to which deeper sources are reduced.  [default: 10]",
)


def part_options(command: Command) -> Command:
    """Add --frames, --start, --end, --at, --no-audio and --skip-damaged: the part of a file to decode."""
    for option in (
        _file_part("--no-audio", "audio", is_flag=True, callback=_negated, help=_NO_AUDIO_HELP),
        _file_part(
            "--skip-damaged", is_flag=True, help="Decode a damaged file, freezing lost frames; exit code 4."
        ),
        _file_part("--at", "at_seconds", type=MOMENT, help="Only the frame shown at this time, as 12.3s."),
        _file_part("--end", type=MOMENT, help=_END_HELP),
        _file_part("--start", type=MOMENT, help=_START_HELP),
        _file_part("--frames", type=FRAMES, default=":", help=_FRAMES_HELP),
    ):
        command = option(command)
    return command


def source_options(command: Command) -> Command:
    """Add --frames to --no-audio: the part of the source to encode."""
    for option in (
        _part("--no-audio", "audio", is_flag=True, callback=_negated, help=_NO_AUDIO_HELP),
        _STREAM,
        _BIT_DEPTH,
        _part(
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


def source_settings(values: dict[str, Any]) -> SourceSettings:
    """The selection that the options of a source describe; removes them from `values`."""
    take_frames(values)
    if isinstance(values["scale"], Fraction):
        values["scale_share"], values["scale"] = values["scale"], None
    return taken(SourceSettings, values)


def take_frames(values: dict[str, Any]) -> None:
    """Replace --frames, --start and --end by `frames` and `times`. Raises `UsageError` if both are given."""
    start, end = values.pop("start"), values.pop("end")
    frames: FrameRange | TimeRange = values["frames"]
    if start is not None or end is not None:
        if frames != FrameRange():
            raise UsageError("--frames excludes --start and --end; give one of them")
        frames = TimeRange(start or Fraction(0), end)
    is_timed = isinstance(frames, TimeRange)
    values["times"], values["frames"] = (frames, FrameRange()) if is_timed else (None, frames)


def is_part_given(context: click.Context, names: Sequence[str] = _NAMES) -> bool:
    """Whether the command line has one of the options `names`, by default of those that select pictures."""
    return any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)
