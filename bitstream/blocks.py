"""The outer structure of a file: magic, version, and blocks of type, length, payload and checksum."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from bitstream.errors import FOUND_BYTES, BadMagic, Corrupt, Truncated, UnsupportedVersion
from bitstream.fields import Reader, Writer
from bitstream.header import is_block_type
from bitstream.limits import DEFAULT_LIMITS, Limits

MAGIC = b"\x89INR\r\n\x1a\n"
MAJOR_VERSION = 1
MINOR_VERSION = 0
HEAD_BYTES = len(MAGIC) + 1 + 1 + 2 + 4
BLOCK_OVERHEAD_BYTES = 4 + 4 + 4
READ_CHUNK_BYTES = 1 << 20


class Version(NamedTuple):
    """The format version of a file. A reader accepts every minor version of its major version."""

    major: int
    minor: int


class BlockHead(NamedTuple):
    """Type, offset in the file, and payload size in bytes of a block whose payload was not read."""

    type: bytes
    offset: int
    payload_bytes: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the block."""
        return self.offset + BLOCK_OVERHEAD_BYTES + self.payload_bytes


class Block(NamedTuple):
    """A block whose checksum was verified; `offset` is where its type starts in the file."""

    type: bytes
    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """Offset of the first byte after the block."""
        return self.offset + BLOCK_OVERHEAD_BYTES + len(self.payload)

    def reader(self, limits: Limits) -> Reader:
        """A reader of the payload whose errors name this block and offsets in the file."""
        return Reader(self.payload, base_offset=self.offset + 8, block=block_name(self.type), limits=limits)


def block_name(block_type: bytes) -> str:
    """A block type as text for error messages; bytes that are no printable ASCII become escapes."""
    return block_type.decode("latin-1").encode("unicode_escape").decode("ascii")


def encode_head() -> bytes:
    """The first 16 bytes of a file of the current version."""
    writer = Writer()
    writer.raw(MAGIC)
    writer.u8(MAJOR_VERSION)
    writer.u8(MINOR_VERSION)
    writer.u16(0)
    writer.u32(zlib.crc32(writer.getvalue()))
    return writer.getvalue()


def encode_block(block_type: bytes, payload: bytes) -> bytes:
    """Type, length, payload and the CRC-32 over the three."""
    if not is_block_type(block_type):
        raise ValueError(f"expected a block type of four ASCII letters, found {block_type!r}")
    writer = Writer()
    writer.raw(block_type)
    writer.u32(len(payload))
    writer.raw(payload)
    writer.u32(zlib.crc32(writer.getvalue()))
    return writer.getvalue()


class Readable(Protocol):
    """A file that a scanner reads; it need not be seekable."""

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes; none at the end."""


class BlockScanner:
    """Reads a file forward, head first and then block by block; the file need not be seekable.

    It allocates nothing for a declared length before the bytes have arrived.
    """

    def __init__(self, file: Readable, *, offset: int = 0, limits: Limits = DEFAULT_LIMITS) -> None:
        self._file = file
        self._limits = limits
        self.offset = offset

    def _read(self, size: int, block: str) -> bytes:
        """Read exactly `size` bytes. Raises Truncated if the file ends earlier."""
        chunks: list[bytes] = []
        missing = size
        while missing:
            chunk = self._file.read(min(missing, READ_CHUNK_BYTES))
            if not chunk:
                raise Truncated(
                    f"expected {size} bytes, found {size - missing}", offset=self.offset, block=block
                )
            chunks.append(chunk)
            missing -= len(chunk)
        self.offset += size
        return b"".join(chunks)

    def read_head(self) -> Version:
        """Read and check magic, version and checksum. Raises `BitstreamError` for the first fault."""
        magic = self._file.read(len(MAGIC))
        while 0 < len(magic) < len(MAGIC) and (more := self._file.read(len(MAGIC) - len(magic))):
            magic += more
        if magic != MAGIC:
            message = f"not an .inrv file: expected the magic {MAGIC!r}, found {magic!r}"
            if magic and MAGIC.startswith(magic):
                raise Truncated(message, offset=0, block="head")
            error = BadMagic(message, offset=0, block="head")
            error.found = magic + self._file.read(FOUND_BYTES - len(magic))
            raise error
        self.offset += len(MAGIC)
        rest = self._read(HEAD_BYTES - len(MAGIC), "head")
        reader = Reader(rest, base_offset=len(MAGIC), block="head")
        version = Version(reader.u8(), reader.u8())
        reserved = reader.u16()
        checksum = zlib.crc32(magic + rest[:4])
        stored = reader.u32()
        if stored != checksum:
            raise Corrupt(f"expected CRC {checksum:08x}, found {stored:08x}", offset=12, block="head")
        if version.major != MAJOR_VERSION:
            raise UnsupportedVersion(
                f"expected version {MAJOR_VERSION}, found {version.major}.{version.minor}: "
                "use a newer release",
                offset=8,
                block="head",
            )
        if reserved != 0:
            raise Corrupt(f"expected reserved bytes of zero, found {reserved}", offset=10, block="head")
        return version

    def read_block_head(self) -> BlockHead:
        """Read type and length of the next block, up to its payload. Raises `BitstreamError`."""
        start = self.offset
        reader = Reader(self._read(8, "(block head)"), base_offset=start)
        block_type, payload_bytes = bytes(reader.raw(4)), reader.u32()
        name = block_name(block_type)
        if not is_block_type(block_type):
            raise Corrupt(f"expected a type of four letters, found {block_type!r}", offset=start, block=name)
        self._limits.check("max_block_bytes", payload_bytes, offset=start + 4, block=name)
        return BlockHead(block_type, start, payload_bytes)

    def read_payload(self, head: BlockHead) -> Block:
        """Read the rest of a block and verify its checksum. Raises Truncated or Corrupt."""
        name = block_name(head.type)
        payload = self._read(head.payload_bytes, name)
        checksum = zlib.crc32(payload, zlib.crc32(head.type + head.payload_bytes.to_bytes(4, "little")))
        stored_at = self.offset
        stored = int.from_bytes(self._read(4, name), "little")
        if stored != checksum:
            raise Corrupt(f"expected CRC {checksum:08x}, found {stored:08x}", offset=stored_at, block=name)
        return Block(head.type, head.offset, payload)

    def read_block(self) -> Block:
        """Read and check the next block."""
        return self.read_payload(self.read_block_head())

    def expect_end(self) -> None:
        """Raise Corrupt if the file continues."""
        if self._file.read(1):
            raise Corrupt("expected the end of the file after TAIL", offset=self.offset, block="TAIL")


def iterate_blocks(file: Readable, limits: Limits = DEFAULT_LIMITS) -> Iterator[Block]:
    """Check the head and yield every block up to TAIL, from a file that need not be seekable.

    A damaged block ends the iteration with its error. The blocks before it are intact, so their segments can
    be decoded.
    """
    scanner = BlockScanner(file, limits=limits)
    scanner.read_head()
    while True:
        block = scanner.read_block()
        yield block
        if block.type == b"TAIL":
            scanner.expect_end()
            return
