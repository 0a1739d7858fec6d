"""Errors that a person can act on; the command line maps each kind to one exit code."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_CORRUPT = 4
UNEXPECTED = "unexpected"
"""How the message of an error begins that nobody foresaw."""
_OUT_OF_MEMORY = (
    "out of memory: fewer frames (--frames), smaller ones (encode --scale) or another --device need less"
)
_OUT_OF_MEMORY_SIGNS = ("defaultcpuallocator", "not enough memory", "out of memory")


class InrcError(Exception):
    """Something the user asked for cannot be done; the message is one clear line."""

    exit_code = 1


class NotAVideo(InrcError):
    """The input exists but holds no video that PyAV can decode, or one that is not supported."""


class UsageError(InrcError):
    """The request contradicts itself or names a file that is missing or already there."""

    exit_code = 2


class TargetUnreachable(InrcError):
    """No file can meet the requested size or quality; the message names what can be reached."""

    exit_code = 3
    smallest_bytes: int | None = None
    """The smallest size for which there is a network, where too few bytes were the reason."""


class NetworkTooLarge(TargetUnreachable):
    """The parts of a network that have no step, `what`, take `least_bytes` or more by themselves."""

    def __init__(self, what: str, least_bytes: int) -> None:
        self.what, self.least_bytes, self.smallest_bytes = what, least_bytes, least_bytes
        super().__init__(what, least_bytes)

    def __str__(self) -> str:
        return f"{self.what} make a file of {self.least_bytes} bytes; give --size {self.least_bytes}"


class WorkerLost(InrcError):
    """Those who coded a segment died or were out of reach, again and again; the segment is not to blame."""


class OutputError(InrcError):
    """The output could not be written: no space, no permission, an encoder that refused."""


def explained(error: Exception) -> tuple[str, int]:
    """The message and the exit code for what a command raised."""
    from bitstream.errors import BitstreamError

    if isinstance(error, InrcError):
        return str(error), error.exit_code
    if isinstance(error, BitstreamError):
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return f"no intact .inrv file: {error} [{type(error).__name__}]{notes}", EXIT_CORRUPT
    if is_out_of_memory(error):
        return _OUT_OF_MEMORY, EXIT_FAILED
    return f"{UNEXPECTED} {type(error).__name__}: {error} (-v shows where)", EXIT_FAILED


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, by what torch raises for it too (without importing torch)."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY_SIGNS)
