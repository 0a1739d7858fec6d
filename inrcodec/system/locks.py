"""Temporary files and folders with fixed names that only one process at a time can hold.

    .out.inrv.partial        becomes out.inrv; locked while an encode or a decode writes it

A lock ends with its process, however that ends, so an unlocked name is free to reuse: a killed process leaves
at most one file, and only until the same output is written again. Without `flock` (on Windows) every name is
fresh instead, and nothing is locked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import UsageError
from inrcodec.system.private import open_or_create, open_private_folder

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

_LONGEST_NAME = 200
"""Bytes that are kept of a longer name; most file systems allow 255."""


def partial_beside(target: Path, kind: str = "partial") -> Path:
    """The temporary name of `target`, in its folder: a rename is atomic only within one file system."""
    name = shortened(target.name, _LONGEST_NAME)
    fresh = "" if HAS_LOCKS else f"{os.urandom(4).hex()}."
    return target.with_name(f".{name}.{fresh}{kind}")


def shortened(name: str, longest_bytes: int) -> str:
    """The name, cut to `longest_bytes` if it is longer, plus a digest that keeps cut names distinct."""
    encoded = os.fsencode(name)
    if len(encoded) <= longest_bytes:
        return name
    begin = encoded[:longest_bytes].decode(errors="ignore")
    return f"{begin}.{hashlib.sha256(encoded).hexdigest()[:16]}"


def locked_file(target: Path) -> tuple[BinaryIO, Path]:
    """The temporary file of `target`, empty, locked and open for reading and writing, and its path.

    Closing it ends the lock. Raises `UsageError` if another process holds it or another user planted it, and
    `OSError`.
    """
    path = partial_beside(target)
    while True:
        # `r+` with O_CREAT neither empties the file before it is locked nor forces writes to its end.
        file = open(path, "r+b", opener=open_or_create)
        try:
            _lock(file.fileno(), target)
            # Its last owner may have renamed or removed it between the two calls.
            if _is_still(file.fileno(), path):
                file.truncate(0)
                return file, path
        except BaseException:
            file.close()
            raise
        file.close()


def locked_folder(target: Path) -> tuple[int | None, Path]:
    """The same for a folder: the descriptor that holds the lock (None without locks), and its path."""
    path = partial_beside(target)
    while True:
        with suppress(FileExistsError):
            path.mkdir(0o700)
        if not HAS_LOCKS:
            return None, path
        try:
            descriptor = open_private_folder(path)
        except FileNotFoundError:
            continue
        try:
            _lock(descriptor, target)
            if _is_still(descriptor, path):
                for entry in os.scandir(path):
                    shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
                return descriptor, path
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, target: Path) -> None:
    if not HAS_LOCKS:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{target} is being written by another process; wait for it or stop it") from None
    except OSError:
        # A file system without locks, such as some network ones: go on without.
        pass


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the file at `path` is the one that `descriptor` is open on."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
