"""The typed errors of the file format, so that a caller can tell damage from misuse."""

from __future__ import annotations

FOUND_BYTES = 512
"""Length of `BadMagic.found`: enough for two packets of MPEG-TS."""


class BitstreamError(Exception):
    """A file that cannot be read as an `.inrv` stream.

    `offset` is the byte at which the fault was found. It counts from the start of the file or, for a fault
    inside an entropy-coded section, from the start of the payload. `block` names the block or the coder. The
    message says what was expected and what was found.
    """

    def __init__(self, message: str, *, offset: int | None = None, block: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.block = block

    def __str__(self) -> str:
        places = []
        if self.block is not None:
            places.append(f"block {self.block}")
        if self.offset is not None:
            places.append(f"offset {self.offset}")
        return f"{self.message} ({', '.join(places)})" if places else self.message


class BadMagic(BitstreamError):
    """The file does not start with the magic bytes, so it is not an `.inrv` file."""

    found = b""
    """The first bytes of the file, at most `FOUND_BYTES`, from which a caller may recognise its kind."""


class UnsupportedVersion(BitstreamError):
    """The file needs a newer reader: its major version or a critical block is unknown."""


class Truncated(BitstreamError):
    """The file ends before what it declares."""


class Corrupt(BitstreamError):
    """The bytes contradict the format, a checksum or each other."""


class LimitExceeded(BitstreamError):
    """A declared size, or the work that a file asks for, is larger than this reader accepts.

    `limit` is the name of the field of `Limits`, and `found` the value that it would have to be.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str = "",
        found: int = 0,
        offset: int | None = None,
        block: str | None = None,
    ) -> None:
        super().__init__(message, offset=offset, block=block)
        self.limit = limit
        self.found = found
