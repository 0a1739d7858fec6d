"""`inrc decode`."""

from __future__ import annotations

from typing import Any

import click

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.info import say_lost
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import decode_line, written_text
from inrcodec.cli.options import (
    DEVICE,
    FPS_SCALE,
    part_options,
    reporting_options,
)
from inrcodec.errors import UsageError
from inrcodec.settings.decode import DecodeSettings
from inrcodec.system.names import STDOUT


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    required=True,
    help="Video (.mp4 .mkv .mov .webm .y4m), image (.png), folder or pattern (%05d.png) of images, or - for "
    "Y4M on stdout.",
)
@part_options
@click.option(
    "--fps-scale",
    type=FPS_SCALE,
    default=1,
    help="Multiply the frame rate by interpolating frames.  [default: 1]",
)
@click.option(
    "--codec", help="h264, hevc, vp9, av1, ffv1 or an FFmpeg encoder.  [default: h264, vp9 for .webm]"
)
@click.option(
    "--crf",
    type=click.IntRange(0, 63),
    help="Quality of --codec: 0 is best, h264 and hevc end at 51.  [default: visually lossless]",
)
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True
)
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing output.")
@limits_option
@reporting_options
def decode(source: str, output: str, quiet: bool, verbose: bool, as_json: bool, **plain: Any) -> int:
    """Render the .inrv file SOURCE as a video or as images.

    SOURCE `-` is standard input.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    settings = DecodeSettings(**plain)
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
