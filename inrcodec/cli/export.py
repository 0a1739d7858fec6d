"""`inrc export`."""

from __future__ import annotations

from typing import Any

import click

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.grouped import GroupedCommand
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import export_lines
from inrcodec.cli.options import reporting_options
from inrcodec.settings.export import EXPORT_CHECKS, ExportSettings

_EXAMPLE = """\b
Example:
  inrc export in.inrv -o player/ --web
"""


@click.command(cls=GroupedCommand, epilog=_EXAMPLE)
@click.argument("source", metavar="FILE.inrv")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Folder to create.")
@click.option("--web", is_flag=True, help="Add a page that plays the video in a browser.")
@click.option(
    "--runtime",
    metavar="FOLDER",
    help="Folder of an unpacked onnxruntime-web for --web.  [default: npm fetches it]",
)
@click.option(
    "--check",
    type=click.Choice(EXPORT_CHECKS),
    default=ExportSettings.check,
    show_default=True,
    help="Frames to compare with `inrc decode`: some (first, middle and last of each segment) or all.",
)
@click.option("-y", "overwrite", is_flag=True, help="Replace an earlier export.")
@limits_option
@reporting_options
def export(source: str, output: str, quiet: bool, verbose: bool, as_json: bool, **plain: Any) -> None:
    """Export the decoder of FILE.inrv as ONNX models with their inputs.

    FILE.inrv `-` is standard input.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    settings = ExportSettings(**plain)
    from inrcodec.exporter.export import export as export_file

    with console.progress_for(verbosity) as progress:
        result = export_file(source, output, settings, progress).as_dict()
    if verbosity >= Verbosity.NORMAL:
        for line in export_lines(output, result):
            console.say(line)
    if as_json:
        console.print_json(result)
