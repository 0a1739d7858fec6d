"""What a person sees: progress, notes and results on stderr, reports on stdout. The only user of rich.

rich is imported where it draws, so that `--help` and plain output do not wait for it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from inrcodec.errors import UsageError
from inrcodec.progress import EncodePlan, FitReport
from inrcodec.reporting import error_line, fit_text, plan_lines

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from inrcodec.evaluation import Evaluation
    from inrcodec.inspect import FileReport, SegmentReport

_PLAIN_LINE_SECONDS = 10.0
_PLAIN_WIDTH = 120
"""Columns of a table that goes to no terminal."""
_FITTING = "fitting"


class Verbosity(IntEnum):
    """How much goes to stderr."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


def verbosity_of(quiet: bool, verbose: bool) -> Verbosity:
    """What -q and -v ask for; raises `UsageError` for both."""
    if quiet and verbose:
        raise UsageError("-q and -v exclude each other")
    return Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL


def say(message: str) -> None:
    """One line on stderr."""
    print(message, file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """The one line by which a command fails."""
    say(error_line(message))


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False), flush=True)


def abandon_stdout() -> None:
    """Point stdout at nothing, or the interpreter would complain of a closed pipe as it exits."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


class PlainProgress:
    """Progress as whole lines, for logs and pipes: the plan, notes, and a line every ten seconds."""

    def __init__(self, verbosity: Verbosity, stream: TextIO | None = None) -> None:
        self._verbosity = verbosity
        self._stream = sys.stderr if stream is None else stream
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is drawn that would have to be taken back."""

    def plan(self, plan: EncodePlan) -> None:
        if self._verbosity >= Verbosity.NORMAL:
            for line in plan_lines(plan):
                self._line(line)

    def fit(self, report: FitReport) -> None:
        if self._is_line_due():
            self._line(f"{_FITTING} {report.fraction:4.0%}  {fit_text(report)}")

    def stage(self, name: str, done: int, total: int) -> None:
        if self._is_line_due():
            self._line(f"{name} {done}/{total}")

    def note(self, message: str) -> None:
        if self._verbosity >= Verbosity.NORMAL:
            self._line(f"inrc: note: {message}")

    def detail(self, message: str) -> None:
        if self._verbosity >= Verbosity.VERBOSE:
            self._line(message)

    def report(self, line: str) -> None:
        """What came of something, whatever the verbosity."""
        self._line(line)

    def _is_line_due(self) -> bool:
        now = time.monotonic()
        if self._verbosity < Verbosity.NORMAL or now - self._last_line < _PLAIN_LINE_SECONDS:
            return False
        self._last_line = now
        return True

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class LiveProgress(PlainProgress):
    """Progress as a bar on a terminal; lines are printed above it."""

    def __init__(self, verbosity: Verbosity, stream: TextIO | None = None) -> None:
        super().__init__(verbosity, stream)
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._task_name = ""

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def fit(self, report: FitReport) -> None:
        self._show(_FITTING, report.fraction, 1.0, fit_text(report))

    def stage(self, name: str, done: int, total: int) -> None:
        self._show(name, done, total, f"{done}/{total}")

    def _show(self, name: str, done: float, total: float, text: str) -> None:
        if self._verbosity < Verbosity.NORMAL:
            return
        bars = self._started_bars()
        if self._task is None or name != self._task_name:
            if self._task is not None:
                bars.remove_task(self._task)
            self._task = bars.add_task(name, total=total, text=text)
            self._task_name = name
        bars.update(self._task, completed=done, total=total, text=text)

    def _started_bars(self) -> Bars:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                console=Console(file=self._stream),
                refresh_per_second=4,
                transient=True,
            )
            self._bars.start()
        return self._bars

    def _line(self, text: str) -> None:
        if self._bars is None:
            super()._line(text)
        else:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def progress_for(verbosity: Verbosity) -> PlainProgress:
    """A bar where stderr is a terminal, else plain lines."""
    is_live = verbosity >= Verbosity.NORMAL and sys.stderr.isatty()
    return LiveProgress(verbosity) if is_live else PlainProgress(verbosity)


def print_report(report: FileReport) -> None:
    """The report of `inrc info` on stdout: a few lines, then a table that adds up to the file."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    for line in report_lines(report):
        console.print(line, markup=False, soft_wrap=True)
    for segment in report.segments:
        console.print(_segment_table(report, segment))
    if len(report.segments) > 1:
        for name, bits in [("container", report.container_bits), *report.extra_rows]:
            console.print(
                f"{printable(name)}: {bits:,} bits, {_share(bits, report)} of the file", markup=False
            )
    sys.stdout.flush()


def print_evaluation(evaluation: Evaluation) -> None:
    """The table of `inrc eval` on stdout: a metric a line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    size = "" if evaluation.bpp is None else f", {evaluation.file_bytes:,} bytes, {evaluation.bpp:.4f} bpp"
    console.print(
        f"{printable(evaluation.decoded)}: {evaluation.frame_count} frames of "
        f"{evaluation.width}x{evaluation.height}{size}",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric")
    for name in ("mean", "worst in a hundred", "worst", "at frame"):
        table.add_column(name, justify="right")
    for one in evaluation.summaries():
        digits = 2 if "dB" in one.metric.title else 4
        numbers = (f"{value:.{digits}f}" for value in (one.mean, one.worst_in_hundred, one.worst))
        table.add_row(one.metric.title, *numbers, str(one.worst_frame))
    console.print(table)
    sys.stdout.flush()


def report_lines(report: FileReport) -> list[str]:
    """The file as a whole, one aspect a line."""
    header = report.header
    color = header.color
    color_range = "full" if color.full_range else "limited"
    rotation = f"turned {header.rotation} degrees clockwise for display, " if header.rotation else ""
    irregular = "" if header.timestamps is None else " (irregular)"
    psnr = "not measured" if report.psnr_db is None else f"{report.psnr_db:.2f} dB"
    return [
        f"{report.path}: {report.file_bytes:,} bytes, format {report.format_version}",
        f"video    {header.width}x{header.height}, {header.frame_count} frames, "
        f"{float(header.frame_rate):.6g} frames/s{irregular}, {header.bit_depth} bits, "
        f"pixel aspect {header.sample_aspect_ratio}, {rotation}"
        f"colour {color.primaries}/{color.transfer}/{color.matrix} {color_range}",
        f"rate     {report.bpp:.4f} bpp",
        f"quality  {psnr}",
        *(f"{printable(key):<8} {printable(value)}" for key, value in report.metadata.items()),
    ]


def printable(text: str) -> str:
    """Text from a file without the control characters that could steer a terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _segment_table(report: FileReport, segment: SegmentReport) -> Any:
    from rich import box
    from rich.table import Table

    last = segment.first_frame + segment.frame_count - 1
    table = Table(
        title=f"frames {segment.first_frame} to {last}: {segment.family}, seed {segment.seed}, "
        f"{segment.parameter_count:,} transmitted values",
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
        table.add_row(section.name, section.role, shape, section.coder, f"{section.bits:,}", share)
    for name, bits in rows:
        table.add_row(printable(name), "", "", "", f"{bits:,}", _share(bits, report))
    return table


def _share(bits: int, report: FileReport) -> str:
    return f"{100 * bits / (8 * report.file_bytes):.1f} %"
