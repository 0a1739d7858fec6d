"""`inrc eval`: how close a video is to its source."""

from __future__ import annotations

from typing import Any

import click

from inrcodec import console, tables
from inrcodec.console import Verbosity
from inrcodec.errors import UsageError
from inrcodec.files import check_output_file, check_paths
from inrcodec.options import DEVICE, picture_options, reporting_options
from inrcodec.settings import METRICS, SourceSettings


@click.command(name="eval")
@click.argument("reference")
@click.argument("decoded")
@picture_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Repeatable.  [default: all that are installed]",
)
@click.option("--csv", "table", metavar="FILE.csv", help="A line for each frame.")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing table.")
@reporting_options
def evaluate(
    reference: str,
    decoded: str,
    metrics: tuple[str, ...],
    table: str | None,
    device: str,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    bit_depth: str | None,
    **source: Any,
) -> None:
    """Measure how close DECODED, an .inrv file or any video, is to the video REFERENCE.

    --frames, --every, --crop, --scale, --bit-depth and --stream take of REFERENCE what was encoded.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    selected = SourceSettings(**source, bit_depth=None if bit_depth is None else int(bit_depth))
    if table is not None:
        if not table.endswith(".csv"):
            raise UsageError(f"--csv: expected a name that ends with .csv, found {table}")
        for path in (reference, decoded):
            check_paths(path, table)
        check_output_file(table, overwrite)
    from inrcodec.evaluation import evaluate as compare

    with console.progress_for(verbosity) as progress:
        found = compare(reference, decoded, selected, metrics, device, progress)
    if table is not None:
        found.write_csv(table, overwrite)
    if as_json:
        console.print_json(found.as_dict())
    elif verbosity >= Verbosity.NORMAL:
        tables.print_evaluation(found)
