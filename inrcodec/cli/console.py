"""Output to the user: progress, notes and results on stderr, JSON on stdout.

rich is imported only where it draws, so that `--help` and plain output do not wait for it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from inrcodec.cli.lines import error_line, fit_text, job_text, plan_lines, quality_line
from inrcodec.cli.log import EventLog
from inrcodec.errors import UsageError
from inrcodec.progress import EncodePlan, FitReport, JobReport, Silent
from inrcodec.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


_PLAIN_LINE_SECONDS = 10.0
_FITTING = "fitting"


class Verbosity(IntEnum):
    """How much is printed on stderr."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


def verbosity_of(quiet: bool, verbose: bool) -> Verbosity:
    """The verbosity that -q or -v requests; raises `UsageError` if both are given."""
    if quiet and verbose:
        raise UsageError("-q and -v exclude each other")
    return Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL


def say(message: str) -> None:
    """Print one line on stderr."""
    print(printable(message), file=sys.stderr, flush=True)


def say_quality(values_db: Sequence[float]) -> None:
    """Print PSNR over the frames as a row of blocks on stderr, if its encoding has these characters."""
    line = quality_line(values_db)
    try:
        line.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return
    if line:
        say(line)


def say_error(message: str) -> None:
    """Print the one error line of a command that fails."""
    say(error_line(message))


def print_line(line: str) -> None:
    """Print one line of the result on stdout."""
    print(printable(line), flush=True)


def print_script(script: str) -> None:
    """Print a script, whose line feeds stay, on stdout."""
    print(script, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False), flush=True)


class PlainProgress(Silent):
    """Progress as whole lines for logs and pipes: the plan, notes, and a line every ten seconds.

    Once a job is reported as a whole, its fits and stages are not shown one by one.
    """

    def __init__(
        self, verbosity: Verbosity, stream: TextIO | None = None, log: EventLog | None = None
    ) -> None:
        self._verbosity = verbosity
        self._stream = sys.stderr if stream is None else stream
        self._last_line = time.monotonic()
        self._is_job = False
        self.log = log or EventLog(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self.log.close(error)

    def close(self) -> None:
        """Do nothing: plain lines need no clean-up."""

    def begin(self, line: str) -> None:
        # Not printed: a command that fails prints its error alone.
        self.log.write("begin", message=line)

    def plan(self, plan: EncodePlan) -> None:
        self.log.write("plan", **vars(plan))
        if self._verbosity >= Verbosity.NORMAL:
            for line in plan_lines(plan):
                self._line(line)

    def job(self, report: JobReport) -> None:
        self._is_job = True
        self.log.write("job", **vars(report))
        self._show_job(report)

    def fit(self, report: FitReport) -> None:
        self.log.write("fit", **vars(report))
        if not self._is_job:
            self._show(_FITTING, report.fraction, 1.0, fit_text(report))

    def stage(self, name: str, done: int, total: int) -> None:
        if not self._is_job:
            self._show(name, done, total, f"{done}/{total}")

    def note(self, message: str) -> None:
        self.log.write("note", message=message)
        if self._verbosity >= Verbosity.NORMAL:
            self._line(f"inrc: note: {message}")

    def detail(self, message: str) -> None:
        self.log.write("detail", message=message)
        if self._verbosity >= Verbosity.VERBOSE:
            self._line(message)

    def report(self, line: str) -> None:
        """Print a result line, whatever the verbosity."""
        self._line(line)

    def _show_job(self, report: JobReport) -> None:
        if self._is_line_due():
            self._line(f"{report.fraction:4.0%}  {job_text(report)}")

    def _show(self, name: str, done: float, total: float, text: str) -> None:
        if self._is_line_due():
            self._line(f"{name} {done:4.0%}  {text}" if name == _FITTING else f"{name} {text}")

    def _is_line_due(self) -> bool:
        now = time.monotonic()
        if self._verbosity < Verbosity.NORMAL or now - self._last_line < _PLAIN_LINE_SECONDS:
            return False
        self._last_line = now
        return True

    def _line(self, text: str) -> None:
        print(printable(text), file=self._stream, flush=True)


class LiveProgress(PlainProgress):
    """Progress as one bar on a terminal, with lines printed above it."""

    def __init__(
        self, verbosity: Verbosity, stream: TextIO | None = None, log: EventLog | None = None
    ) -> None:
        super().__init__(verbosity, stream, log)
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._task_name = ""

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def begin(self, line: str) -> None:
        super().begin(line)
        if self._verbosity >= Verbosity.NORMAL:
            self._line(line)
            self._show("", 0.0, 1.0, "starting")

    def _show_job(self, report: JobReport) -> None:
        self._show("", report.fraction, 1.0, job_text(report))

    def _show(self, name: str, done: float, total: float, text: str) -> None:
        if self._verbosity < Verbosity.NORMAL:
            return
        bars = self._started_bars()
        if self._task is None or name != self._task_name:
            if self._task is not None:
                bars.remove_task(self._task)
            self._task = bars.add_task(printable(name), total=total, text="")
            self._task_name = name
        bars.update(self._task, completed=done, total=total, text=printable(text))

    def _started_bars(self) -> Bars:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
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
            from rich.text import Text

            self._bars.console.print(Text(printable(text)), highlight=False, soft_wrap=True)


def progress_for(verbosity: Verbosity, log: str | None = None) -> PlainProgress:
    """A progress bar if stderr is a terminal, else plain lines; both also write the events to a file `log`.

    Raises `OutputError` if the log cannot be opened.
    """
    is_live = verbosity >= Verbosity.NORMAL and sys.stderr.isatty()
    events = EventLog(log)
    return LiveProgress(verbosity, log=events) if is_live else PlainProgress(verbosity, log=events)
