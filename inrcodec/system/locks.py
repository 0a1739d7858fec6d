"""Temporary files and folders with fixed names that one process at a time can have.

    .out.inrv.partial        what becomes out.inrv, locked while an encode or a decode is making it

A lock goes with its process, however that ends. So a name that is not locked is of nobody, and is used again:
a killed process leaves at most one file, and only until its output is asked for again. Where there is no
`flock` (Windows) names are fresh ones instead, and nothing is locked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

_LONGEST_NAME = 200
"""Bytes of a longer name that are kept: most file systems allow 255."""


def partial_beside(target: Path, kind: str = "partial") -> Path:
    """The temporary name of `target`, in its folder: a rename is atomic only within one file system."""
    name = shortened(target.name, _LONGEST_NAME)
    fresh = "" if HAS_LOCKS else f"{os.urandom(4).hex()}."
    return target.with_name(f".{name}.{fresh}{kind}")


def shortened(name: str, longest_bytes: int) -> str:
    """The name, or as much of a longer one, with a digest that tells those apart that begin alike."""
    encoded = os.fsencode(name)
    if len(encoded) <= longest_bytes:
        return name
    begin = encoded[:longest_bytes].decode(errors="ignore")
    return f"{begin}.{hashlib.sha256(encoded).hexdigest()[:16]}"


def locked_file(target: Path) -> tuple[BinaryIO, Path]:
    """The temporary file of `target`, empty, open for reading and writing and locked, and its path.

    Closing it ends the lock. Raises `UsageError` when another process has it, else `OSError`.
    """
    path = partial_beside(target)
    while True:
        # `r+` with O_CREAT: neither emptied before it is locked nor written at its end only.
        file = open(path, "r+b", opener=_create)
        try:
            _lock(file.fileno(), target)
            # Between the two calls its last owner may have renamed or removed it.
            if _is_still(file.fileno(), path):
                file.truncate(0)
                return file, path
        except BaseException:
            file.close()
            raise
        file.close()


def locked_folder(target: Path) -> tuple[int | None, Path]:
    """The same with a folder: the descriptor that holds the lock (None without locks), and its path."""
    path = partial_beside(target)
    while True:
        path.mkdir(exist_ok=True)
        if not HAS_LOCKS:
            return None, path
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
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


def _create(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(descriptor: int, target: Path) -> None:
    if not HAS_LOCKS:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{target} is being written by another process; wait for it or stop it") from None
    except OSError:
        # A file system without locks (some network ones): as good as it gets there.
        pass


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the file at `path` is the one that `descriptor` is open on."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
