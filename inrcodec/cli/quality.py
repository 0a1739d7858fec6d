"""`inrc eval`, `inrc report` and `inrc compare`: quality against a source, and the bits it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from inrcodec.cli import console, tables
from inrcodec.cli.console import Verbosity
from inrcodec.cli.grouped import GroupedCommand, option_group
from inrcodec.cli.limits import limits_option
from inrcodec.cli.lines import comparison_line, report_line
from inrcodec.cli.options import reporting_options, threads_option
from inrcodec.cli.source_options import is_part_given, picture_options, source_settings
from inrcodec.cli.types import DEVICE, DURATION, LADDER, POSITIVE, PRESET
from inrcodec.errors import UsageError
from inrcodec.settings.pages import FURTHER_METRICS, METRICS, ComparisonSettings, ReportSettings
from inrcodec.settings.source import SourceSettings
from inrcodec.system.files import check_output_file
from inrcodec.system.names import check_paths

if TYPE_CHECKING:
    from bitstream.limits import Limits

_EVAL_EXAMPLES = """\b
Examples:
  inrc eval in.mp4 out.inrv
  inrc eval in.mp4 rival.mp4 --frames 1s:3s --scale 50%
"""
_REPORT_EXAMPLE = """\b
Example:
  inrc report in.mp4 small.inrv large.inrv -o page.html
"""
_COMPARE_EXAMPLE = """\b
Example:
  inrc compare in.mp4 -o page.html --time 20m --start 10s --end 15s
"""
_TITLE_HELP = "Heading of the page.  [default: the name of SOURCE]"
_output, _measure, _codecs = option_group("Output"), option_group("Measures"), option_group("Codecs")
_effort = option_group("Time and device")


@click.command(name="eval", cls=GroupedCommand, epilog=_EVAL_EXAMPLES)
@click.argument("reference")
@click.argument("decoded")
@picture_options
@_measure(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Metric to measure; repeatable.  [default: all installed but xpsnr, vmaf]",
)
@_output("--csv", "table", metavar="FILE.csv", help="Also write a table with one line per frame.")
@_effort("--device", type=DEVICE, default="auto", show_default=True)
@threads_option
@_output("-y", "overwrite", is_flag=True, help="Replace an existing table.")
@limits_option
@reporting_options
def evaluate(
    reference: str,
    decoded: str,
    metrics: tuple[str, ...],
    table: str | None,
    device: str,
    overwrite: bool,
    limits: Limits,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Measure how close DECODED, an .inrv file or any video, is to the video REFERENCE.

    An .inrv file says which part of REFERENCE it holds. For other videos, and for .inrv files that do not say
    it, --frames, --every, --crop, --scale, --bit-depth and --stream select that part.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    selected = _selected(source)
    if table is not None:
        if not table.endswith(".csv"):
            raise UsageError(f"--csv: expected a name that ends with .csv, found {table}")
        for path in (reference, decoded):
            check_paths(path, table)
        check_output_file(table, overwrite)
    from inrcodec.quality.evaluation import evaluate as compare

    with console.progress_for(verbosity) as progress:
        found = compare(reference, decoded, selected, metrics, device, progress, limits)
    if table is not None:
        found.write_csv(table, overwrite)
    if as_json:
        console.print_json(found.as_dict())
    elif verbosity >= Verbosity.NORMAL:
        tables.print_evaluation(found)


def _selected(options: dict[str, Any]) -> SourceSettings | None:
    """The part of the source that the options select; None if they do not, and files say it."""
    selected = source_settings(options)
    return selected if is_part_given(click.get_current_context()) else None


@click.command(cls=GroupedCommand, epilog=_REPORT_EXAMPLE)
@click.argument("source")
@click.argument("files", nargs=-1, required=True, metavar="FILE.inrv...")
@_output("-o", "--output", required=True, help="The .html page to write.")
@_output("--title", metavar="TEXT", help=_TITLE_HELP)
@picture_options
@_measure(
    "--results",
    multiple=True,
    metavar="RD.json",
    help="Other codecs for the rate-distortion plots, as measured by benchmarks.rd.  Repeatable.",
)
@_measure(
    "--log",
    "logs",
    multiple=True,
    metavar="ENCODE.json",
    help="Output of `inrc encode --json` for one of the files, to plot its fit.  Repeatable.",
)
@_effort("--device", type=DEVICE, default="auto", show_default=True)
@threads_option
@_output("-y", "overwrite", is_flag=True, help="Replace an existing page.")
@limits_option
@reporting_options
def report(
    source: str,
    files: tuple[str, ...],
    output: str,
    results: tuple[str, ...],
    logs: tuple[str, ...],
    device: str,
    overwrite: bool,
    title: str | None,
    limits: Limits,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **selected: Any,
) -> None:
    """Write an HTML page that compares .inrv files with their SOURCE.

    The page is self-contained. Files say which part of SOURCE they hold; for files that do not, --frames,
    --every, --crop, --scale, --bit-depth and --stream select it.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    settings = ReportSettings(
        _selected(selected),
        results,
        logs,
        device,
        overwrite,
        title,
        limits,
    )
    from inrcodec.quality.report.write import write_report

    with console.progress_for(verbosity) as progress:
        made = write_report(source, files, output, settings, progress)
    if as_json:
        console.print_json(made.as_dict())
    if verbosity >= Verbosity.NORMAL:
        console.say(report_line(output, made.as_dict()))


