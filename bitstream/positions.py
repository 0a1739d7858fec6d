"""Reads at positions of a file, without the file offset that threads and forked processes would share."""

from __future__ import annotations

import io
import os
from threading import Lock
from typing import BinaryIO, Protocol

FileSource = BinaryIO | os.PathLike[str] | str | bytes | bytearray | memoryview
"""An open binary file, a path, or the contents of a file."""


class PositionedFile(Protocol):
    """A file of `size` bytes that is read at any position."""

    size: int

    def read_at(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on; none at the end. Raises `ValueError` once closed."""

    def origin(self) -> str | bytes:
        """The path or contents to open it from again; raises `TypeError` if another process has no such."""

    def close(self) -> None:
        """Close the file if it was opened here."""


def open_positioned(file: FileSource) -> PositionedFile:
    """Open a file for reading at positions; raises `OSError` for a path that cannot be opened.

    A file object is read from its first byte on, and stays open for its owner.
    """
    if isinstance(file, (bytes, bytearray, memoryview)):
        return _Contents(bytes(file))
    if type(file) is io.BytesIO:
        return _Contents(file.getvalue())
    path = None
    if isinstance(file, (str, os.PathLike)):
        # Another working directory must not change which file this is.
        path = os.path.abspath(file)
        file = open(file, "rb", buffering=0)
    # Other classes may transform what the descriptor reads, as gzip does.
    has_descriptor = type(getattr(file, "raw", file)) is io.FileIO
    try:
        kind = _Descriptor if has_descriptor and hasattr(os, "pread") else _Seekable
        return kind(file, path)
    except BaseException:
        if path is not None:
            file.close()
        raise


class _Contents:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]

    def origin(self) -> bytes:
        return self._data

    def close(self) -> None:
        """Nothing is open."""


class _Seekable:
    """A file that is read after seeking, by one thread at a time and in one process."""

    def __init__(self, file: BinaryIO, path: str | None) -> None:
        self._file, self._path = file, path
        self._lock, self._process = Lock(), os.getpid()
        before = file.tell()
        self.size = file.seek(0, os.SEEK_END)
        file.seek(before)

    def read_at(self, offset: int, count: int) -> bytes:
        if os.getpid() != self._process:
            raise io.UnsupportedOperation(
                "a forked process shares the position of this file object: open the file there, by its path"
            )
        with self._lock:
            self._file.seek(offset)
            return self._file.read(count)

    def origin(self) -> str:
        if self._path is None:
            raise TypeError("a file object cannot be pickled: open the file by its path, or from its bytes")
        return self._path

    def close(self) -> None:
        if self._path is not None:
            self._file.close()


class _Descriptor(_Seekable):
    """A file of the operating system, which reads at positions itself."""

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)


class Cursor:
    """Reads a positioned file forward from an offset."""

    def __init__(self, file: PositionedFile, offset: int) -> None:
        self._file, self._offset = file, offset

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end."""
        data = self._file.read_at(self._offset, count)
        self._offset += len(data)
        return data
