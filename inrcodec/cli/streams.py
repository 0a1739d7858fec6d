"""Standard streams of the process: a display may fail, a result must not fail silently.

    stderr   shows progress and notes; once nobody reads it, the work goes on
    stdout   carries results: a closed pipe ends the command quietly, any other failure is an error

Neither raises for characters that its encoding lacks. A stream that was closed from the start keeps its
descriptor, so that no file of the program is opened in its place.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

from inrcodec.cli.group import ClosedPipe
from inrcodec.errors import OutputError

_STDOUT, _STDERR = 1, 2
_CLOSED_MODES = {0: os.O_WRONLY, _STDOUT: os.O_RDONLY, _STDERR: os.O_RDWR}
"""How the null device takes the place of a closed descriptor: reading stdin and writing stdout fail."""


class _Display(io.FileIO):
    """Drops what cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


class _Result(io.FileIO):
    """Raises `ClosedPipe` or `OutputError` once, then drops what the buffers above it still hold."""

    _is_given_up = False

    def write(self, data: Any, /) -> int:
        if self._is_given_up:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self._is_given_up = True
            if error.errno == errno.EPIPE:
                raise ClosedPipe from None
            raise OutputError(f"cannot write standard output: {error.strerror}") from error


def prepare_streams() -> None:
    """Replace stdout and stderr of this process, before any other file is opened."""
    for descriptor, mode in _CLOSED_MODES.items():
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one.
            os.set_inheritable(os.open(os.devnull, mode), True)
    sys.stdout = _text(_Result(_STDOUT, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Display(_STDERR, "wb", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """A text stream like `before`, which is None if it was closed."""
    buffer, errors = io.BufferedWriter(raw), "backslashreplace"
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(buffer, "utf-8", errors)
    return io.TextIOWrapper(
        buffer,
        before.encoding,
        errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
