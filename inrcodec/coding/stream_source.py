"""The sources of an `.inrv` file: a path, its contents or a file object, and their names in messages."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, TypeGuard

from bitstream.positions import FileSource
from inrcodec.errors import UsageError
from inrcodec.system.names import StrPath, check_paths, is_pipe


def is_path(source: FileSource) -> TypeGuard[StrPath]:
    return isinstance(source, (str, os.PathLike))


def is_file_object(source: FileSource) -> TypeGuard[BinaryIO]:
    return not is_path(source) and not isinstance(source, (bytes, bytearray, memoryview))


def name_of(source: FileSource) -> str:
    """The path, the name of a file object, or `<bytes>`."""
    if is_path(source):
        return os.fspath(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "<bytes>"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file>"


def is_read_once(source: FileSource) -> bool:
    """Whether this is a pipe, or a file object that cannot seek.

    Raises `UsageError` for a file in text mode, and `TypeError` for anything that is not a source.
    """
    if is_path(source):
        return is_pipe(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return False
    if isinstance(source, io.TextIOBase):
        raise UsageError(f"{name_of(source)} is open as text; open it in binary mode")
    if not hasattr(source, "read"):
        raise TypeError(f"expected a path, bytes or a binary file, found {type(source).__name__}")
    return not (hasattr(source, "seekable") and source.seekable())


def check_source(source: FileSource, output: StrPath) -> None:
    """Raise `UsageError` for a path that does not exist or is the output; `-` is standard input."""
    if is_path(source):
        check_paths(source, output, may_be_piped=True)
