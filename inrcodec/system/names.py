"""Checks of paths before any work, and names that belong to an output."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from inrcodec.errors import UsageError
from inrcodec.system.locks import partial_beside, shortened
from inrcodec.system.private import resolved_output

StrPath = str | os.PathLike[str]
STDIN = STDOUT = "-"
COPY = "source"
"""Kind of the temporary name for a copy of a pipe."""
_LONGEST_RESUMED = 200
"""Bytes of an output's name that its resume folder keeps; file systems allow 255."""


def check_folder_of(target: Path) -> None:
    """Raise `UsageError` unless the folder of `target` exists."""
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist; create it first")


def check_paths(source: StrPath, output: StrPath, may_be_piped: bool = False) -> None:
    """Raise `UsageError` unless `source` exists and is not the output; patterns of images are not checked.

    If it `may_be_piped`, `-` is standard input.
    """
    source, output = os.fspath(source), os.fspath(output)
    if source == STDIN and may_be_piped:
        return
    if "%" not in source:
        _check_exists(source)
    if same_file(source, output):
        raise UsageError(f"{output} is the input itself; name another output")
    target = Path(os.path.realpath(output))
    for kind in ("partial", COPY):
        if same_file(source, str(partial_beside(target, kind))):
            raise UsageError(f"{source} has the name of a temporary file for {output}; rename it")


def _check_exists(path: str) -> None:
    try:
        os.stat(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def same_file(first: str, second: str) -> bool:
    """Whether two paths name the same existing file, also through links and other spellings."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def is_pipe(path: StrPath) -> bool:
    """Whether this is standard input, a pipe, a socket or a character device, which can be read only once."""
    if os.fspath(path) == STDIN:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def resume_folder(output: StrPath) -> Path:
    """The folder where an encode to `output` keeps what it needs to resume after an interruption.

    Raises as `resolved_output`.
    """
    target = resolved_output(output)
    return target.with_name(f"{shortened(target.name, _LONGEST_RESUMED)}.resume")


def resume_remark(requests: Sequence[tuple[str, str]]) -> str:
    """How to resume stopped encodes (source, output); empty if they left nothing to resume."""
    is_begun = any(
        any(any(resume_folder(output).glob(work)) for work in ("segment-*", "fit-*"))
        or (len(requests) > 1 and os.path.isfile(output))
        for _, output in requests
    )
    return "the same command resumes it" if is_begun else ""
