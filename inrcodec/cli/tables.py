"""The tables that commands print on stdout. Only `console` uses rich besides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from inrcodec.cli.file_lines import report_lines
from inrcodec.settings.notation import duration_text
from inrcodec.text import counted, printable

if TYPE_CHECKING:
    from rich.text import Text

    from inrcodec.decoder.detail import Detail
    from inrcodec.decoder.info import FileReport, SegmentReport
    from inrcodec.quality.comparison.result import ComparisonResult
    from inrcodec.quality.evaluation import Evaluation
    from inrcodec.quality.prediction.result import Prediction, Range


_PLAIN_WIDTH = 120
"""Columns of a table that is not printed on a terminal."""


def print_report(report: FileReport) -> None:
    """Print the report of `inrc info`: a few lines, then tables whose bits add up to the file."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    for line in report_lines(report):
        console.print(_plain(line), soft_wrap=True)
    for segment in report.segments:
        console.print(_segment_table(report, segment))
    if len(report.segments) > 1:
        for name, bits in [("container", report.container_bits), *report.extra_rows]:
            console.print(_plain(f"{name}: {bits:,} bits, {_share(bits, report)} of the file"))
    if report.detail is not None:
        console.print(_detail_table(report, report.detail))
    sys.stdout.flush()


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the table of `inrc eval`: one line per metric."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    size = "" if evaluation.bpp is None else f", {evaluation.file_bytes:,} bytes, {evaluation.bpp:.4f} bpp"
    console.print(
        _plain(
            f"{evaluation.decoded}: {counted(evaluation.frame_count, 'frame')} of "
            f"{evaluation.width}x{evaluation.height}{size}"
        ),
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric")
    for name in ("mean", "worst percentile", "worst", "at frame"):
        table.add_column(name, justify="right")
    for one in evaluation.summaries():
        digits = 2 if one.metric.unit == "dB" else 4
        numbers = (f"{value:.{digits}f}" for value in (one.mean, one.worst_in_hundred, one.worst))
        table.add_row(f"{one.metric.title} {one.metric.unit}", *numbers, str(one.worst_frame))
    console.print(table)
    sys.stdout.flush()


def print_comparison(result: ComparisonResult) -> None:
    """Print the tables of `inrc compare`: all files, those of equal bytes, BD-rates, and the verdict."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from inrcodec.quality.comparison.result import further_tables, points_table, rates_table, remarks
    from inrcodec.quality.report.side_by_side import side_by_side_table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    sides = side_by_side_table(result.page.evidence.side_by_side)
    rates = (rates_table(result.comparisons), *further_tables(result.comparisons))
    for texts in (points_table(result.contenders), sides, *rates):
        table = Table(box=box.SIMPLE_HEAD)
        for number, name in enumerate(texts.head):
            table.add_column(name, justify="left" if number < 2 else "right")
        for row in texts.rows:
            table.add_row(*map(_plain, row))
        console.print(table)
    for line in (*remarks(result.contenders, result.left_out), result.verdict):
        console.print(_plain(line), soft_wrap=True)
    sys.stdout.flush()


def print_prediction(made: Prediction) -> None:
    """Print the table of `inrc probe`, a line a length of the fit, and what it was measured on."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("fit")
    for name in ("bytes", "bpp", "PSNR dB", "time", f"{made.rival}, same PSNR"):
        table.add_column(name, justify="right")
    for one in made.outcomes:
        rival = _UNKNOWN
        if one.rival_bytes is not None and one.file_bytes is not None:
            rival = f"{one.rival_bytes:,} ({one.rival_bytes / one.file_bytes.expected - 1:+.0%})"
        table.add_row(
            f"{'*' if one.is_asked else ' '} {one.name}",
            _UNKNOWN if one.file_bytes is None else f"{one.file_bytes.expected:,.0f}",
            _UNKNOWN if one.bpp is None else f"{one.bpp:.4f}",
            _psnr_text(one.psnr_db),
            _seconds_text(one.seconds),
            rival,
        )
    console.print(table)
    for line in prediction_lines(made):
        console.print(_plain(line), soft_wrap=True)
    sys.stdout.flush()


_UNKNOWN = "unknown"


def _psnr_text(quality: Range | None) -> str:
    if quality is None:
        return _UNKNOWN
    return f"{quality.expected:.1f} ± {(quality.high - quality.low) / 2:.1f}"


def _seconds_text(seconds: Range | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return (
        f"{duration_text(seconds.expected)} ({duration_text(seconds.low)} to {duration_text(seconds.high)})"
    )


def prediction_lines(made: Prediction) -> list[str]:
    """Lines below the table of a prediction: output, the ordinary codec, the evidence, what is unknown."""
    evidence, asked = made.evidence, made.asked
    lines = []
    if made.output is not None:
        extras = f", and {made.extras_bytes:,} bytes of audio and metadata" if made.extras_bytes else ""
        # A search for a PSNR takes the bytes that it needs.
        limit = f"at most {made.target_bytes:,} bytes" if made.psnr_target_db is None else "no size is fixed"
        lines.append(f"* {made.output} would be written: {limit}{extras}")
    elif made.extras_bytes:
        lines.append(f"audio and metadata add {made.extras_bytes:,} bytes")
    if made.rival_psnr_db is not None:
        lines.append(f"{made.rival} has {made.rival_psnr_db:.1f} dB at as many bytes")
    if made.psnr_target_db is not None and asked.file_bytes is not None:
        size = asked.file_bytes
        lines.append(
            f"{made.psnr_target_db:g} dB will probably take {size.low:,.0f} to {size.high:,.0f} bytes"
        )
    if evidence.samples:
        samples = counted(evidence.samples, "sample")
        lines.append(
            f"measured on {samples} of {counted(evidence.frames, 'frame')} of "
            f"{evidence.width}x{evidence.height}, and on {evidence.rival_share:.0%} of the pixels with "
            f"{made.rival}; about 19 of 20 results lie within the bounds"
        )
    return [*lines, *made.remarks]


def _plain(text: str) -> Text:
    """`text` as it is, for rich: neither markup nor names of emoji."""
    from rich.text import Text

    return Text(printable(text))


def _segment_table(report: FileReport, segment: SegmentReport) -> Any:
    from rich import box
    from rich.table import Table

    last = segment.first_frame + segment.frame_count - 1
    package = "" if segment.package is None else f" of package {segment.package}"
    table = Table(
        title=_plain(
            f"frames {segment.first_frame} to {last}: {segment.family}{package}, "
            f"seed {segment.seed}, {counted(segment.parameter_count, 'transmitted value')}"
        ),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_footer=True,
    )
    rows = [("segment header", segment.overhead_bits)]
    if len(report.segments) == 1:
        rows += [("container", report.container_bits), *report.extra_rows]
    total_bits = sum(section.bits for section in segment.sections) + sum(bits for _, bits in rows)
    table.add_column("section", footer="file" if len(report.segments) == 1 else "segment")
    for name in ("role", "shape", "coder"):
        table.add_column(name)
    table.add_column("bits", justify="right", footer=f"{total_bits:,}")
    table.add_column("share", justify="right", footer=_share(total_bits, report))
    for section in segment.sections:
        shape = " x ".join(map(str, section.shape)) or "1"
        share = _share(section.bits, report)
        table.add_row(_plain(section.name), section.role, shape, section.coder, f"{section.bits:,}", share)
    for name, bits in rows:
        table.add_row(_plain(name), "", "", "", f"{bits:,}", _share(bits, report))
    return table


def _detail_table(report: FileReport, detail: Detail) -> Any:
    """Bits by level of the hierarchy and by kind; the last column is about the blocks of a level."""
    from rich import box
    from rich.table import Table

    kinds = detail.kinds
    total = sum(kinds.values())
    empty = f"{100 * detail.empty_share:.1f} %"
    table = Table(
        title="bits by level of the hierarchy and by kind",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_footer=True,
    )
    table.add_column("level", footer="video")
    heads = ("frames", "motion", "flags", "latents", "bits", "share", "blocks without latents")
    frames = sum(level.frames for level in detail.levels)
    sums = [f"{bits:,.0f}" for bits in (kinds["motion"], kinds["flags"], kinds["latents"], total)]
    for name, footer in zip(heads, [str(frames), *sums, _share(total, report), empty], strict=True):
        table.add_column(name, justify="right", footer=footer)
    names = {0: "0 first frames", 1: "1 anchors"}
    for one in detail.levels:
        bits = [f"{kind:,.0f}" for kind in (one.motion_bits, one.flag_bits, one.latent_bits, one.bits)]
        label = names.get(one.level, str(one.level))
        share = f"{100 * one.empty_share:.1f} %"
        table.add_row(label, str(one.frames), *bits, _share(one.bits, report), share)
    for label, value in (
        ("network", detail.network_bits),
        ("entropy models", detail.entropy_model_bits),
        ("headers and others", detail.other_bits),
    ):
        table.add_row(label, *[""] * 4, f"{value:,.0f}", _share(value, report), "")
    return table


def _share(bits: float, report: FileReport) -> str:
    return f"{100 * bits / (8 * report.file_bytes):.1f} %"
