"""Copies of pipes, so that a source can be read more than once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import BinaryIO

from inrcodec.errors import InrcError, UsageError
from inrcodec.system.files import output_errors
from inrcodec.system.locks import partial_beside
from inrcodec.system.names import COPY, STDIN, is_pipe
from inrcodec.system.private import create_private, resolved_output


@contextmanager
def rereadable(source: str, output: str | os.PathLike[str]) -> Iterator[str]:
    """A path from which `source` can be read repeatedly: standard input and pipes are copied first.

    The copy has a fixed hidden name beside `output`, which the caller has claimed, and only this user can
    read it. It is removed when the block ends, as is a copy that a killed process left. Errors about the copy
    name the source instead. Raises `UsageError` if standard input is a terminal, and `OutputError` if there
    is no room for the copy.
    """
    copy = partial_beside(resolved_output(output), COPY)
    try:
        if not is_pipe(source):
            with suppress(OSError):
                copy.unlink()
            yield source
            return
        with output_errors(copy), _opened_pipe(source) as pipe, create_private(copy) as file:
            shutil.copyfileobj(pipe, file, 1 << 20)
        yield str(copy)
    except InrcError as error:
        name = "standard input" if source == STDIN else source
        error.args = tuple(
            part.replace(str(copy), name) if isinstance(part, str) else part for part in error.args
        )
        raise
    finally:
        with suppress(OSError):
            copy.unlink()


def _opened_pipe(source: str) -> AbstractContextManager[BinaryIO]:
    if source != STDIN:
        return open(source, "rb")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is not a pipe: send a video into it, or name a file")
    return nullcontext(sys.stdin.buffer)
