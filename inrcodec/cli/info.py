"""`inrc info`, `inrc verify` and `inrc models`, which need neither torch nor av."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from inrcodec.cli import console, tables
from inrcodec.cli.grouped import GroupedCommand
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import Lost, lost_lines
from inrcodec.errors import EXIT_CORRUPT, InrcError, explained
from inrcodec.text import counted

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


@click.command(cls=GroupedCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@verbose_option
@click.option("--skip-damaged", is_flag=True, help="Report what is intact in a damaged file; exit code 4.")
@limits_option
@click.option(
    "--detail",
    is_flag=True,
    help="Decode the symbols of inrc, and show bits by level of the hierarchy and by kind.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def info(files: Sequence[str], skip_damaged: bool, limits: Limits, detail: bool, as_json: bool) -> int:
    """Show what each .inrv FILE contains and how many bits each part takes.

    FILE `-` is standard input. Several files are a list `files` in JSON.
    """
    from inrcodec.decoder.info import inspect

    def show(file: str) -> tuple[int, dict[str, Any]]:
        report = inspect(file, skip_damaged, limits, detail)
        if not as_json:
            tables.print_report(report)
        elif len(files) == 1:
            console.print_json(report.as_dict())
        return say_lost(file, report.lost, "the report covers the intact parts"), report.as_dict()

    return _each(files, show, as_json)


def _each(files: Sequence[str], show: Callable[[str], tuple[int, dict[str, Any]]], as_json: bool) -> int:
    """Show every file, also after one that fails; return the first exit code that is not 0.

    `show` returns the exit code and the JSON of a file; several files are printed as one object. The error of
    a single file is raised.
    """
    if len(files) == 1:
        return show(files[0])[0]
    codes, rows = [], []
    for file in files:
        try:
            code, row = show(file)
        except Exception as error:
            message, code = explained(error)
            console.say_error(message if message.startswith(file) else f"{file}: {message}")
            row = {"path": file, "error": message, "exit_code": code}
        codes.append(code)
        rows.append(row)
    if as_json:
        console.print_json({"files": rows})
    return next(filter(None, codes), 0)


@click.command()
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the list.")
def models(as_json: bool) -> None:
    """List the models that `encode --model` accepts, with those of other packages."""
    from inrcodec.models.registry import family_by_name, family_names, package_of

    summaries = {}
    for name in family_names():
        try:
            family = family_by_name(name)
        except InrcError as error:
            console.say(error.text)
            continue
        package = package_of(family)
        summaries[name] = family.summary + ("" if package is None else f" (package {package})")
    if as_json:
        console.print_json(summaries)
        return
    for name, summary in summaries.items():
        console.print_line(f"{name:10} {summary}")


@click.command(cls=GroupedCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@verbose_option
@limits_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
def verify(files: Sequence[str], limits: Limits, as_json: bool) -> int:
    """Check every checksum and every symbol of each .inrv FILE.

    FILE `-` is standard input. Several files are a list `files` in JSON.
    """
    from inrcodec.decoder.info import verify as verify_file

    def show(file: str) -> tuple[int, dict[str, Any]]:
        report = verify_file(file, limits)
        row = {"path": file, "intact": True, "file_bytes": report.file_bytes}
        if not as_json:
            segments = counted(len(report.segments), "segment")
            console.print_line(f"{file}: intact, {report.file_bytes:,} bytes, {segments}")
        elif len(files) == 1:
            console.print_json(row)
        return 0, row

    return _each(files, show, as_json)
