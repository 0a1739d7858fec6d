"""Output files that appear whole or not at all: checked first, written beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import OutputError, UsageError

_LONGEST_NAME = 200
"""Characters of a target's name that are kept in its temporary name: most file systems allow 255 bytes."""


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The one line that says why `path` could not be written."""
    return OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}")


def check_output_file(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a target that `atomic_output` would refuse, before any work is done for it.

    Raises `UsageError` when `path` exists and `overwrite` is false, when it is no regular file, or when its
    folder is missing.
    """
    target = Path(path)
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
    check_output_file(path, overwrite)
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
