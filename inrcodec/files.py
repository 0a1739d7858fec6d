"""Output files that appear whole or not at all: checked first, written beside the target, then renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import OutputError, UsageError

_LONGEST_NAME = 50
"""Characters of a target's name that are kept in its temporary name: most file systems allow 255 bytes, and a
character takes up to four."""


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The one line that says why `path` could not be written."""
    return OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}")


def check_output_file(path: str | os.PathLike[str], overwrite: bool, size_bytes: int = 0) -> None:
    """Refuse a target that `atomic_output` would refuse, before any work is done for it.

    A temporary file beside the target, gone at the end, proves that its folder takes files and has room for
    `size_bytes`. Raises `UsageError` when `path` exists and `overwrite` is false, when it is no regular file,
    or when its folder is missing, and `OutputError` when the file system refuses.
    """
    try:
        _check_target(Path(path), overwrite)
        temporary = temporary_beside(Path(os.path.realpath(path)))
        try:
            with open(temporary, "xb") as file:
                _reserve(file.fileno(), temporary, size_bytes)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise output_error(path, error) from error


def _reserve(descriptor: int, path: Path, size_bytes: int) -> None:
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
        if shutil.disk_usage(path.parent).free < size_bytes:
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


def check_paths(source: str, output: str) -> None:
    """Raise `UsageError` unless `source` is there (a pattern of images may be) and is not the output."""
    if not os.path.exists(source) and "%" not in source:
        raise UsageError(f"{source} does not exist")
    if same_file(source, output):
        raise UsageError(f"{output} is the input itself; name another output")


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
    path = Path(source)
    name = re.sub(r"%\d*d", "", path.stem).strip(" ._-") if "%" in path.name else path.stem
    return name or path.absolute().parent.name or "video"


def check_seekable(path: str | os.PathLike[str]) -> None:
    """Raise `UsageError` for a pipe: an .inrv is read from its end, where its index is, as well."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode):
        raise UsageError(
            f"{path} is a pipe or a device, which cannot be read out of order; save it as a file first"
        )


def same_file(first: str, second: str) -> bool:
    """Whether two paths name one existing file, through links and other spellings too."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def temporary_beside(target: Path) -> Path:
    """A fresh name in the target's folder: a rename is atomic only within one file system."""
    return target.with_name(f".{target.name[:_LONGEST_NAME]}.{os.urandom(4).hex()}.partial")


@contextmanager
def atomic_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that becomes `path` when the block ends without an error.

    Until then it has a hidden temporary name in the same folder, which any exception (KeyboardInterrupt
    included) removes. The bytes are on the disk before the rename. Raises `UsageError` as
    `check_output_file` does and `OutputError` when the file system refuses (no space, no permission).
    """
    try:
        _check_target(Path(path), overwrite)
    except OSError as error:
        raise output_error(path, error) from error
    target = Path(os.path.realpath(path))
    temporary = temporary_beside(target)
    try:
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def resume_folder(output: str | os.PathLike[str]) -> Path:
    """Where an encode to `output` keeps what it needs to go on after an interruption."""
    target = Path(os.path.realpath(output))
    return target.with_name(f"{target.name}.resume")


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
    """A fresh hidden folder beside `target`, removed with all it holds when the block ends.

    Raises `OutputError` when it cannot be made.
    """
    folder = temporary_beside(target)
    try:
        folder.mkdir()
    except OSError as error:
        raise output_error(target, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
