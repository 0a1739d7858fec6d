"""Bounds-checked reading and writing of the format's primitive fields, all little-endian."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from fractions import Fraction

from bitstream.errors import BitstreamError, Corrupt, Truncated
from bitstream.limits import DEFAULT_LIMITS, Limits

MAX_U16 = (1 << 16) - 1
MAX_U32 = (1 << 32) - 1
MAX_U64 = (1 << 64) - 1
MAX_VARINT_BYTES = 10


def to_float32(values: Iterable[float]) -> tuple[float, ...]:
    """Round every value to the nearest float32; ValueError if one is not finite as a float32."""
    listed = tuple(values)
    try:
        rounded = struct.unpack(f"<{len(listed)}f", struct.pack(f"<{len(listed)}f", *listed))
    except (OverflowError, struct.error) as error:
        raise ValueError(f"expected numbers within the range of float32: {error}") from None
    if not all(map(math.isfinite, rounded)):
        raise ValueError("expected finite float32 numbers, found a NaN or an infinity")
    return rounded


class Writer:
    """Appends fields to a growing buffer. Raises ValueError for a value out of range."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def getvalue(self) -> bytes:
        """All bytes written so far."""
        return bytes(self._buffer)

    def raw(self, data: bytes | memoryview) -> None:
        self._buffer += data

    def _pack(self, layout: str, value: float) -> None:
        try:
            self._buffer += struct.pack(layout, value)
        except (OverflowError, struct.error) as error:
            raise ValueError(f"cannot store {value!r}: {error}") from None

    def u8(self, value: int) -> None:
        self._pack("<B", value)

    def u16(self, value: int) -> None:
        self._pack("<H", value)

    def u32(self, value: int) -> None:
        self._pack("<I", value)

    def u64(self, value: int) -> None:
        self._pack("<Q", value)

    def f32_array(self, values: Iterable[float]) -> None:
        """Append finite float32 numbers, without a count."""
        listed = to_float32(values)
        self._buffer += struct.pack(f"<{len(listed)}f", *listed)

    def varint(self, value: int) -> None:
        """Unsigned LEB128, at most 64 bits."""
        if not 0 <= value <= MAX_U64:
            raise ValueError(f"expected 0..2^64-1 for a varint, found {value}")
        while value >= 0x80:
            self._buffer.append(value & 0x7F | 0x80)
            value >>= 7
        self._buffer.append(value)

    def signed_varint(self, value: int) -> None:
        """Zigzag LEB128: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"expected a signed 64-bit integer, found {value}")
        self.varint(value << 1 if value >= 0 else (-value << 1) - 1)

    def rational(self, value: Fraction) -> None:
        """Numerator and denominator as varints, in lowest terms, each below 2^32."""
        if not 0 <= value.numerator <= MAX_U32 or value.denominator > MAX_U32:
            raise ValueError(f"expected a rational of two 32-bit unsigned integers, found {value}")
        self.varint(value.numerator)
        self.varint(value.denominator)

    def blob(self, data: bytes) -> None:
        """A varint length and the bytes."""
        self.varint(len(data))
        self._buffer += data


class Reader:
    """Reads fields from a buffer. Raises `BitstreamError` instead of reading past the end.

    `base_offset` is the offset of the buffer in the file. `block` is the name that errors show.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        *,
        base_offset: int = 0,
        block: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._view = memoryview(data)
        self._position = 0
        self._base_offset = base_offset
        self.block = block
        self.limits = limits

    @property
    def offset(self) -> int:
        """Offset in the file of the next byte."""
        return self._base_offset + self._position

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._view) - self._position

    def fault(self, kind: type[BitstreamError], message: str, offset: int | None = None) -> BitstreamError:
        """Return an error of this kind at `offset`, or at the next byte, for the caller to raise."""
        return kind(message, offset=self.offset if offset is None else offset, block=self.block)

    def check_limit(self, name: str, found: int, offset: int | None = None) -> None:
        """Raise LimitExceeded at `offset`, or at the next byte, if `found` is above the limit `name`."""
        self.limits.check(name, found, offset=self.offset if offset is None else offset, block=self.block)

    def require(self, size: int) -> None:
        """Raise Truncated unless `size` more bytes are there."""
        if size > self.remaining:
            raise self.fault(Truncated, f"expected {size} more bytes, found {self.remaining}")

    def peek(self, size: int) -> memoryview:
        """The next `size` bytes, or as many as there are, without advancing."""
        return self._view[self._position : self._position + size]

    def raw(self, size: int) -> memoryview:
        """Read the next `size` bytes without copying. Raises Truncated."""
        self.require(size)
        start = self._position
        self._position += size
        return self._view[start : self._position]

    def expect_end(self) -> None:
        """Raise Corrupt unless every byte was read."""
        if self.remaining:
            raise self.fault(Corrupt, f"expected the end, found {self.remaining} more bytes")

    def u8(self) -> int:
        return self.raw(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.raw(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.raw(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.raw(8), "little")

    def f32_array(self, count: int) -> tuple[float, ...]:
        """Read `count` finite float32 numbers."""
        start = self.offset
        values = struct.unpack(f"<{count}f", self.raw(4 * count))
        if not all(map(math.isfinite, values)):
            raise self.fault(Corrupt, "expected finite numbers, found a NaN or an infinity", start)
        return values

    def varint(self, maximum: int = MAX_U64) -> int:
        """Unsigned LEB128. Raises Corrupt if it is overlong or above `maximum`."""
        start = self.offset
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index > 0:
                    raise self.fault(Corrupt, "expected the shortest form of a varint", start)
                if value > maximum:
                    raise self.fault(Corrupt, f"expected at most {maximum}, found {value}", start)
                return value
        raise self.fault(Corrupt, f"expected a varint of at most {MAX_VARINT_BYTES} bytes", start)

    def signed_varint(self) -> int:
        """Zigzag LEB128 of a signed 64-bit integer."""
        value = self.varint()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def rational(self) -> Fraction:
        """Two varints below 2^32. Raises Corrupt unless they are in lowest terms."""
        start = self.offset
        numerator, denominator = self.varint(MAX_U32), self.varint(MAX_U32)
        if denominator == 0 or math.gcd(numerator, denominator) != 1:
            raise self.fault(
                Corrupt, f"expected a fraction in lowest terms, found {numerator}/{denominator}", start
            )
        return Fraction(numerator, denominator)

    def blob(self, limit: str) -> bytes:
        """A varint length and that many bytes. Raises LimitExceeded for a length above the limit's."""
        start = self.offset
        size = self.varint()
        self.check_limit(limit, size, start)
        return bytes(self.raw(size))