@click.command(cls=GroupedCommand, epilog=_COMPARE_EXAMPLE)
@click.argument("source")
@_output("-o", "--output", required=True, help="The .html page to write.")
@_output("--title", metavar="TEXT", help=_TITLE_HELP)
@_effort(
    "--time",
    "time_seconds",
    type=DURATION,
    help="Wall-clock limit of all inrc encodes together.  [default: 5m without --epochs or --preset]",
)
@_effort("--epochs", type=POSITIVE, help="Passes over the frames in each encode.")
@_effort("--preset", type=PRESET, help="See `inrc encode`.  [default: medium]")
@_codecs(
    "--bpp",
    "bpps",
    type=LADDER,
    default=",".join(f"{bpp:g}" for bpp in ComparisonSettings.bpps),
    show_default=True,
    help="Bits per pixel of the inrc files; BD-rates need four.",
)
@_codecs(
    "--model",
    "models",
    multiple=True,
    help="Model to compare, from `inrc models`; repeatable.  [default: inrc]",
)
@_codecs(
    "--against",
    default=",".join(ComparisonSettings.against),
    show_default=True,
    metavar="CODEC:PRESET,...",
    help="Ordinary codecs to compare with: x264, x265 or svtav1.",
)
@_measure(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(FURTHER_METRICS),
    help="Metric to measure beside PSNR and MS-SSIM; repeatable.",
)
@picture_options
@_output("--keep", metavar="FOLDER", help="Keep the .inrv files there.  [default: delete them]")
@_effort("--device", type=DEVICE, default="auto", show_default=True)
@threads_option
@_output("-y", "overwrite", is_flag=True, help="Replace an existing page and kept files.")
@reporting_options
def compare(
    source: str,
    output: str,
    models: tuple[str, ...],
    against: str,
    metrics: tuple[str, ...],
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **plain: Any,
) -> None:
    """Compare inrc with ordinary codecs on the video SOURCE, as an HTML page.

    Only the first five seconds of a longer video are compared, unless --frames is given.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    is_chosen = is_part_given(click.get_current_context(), ("frames", "start", "end"))
    settings = ComparisonSettings(
        source_settings(plain),
        first_seconds=None if is_chosen else ComparisonSettings.first_seconds,
        models=models or ComparisonSettings.models,
        metrics=list(dict.fromkeys(metrics)),
        against=[text for text in against.split(",") if text],
        **plain,
    )
    from inrcodec.quality.comparison.compare import compare as compare_codecs

    with console.progress_for(verbosity) as progress:
        found = compare_codecs(source, output, settings, progress)
    if as_json:
        console.print_json(found.as_dict())
    elif verbosity >= Verbosity.NORMAL:
        tables.print_comparison(found)
    if verbosity >= Verbosity.NORMAL:
        console.say(comparison_line(output, found.as_dict()))
