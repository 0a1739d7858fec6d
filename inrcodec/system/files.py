"""Atomic output files: checked first, written beside the target, then renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import InrcError, OutputError, UsageError
from inrcodec.system.locks import HAS_LOCKS, locked_file, locked_folder, partial_beside, shortened

STDIN = STDOUT = "-"
COPY = "source"
"""Kind of the temporary name for a copy of a pipe."""
_LONGEST_RESUMED = 200
"""Bytes of an output's name that its resume folder keeps; file systems allow 255."""


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The error that says in one line why `path` could not be written."""
    return OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}")


def check_output_file(path: str | os.PathLike[str], overwrite: bool, size_bytes: int = 0) -> None:
    """Refuse a target that `atomic_output` would refuse, before any work is done.

    A temporary file in the target's folder, removed at the end, proves that the folder is writable and has
    room for `size_bytes`. Raises `UsageError` if `path` exists and `overwrite` is false, if it is not a
    regular file, or if its folder is missing. Raises `OutputError` if the file system refuses.
    """
    with output_errors(path):
        _check_target(Path(path), overwrite)
        folder = Path(os.path.realpath(path)).parent
        # It has no name where the system allows that, so that a process killed here leaves nothing.
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), folder, size_bytes)


def check_new_outputs(paths: Sequence[str], overwrite: bool) -> None:
    """Refuse outputs as `check_output_file` does, unless a stopped command for them can be resumed."""
    if not any(resume_folder(path).is_dir() for path in paths):
        for path in paths:
            check_output_file(path, overwrite)


def _reserve(descriptor: int, folder: Path, size_bytes: int) -> None:
    """Raise `OSError` if the file system has no room for a file of `size_bytes`."""
    if size_bytes == 0:
        return
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except (AttributeError, OSError) as error:
        # macOS and Windows have no such call, and some file systems do not support it.
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if is_full:
            raise
        if shutil.disk_usage(folder).free < size_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


def _check_target(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file in it")
    if target.exists():
        if not target.is_file():
            # A rename would replace the device itself (such as /dev/null) by a file.
            raise UsageError(f"{target} is not a regular file; name a file")
        if not overwrite:
            raise UsageError(f"{target} exists already; -y replaces it")
    check_folder_of(target)


def check_folder_of(target: Path) -> None:
    """Raise `UsageError` unless the folder of `target` exists."""
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist; create it first")


def check_paths(source: str, output: str, may_be_piped: bool = False) -> None:
    """Raise `UsageError` unless `source` exists and is not the output; patterns of images are not checked.

    If it `may_be_piped`, `-` is standard input.
    """
    if source == STDIN and may_be_piped:
        return
    if not os.path.exists(source) and "%" not in source:
        raise UsageError(f"{source} does not exist")
    if same_file(source, output):
        raise UsageError(f"{output} is the input itself; name another output")
    target = Path(os.path.realpath(output))
    for kind in ("partial", COPY):
        if same_file(source, str(partial_beside(target, kind))):
            raise UsageError(f"{source} has the name of a temporary file for {output}; rename it")


def output_paths(sources: Sequence[str], output: str) -> list[str]:
    """The .inrv file of each source: `output` itself, or NAME.inrv in it if it is a folder.

    A missing folder is created if `output` ends in a slash. Raises `UsageError` for several sources without a
    folder and for two sources of one name, and `OutputError` if the folder cannot be created.
    """
    is_named = output.endswith(("/", os.sep))
    if not is_named and not os.path.isdir(output):
        if len(sources) > 1:
            raise UsageError(f"{len(sources)} sources need a folder; write -o {output}/")
        return [output]
    paths: dict[str, str] = {}
    for source in sources:
        path = os.path.join(output, f"{_stem(source)}.inrv")
        if path in paths:
            raise UsageError(f"{paths[path]} and {source} would both be {path}; encode them one by one")
        paths[path] = source
    if not os.path.isdir(output):
        check_folder_of(Path(output))
        try:
            os.mkdir(output)
        except OSError as error:
            raise output_error(output, error) from error
    return list(paths)


def _stem(source: str) -> str:
    """The name of a source without its suffix; for numbered images without a name, that of their folder."""
    if source == STDIN:
        return "stdin"
    path = Path(source)
    name = re.sub(r"%\d*d", "", path.stem).strip(" ._-") if "%" in path.name else path.stem
    return name or path.absolute().parent.name or "video"


def same_file(first: str, second: str) -> bool:
    """Whether two paths name the same existing file, also through links and other spellings."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


@contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """A context that turns an `OSError`, except a closed pipe, into an `OutputError` about `path`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(path, error) from error


@contextmanager
def claimed_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that becomes `path` when the block ends without an error.

    Until then it has a fixed hidden name in the same folder and is locked. No other process can claim the
    output meanwhile, and a file left by a killed process is reused. Any exception, KeyboardInterrupt too,
    removes the file. The bytes are on disk before the rename. Raises `UsageError` as `check_output_file` does
    and if another process has claimed the output, and `OutputError` if the file system refuses the file or
    its name.
    """
    target = Path(os.path.realpath(path))
    with output_errors(path):
        _check_target(Path(path), overwrite)
        file, temporary = locked_file(target)
    with file:
        try:
            yield file
            with output_errors(path):
                file.flush()
                os.fsync(file.fileno())
                # The work took a while: another process may have created `path` meanwhile.
                _check_target(Path(path), overwrite)
                if not HAS_LOCKS:
                    file.close()
                os.replace(temporary, target)
        except BaseException:
            # Remove it while it is locked: afterwards another process may own the name.
            if not HAS_LOCKS:
                file.close()
            with suppress(OSError):
                os.unlink(temporary)
            raise


@contextmanager
def atomic_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """Like `claimed_output`, for a block that only writes: every `OSError` in it becomes an `OutputError`."""
    with output_errors(path), claimed_output(path, overwrite) as file:
        yield file


@contextmanager
def rereadable(source: str, output: str | os.PathLike[str]) -> Iterator[str]:
    """A path from which `source` can be read repeatedly: standard input and pipes are copied first.

    The copy has a fixed hidden name beside `output`, which the caller has claimed. It is removed when the
    block ends, as is a copy that a killed process left. Errors about the copy name the source instead. Raises
    `UsageError` if standard input is a terminal, and `OutputError` if there is no room for the copy.
    """
    copy = partial_beside(Path(os.path.realpath(output)), COPY)
    try:
        if not is_pipe(source):
            with suppress(OSError):
                copy.unlink()
            yield source
            return
        with output_errors(copy), _opened_pipe(source) as pipe, open(copy, "wb") as file:
            shutil.copyfileobj(pipe, file, 1 << 20)
        yield str(copy)
    except InrcError as error:
        name = "standard input" if source == STDIN else source
        error.args = (str(error).replace(str(copy), name),)
        raise
    finally:
        with suppress(OSError):
            copy.unlink()


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether this is standard input, a pipe, a socket or a character device, which can be read only once."""
    if os.fspath(path) == STDIN:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def _opened_pipe(source: str) -> AbstractContextManager[BinaryIO]:
    if source != STDIN:
        return open(source, "rb")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is not a pipe: send a video into it, or name a file")
    return nullcontext(sys.stdin.buffer)


def resume_folder(output: str | os.PathLike[str]) -> Path:
    """The folder where an encode to `output` keeps what it needs to resume after an interruption."""
    target = Path(os.path.realpath(output))
    return target.with_name(f"{shortened(target.name, _LONGEST_RESUMED)}.resume")


def resume_remark(requests: Sequence[tuple[str, str]]) -> str:
    """How to resume stopped encodes (source, output); empty if they left nothing to resume."""
    is_begun = any(
        any(any(resume_folder(output).glob(work)) for work in ("segment-*", "fit-*"))
        or (len(requests) > 1 and os.path.isfile(output))
        for _, output in requests
    )
    return "the same command resumes it" if is_begun else ""


def replace_file(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data` atomically.

    Several processes may do so at once; the last one wins. Raises `OSError`.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


@contextmanager
def temporary_folder_beside(target: Path) -> Iterator[Path]:
    """An empty, locked, hidden folder beside `target`, removed with its contents when the block ends.

    Raises `OutputError` if it cannot be created and `UsageError` if another process holds it.
    """
    with output_errors(target):
        descriptor, folder = locked_folder(target)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)
