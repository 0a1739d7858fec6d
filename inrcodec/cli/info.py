"""`inrc info`, `inrc verify` and `inrc models`, which need neither torch nor av."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from inrcodec.cli import console, tables
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import Lost, lost_lines
from inrcodec.errors import EXIT_CORRUPT

if TYPE_CHECKING:
    from bitstream.limits import Limits


verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Print tracebacks of unexpected errors."
)
"""Only `run` reads it, from the command line: these commands have no further output."""


def say_lost(source: str, lost: Sequence[Lost], result: str) -> int:
    """Print what a damaged file has lost, if anything; return the exit code."""
    for line in lost_lines(source, lost, result):
        console.say(line)
    return EXIT_CORRUPT if lost else 0


@click.command()
@click.argument("file")
@verbose_option
@click.option("--skip-damaged", is_flag=True, help="Report what is intact in a damaged file; exit code 4.")
@limits_option
@click.option(
    "--detail",
    is_flag=True,
    help="Decode the symbols of inrc, and show bits by level of the hierarchy and by kind.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def info(file: str, skip_damaged: bool, limits: Limits, detail: bool, as_json: bool) -> int:
    """Show what the .inrv FILE contains and how many bits each part takes.

    FILE `-` is standard input.
    """
    from inrcodec.decoder.info import inspect

    report = inspect(file, skip_damaged, limits, detail)
    if as_json:
        console.print_json(report.as_dict())
    else:
        tables.print_report(report)
    return say_lost(file, report.lost, "the report covers the intact parts")


@click.command()
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the list.")
def models(as_json: bool) -> None:
    """List the models that `encode --model` accepts."""
    from inrcodec.models.registry import FAMILIES

    if as_json:
        console.print_json({family.name: family.summary for family in FAMILIES})
        return
    for family in FAMILIES:
        console.print_line(f"{family.name:10} {family.summary}")


@click.command()
@click.argument("file")
@verbose_option
@limits_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def verify(file: str, limits: Limits, as_json: bool) -> None:
    """Check every checksum and every symbol of the .inrv FILE.

    FILE `-` is standard input.
    """
    from inrcodec.decoder.info import verify as verify_file

    report = verify_file(file, limits)
    if as_json:
        console.print_json({"path": file, "intact": True, "file_bytes": report.file_bytes})
    else:
        segments = len(report.segments)
        console.print_line(f"{file}: intact, {report.file_bytes:,} bytes, {segments} segment(s)")
