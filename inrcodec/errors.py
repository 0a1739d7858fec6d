"""Errors that a person can act on; the command line maps each kind to one exit code."""

from __future__ import annotations

import os

from inrcodec.naming import as_arguments, with_options

EXIT_FAILED = 1
EXIT_CORRUPT = 4
UNEXPECTED = "unexpected"
"""Start of the message for an unexpected error."""
_OUT_OF_MEMORY = (
    "out of memory: use fewer frames (--frames), smaller frames (encode --scale) or another --device"
)
_OUT_OF_MEMORY_SIGNS = ("defaultcpuallocator", "not enough memory", "out of memory")


class InrcError(Exception):
    """The request cannot be carried out; the message is one line for the user, which names arguments.

    It is made with the options of the command line, such as `--size`, which `text` returns.
    """

    exit_code = 1

    @property
    def text(self) -> str:
        """The message for a user of the command line."""
        return super().__str__()

    def __str__(self) -> str:
        return as_arguments(self.text)


class NotAVideo(InrcError):
    """The input exists but contains no video that PyAV can decode, or one of an unsupported kind."""


class UsageError(InrcError):
    """The request contradicts itself, or names a file that is missing or already exists."""

    exit_code = 2


class UnknownFamily(InrcError):
    """A file was made by a family of another package, and no installed package registers its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    @property
    def text(self) -> str:
        return (
            f"this file was made by family {self.name!r}, which is not installed; install the package that "
            "registers it"
        )


class TargetUnreachable(InrcError):
    """No file can meet the requested size or quality; the message says what can be reached."""

    exit_code = 3
    smallest_bytes: int | None = None
    """Smallest size in bytes for which a network exists, if the request was too small; else None."""


class NetworkTooLarge(TargetUnreachable):
    """The network's parts without a quantisation step (`what`) alone need `least_bytes` or more."""

    def __init__(self, what: str, least_bytes: int) -> None:
        self.what, self.least_bytes, self.smallest_bytes = what, least_bytes, least_bytes
        super().__init__(what, least_bytes)

    @property
    def text(self) -> str:
        return f"{self.what} alone make a file of {self.least_bytes} bytes; give --size {self.least_bytes}"


class WorkerLost(InrcError):
    """The workers of a segment repeatedly died or became unreachable; the segment itself is not at fault."""


class OutputError(InrcError):
    """The output could not be written: no space, no permission, or the video encoder refused."""


def explained(error: Exception) -> tuple[str, int]:
    """The message and the exit code for an exception that a command raised."""
    from bitstream.errors import BadMagic, BitstreamError, LimitExceeded

    if isinstance(error, InrcError):
        return error.text, error.exit_code
    if isinstance(error, BitstreamError):
        notes = "".join(f"; {with_options(note)}" for note in getattr(error, "__notes__", ()))
        is_limit = isinstance(error, LimitExceeded)
        what = "the file is beyond a limit: " if is_limit else "not an intact .inrv file: "
        # A file without the magic bytes is something else, and says so itself.
        what = "" if isinstance(error, BadMagic) else what
        return f"{what}{error} [{type(error).__name__}]{notes}", EXIT_CORRUPT
    if is_out_of_memory(error):
        return _OUT_OF_MEMORY, EXIT_FAILED
    if isinstance(error, OSError) and isinstance(error.filename, (str, bytes)):
        return f"cannot access {os.fsdecode(error.filename)}: {error.strerror}", EXIT_FAILED
    return f"{UNEXPECTED} {type(error).__name__}: {error} (-v shows where)", EXIT_FAILED


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; recognises the errors of torch without importing it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY_SIGNS)
