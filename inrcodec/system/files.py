"""Output files that appear whole or not at all: checked first, written beside the target, then renamed."""

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
"""Kind of the temporary name of what a pipe has brought."""
_LONGEST_RESUMED = 200
"""Bytes of an output's name that the name of its folder keeps; file systems allow 255."""


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The one line that says why `path` could not be written."""
    return OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}")


def check_output_file(path: str | os.PathLike[str], overwrite: bool, size_bytes: int = 0) -> None:
    """Refuse a target that `atomic_output` would refuse, before any work is done for it.

    A temporary file in the target's folder, gone at the end, proves that the folder takes files and has room
    for `size_bytes`. Raises `UsageError` when `path` exists and `overwrite` is false, when it is no regular
    file, or when its folder is missing, and `OutputError` when the file system refuses.
    """
    with output_errors(path):
        _check_target(Path(path), overwrite)
        folder = Path(os.path.realpath(path)).parent
        # It has no name, where the system can: a process that is killed here leaves nothing.
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), folder, size_bytes)


def check_new_outputs(paths: Sequence[str], overwrite: bool) -> None:
    """Refuse outputs as `check_output_file` does, unless a command for them was stopped and can go on."""
    if not any(resume_folder(path).is_dir() for path in paths):
        for path in paths:
            check_output_file(path, overwrite)


def _reserve(descriptor: int, folder: Path, size_bytes: int) -> None:
    """Raise `OSError` when the file system has no room for a file of `size_bytes`."""
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
            # Renaming onto it would replace the device itself (/dev/null, say) by a file.
            raise UsageError(f"{target} is no regular file; name a file")
        if not overwrite:
            raise UsageError(f"{target} exists already; -y replaces it")
    check_folder_of(target)


def check_folder_of(target: Path) -> None:
    """Raise `UsageError` unless the folder that will hold `target` is there."""
    if not target.parent.is_dir():
        raise UsageError(f"the folder {target.parent} does not exist; create it first")


def check_paths(source: str, output: str, may_be_piped: bool = False) -> None:
    """Raise `UsageError` unless `source` is there (a pattern of images may be) and is not the output.

    Where it `may_be_piped`, `-` is standard input.
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
            raise UsageError(f"{source} has a name that is needed while {output} is written; rename it")


def output_paths(sources: Sequence[str], output: str) -> list[str]:
    """Where each source's .inrv goes: `output` itself, or NAME.inrv in it where that is a folder.

    A folder that is missing is made if `output` ends in a slash. Raises `UsageError` for several sources
    without a folder and for two of one name, and `OutputError` for a folder that cannot be made.
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
    """The name of a source without its ending; that of the folder for numbered images."""
    if source == STDIN:
        return "stdin"
    path = Path(source)
    name = re.sub(r"%\d*d", "", path.stem).strip(" ._-") if "%" in path.name else path.stem
    return name or path.absolute().parent.name or "video"


def same_file(first: str, second: str) -> bool:
    """Whether two paths name one existing file, through links and other spellings too."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


@contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within, what the file system refuses is an `OutputError` about `path`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(path, error) from error


@contextmanager
def claimed_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that becomes `path` when the block ends without an error.

    Until then it has a hidden name in the same folder, always the same one, and is locked: nobody else can
    claim the output meanwhile, and what a killed process left behind is used again. Any exception
    (KeyboardInterrupt included) removes it. The bytes are on the disk before the rename. Raises `UsageError`
    as `check_output_file` does and where another process has claimed the output, and `OutputError` when the
    file system refuses the file or its name.
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
                # It took a while: somebody may have put a file there.
                _check_target(Path(path), overwrite)
                if not HAS_LOCKS:
                    file.close()
                os.replace(temporary, target)
        except BaseException:
            # Still under the lock: once that is gone the name may be another process's.
            if not HAS_LOCKS:
                file.close()
            with suppress(OSError):
                os.unlink(temporary)
            raise


@contextmanager
def atomic_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """As `claimed_output`, for a block that does nothing but write: all its `OSError`s are `OutputError`s."""
    with output_errors(path), claimed_output(path, overwrite) as file:
        yield file


@contextmanager
def rereadable(source: str, output: str | os.PathLike[str]) -> Iterator[str]:
    """A path at which `source` can be read as often as wanted: standard input and pipes are copied first.

    The copy has a fixed hidden name beside `output`, which the caller has claimed, and is gone when the block
    ends; one that a killed process left is gone too. Errors about it name what it is a copy of. Raises
    `UsageError` for a terminal, and `OutputError` where there is no room for it.
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
    """Whether this is standard input, a pipe or a device like one: what is read once, from front to end."""
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
        raise UsageError("standard input is no pipe: send a video into it, or name a file")
    return nullcontext(sys.stdin.buffer)


def resume_folder(output: str | os.PathLike[str]) -> Path:
    """Where an encode to `output` keeps what it needs to go on after an interruption."""
    target = Path(os.path.realpath(output))
    return target.with_name(f"{shortened(target.name, _LONGEST_RESUMED)}.resume")


def resume_remark(requests: Sequence[tuple[str, str]]) -> str:
    """What is left of encodes (source, output) that were stopped; of several, files are begun too."""
    is_begun = any(
        any(any(resume_folder(output).glob(work)) for work in ("segment-*", "fit-*"))
        or (len(requests) > 1 and os.path.isfile(output))
        for _, output in requests
    )
    return "the same command again goes on from here" if is_begun else ""


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file at `path`, which is the old or the new one at any moment.

    Several processes may do so at once: the last one has its way.

    Raises `OSError`.
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
    """An empty hidden folder beside `target`, locked, and removed with all it holds when the block ends.

    Raises `OutputError` when it cannot be made and `UsageError` when another process has it.
    """
    with output_errors(target):
        descriptor, folder = locked_folder(target)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)
