"""Atomic output files: checked first, written beside the target, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import OutputError, UsageError
from inrcodec.system.locks import HAS_LOCKS, locked_file, locked_folder
from inrcodec.system.names import check_folder_of, resume_folder
from inrcodec.system.private import create_private, resolved_output


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
        folder = _checked_target(Path(path), overwrite).parent
        # It has no name where the system allows that, so that a process killed here leaves nothing.
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), folder, size_bytes)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Create a folder for outputs, if it is missing, in a folder that exists.

    Raises `UsageError` if that folder is missing too, and `OutputError` if the file system refuses.
    """
    folder = Path(path)
    if not folder.is_dir():
        check_folder_of(folder)
        with output_errors(path):
            folder.mkdir(exist_ok=True)


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


def _checked_target(target: Path, overwrite: bool) -> Path:
    """`target` without links; raises `UsageError` if it cannot be written."""
    resolved = resolved_output(target)
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file in it")
    if target.exists():
        if not target.is_file():
            # A rename would replace the device itself (such as /dev/null) by a file.
            raise UsageError(f"{target} is not a regular file; name a file")
        if not overwrite:
            raise UsageError(f"{target} exists already; -y replaces it")
    check_folder_of(target)
    return resolved


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
    removes the file. The bytes are on disk before the rename, and the rename before the block ends. Raises
    `UsageError` as `check_output_file` does and if another process has claimed the output, and `OutputError`
    if the file system refuses the file or its name.
    """
    with output_errors(path):
        target = _checked_target(Path(path), overwrite)
        file, temporary = locked_file(target)
    with file:
        try:
            yield file
            with output_errors(path):
                file.flush()
                os.fsync(file.fileno())
                # The work took a while: another process may have created `path` meanwhile.
                _checked_target(Path(path), overwrite)
                if not HAS_LOCKS:
                    file.close()
                os.replace(temporary, target)
                sync_folder(target.parent)
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


def sync_folder(folder: Path) -> None:
    """Write the names in `folder` to the disk: otherwise a power cut may undo a rename. Raises `OSError`."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # A folder may be writable and not readable.
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems have no such operation.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data` atomically; only this user can read it.

    Several processes may do so at once; the last one wins. Raises `OSError`.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with create_private(temporary) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
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
