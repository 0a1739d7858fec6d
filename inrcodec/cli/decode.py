"""`inrc decode`."""

from __future__ import annotations

import os
from typing import Any

import click

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.grouped import GroupedCommand, option_group
from inrcodec.cli.info import say_lost
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import decode_line, written_text
from inrcodec.cli.options import reporting_options, threads_option
from inrcodec.cli.source_options import part_options, take_frames
from inrcodec.cli.types import DEVICE, FPS_SCALE
from inrcodec.errors import UsageError
from inrcodec.settings.decode import DecodeSettings
from inrcodec.system.names import STDIN, STDOUT

_EXAMPLES = """\b
Examples:
  inrc decode in.inrv                              # writes in.mp4
  inrc decode in.inrv -o part.mp4 --start 10s --end 1:30 --crf 18
  inrc decode in.inrv -o - | ffplay -
"""
_output, _render = option_group("Output"), option_group("Rendering")
_SUFFIXES = {"vp9": ".webm", "ffv1": ".mkv"}
"""Suffix of the output by codec, if no name is given; .mp4 for all others."""


@click.command(cls=GroupedCommand, epilog=_EXAMPLES)
@click.argument("source")
@_output(
    "-o",
    "--output",
    help="Video (.mp4 .mkv .mov .webm .y4m), image (.png), folder or pattern (%05d.png) of images, or - for "
    "Y4M on stdout.  [default: beside SOURCE]",
)
@_output("-y", "overwrite", is_flag=True, help="Replace an existing output.")
@reporting_options
@part_options
@_render(
    "--fps-scale",
    type=FPS_SCALE,
    default=1,
    help="Multiply the frame rate by interpolating frames.  [default: 1]",
)
@_render("--codec", help="h264, hevc, vp9, av1, ffv1 or an FFmpeg encoder.  [default: h264, vp9 for .webm]")
@_render(
    "--crf",
    type=click.IntRange(0, 63),
    help="Quality of --codec: 0 is best, h264 and hevc end at 51.  [default: visually lossless]",
)
@_render("--device", type=DEVICE, default="auto", show_default=True)
@_render("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@threads_option
@limits_option
def decode(source: str, output: str | None, quiet: bool, verbose: bool, as_json: bool, **plain: Any) -> int:
    """Render the .inrv file SOURCE as a video or as images.

    SOURCE `-` is standard input.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    take_frames(plain)
    settings = DecodeSettings(**plain)
    output = _output_beside(source, settings) if output is None else output
    if as_json and output == STDOUT:
        raise UsageError("--json and -o - both want standard output")
    from inrcodec.decoder.decode import decode as decode_video

    with console.progress_for(verbosity) as progress:
        result = decode_video(source, output, settings, progress)
    if verbosity >= Verbosity.NORMAL:
        console.say(decode_line(output, result.as_dict()))
    if as_json:
        console.print_json(result.as_dict())
    return say_lost(source, result.lost, written_text(result.lost))


def _output_beside(source: str, settings: DecodeSettings) -> str:
    """The output beside `source`; raises `UsageError` if it has no name, or would be replaced."""
    if source == STDIN:
        raise UsageError("standard input has no name: name the output with -o")
    suffix = ".png" if settings.at_seconds is not None else _SUFFIXES.get(settings.codec or "", ".mp4")
    output = f"{os.path.splitext(source)[0]}{suffix}"
    if settings.overwrite and os.path.exists(output):
        raise UsageError(f"{output} may be the source itself: to replace it, name it with -o")
    return output
