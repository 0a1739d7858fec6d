"""The command line: parses arguments, runs commands and turns errors into exit codes.

Each command imports the code that it runs, so `--help`, `info` and `verify` load neither torch nor av.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from inrcodec.cli import console
from inrcodec.cli.completion import completion
from inrcodec.cli.decode import decode
from inrcodec.cli.encode import encode
from inrcodec.cli.export import export
from inrcodec.cli.group import ClosedPipe, Commands, HungUp, Interrupted, NoCommand, Terminated
from inrcodec.cli.info import info, models, verify
from inrcodec.cli.prediction import probe
from inrcodec.cli.quality import compare, evaluate, report
from inrcodec.cli.streams import prepare_streams
from inrcodec.errors import UNEXPECTED, explained
from inrcodec.system.openmp import sleep_at_barriers
from inrcodec.system.signals import HANG_UP
from inrcodec.version import __version__

_IMPORTED = time.monotonic()
"""Approximate start of the process, from which `--time` counts."""
EXIT_INTERRUPTED = 130
_STOPS = (Interrupted, KeyboardInterrupt, Terminated)
"""Exceptions that signals raise."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="inrc", message="%(prog)s %(version)s")
def commands() -> None:
    """A video codec whose files are models, each fitted to one video."""


for command in (encode, probe, decode, info, models, verify, evaluate, report, compare, export, completion):
    commands.add_command(command)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _on_sighup(number: int, frame: FrameType | None) -> None:
    raise HungUp


def run(argv: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run one command line and return its exit code; print at most one line about an error.

    `started` is the `time.monotonic()` from which `--time` counts; None means now.
    """
    started = time.monotonic() if started is None else started
    is_verbose = any(word in ("-v", "--verbose") for word in (sys.argv[1:] if argv is None else argv))
    try:
        code = commands.main(args=argv, prog_name="inrc", standalone_mode=False, obj=started)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except _STOPS as stop:
        return _stopped(stop, argv)
    except ClosedPipe:
        return 0
    except NoCommand as error:
        for line in error.format_message().splitlines():
            console.say(line)
        return error.exit_code
    except click.ClickException as error:
        console.say_error(error.format_message())
        return error.exit_code
    except Exception as error:
        signalled = _stop_behind(error)
        if signalled is not None:
            return _stopped(signalled, argv)
        message, code = explained(error)
        if is_verbose and message.startswith(UNEXPECTED):
            for line in traceback.format_exc().splitlines():
                console.say(line)
        console.say_error(message)
        return code


def _stop_behind(error: BaseException) -> BaseException | None:
    """The exception of a signal that a library, such as PyTorch's exporter, reported as its own failure."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, _STOPS):
        behind = behind.__cause__ or behind.__context__
    return behind


def _stopped(stop: BaseException, argv: Sequence[str] | None) -> int:
    """Print that a signal ended the command, and how to resume it if possible; returns the exit code."""
    how, code = "interrupted", EXIT_INTERRUPTED
    if isinstance(stop, Terminated):
        how, code = stop.name, stop.exit_code
    if str(stop):
        command = shlex.join(["inrc", *(sys.argv[1:] if argv is None else argv)])
        console.say_error(f"{how}; {stop}: {command}")
    else:
        console.say_error(f"{how}, nothing was written")
    return code


def main() -> None:
    """The command `inrc`."""
    prepare_streams()
    sleep_at_barriers()
    signal.signal(signal.SIGTERM, _on_sigterm)
    # `nohup` starts the process with SIGHUP ignored; Windows has no such signal.
    if HANG_UP is not None and signal.getsignal(HANG_UP) != signal.SIG_IGN:
        signal.signal(HANG_UP, _on_sighup)
    code = run(started=_IMPORTED)
    if code == EXIT_INTERRUPTED:
        # CPython remembers an interrupt that passed through `exec` (as imports of torch do), and would end by
        # the signal instead of the exit code although it was handled. All clean-up is done by now.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
