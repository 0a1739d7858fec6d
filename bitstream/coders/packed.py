"""A coder of plain bits of one width, for tensors without statistics such as float16 patterns."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.coder import INT32_MAX, INT32_MIN, TalliedCoder, no_symbols, range_bits
from bitstream.coders.tally import Tally
from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer

MAX_WIDTH_BITS = 32


def pack_bits(values: NDArray[np.uint32], width: int) -> bytes:
    """Pack values below 2^width as planes: each whole byte, lowest first, then the remaining bits.

    The remaining r bits of all values follow one another, lowest bit first.
    """
    planes = [(values >> np.uint32(shift)).astype(np.uint8).tobytes() for shift in range(0, width - 7, 8)]
    rest = width % 8
    if rest:
        top = np.zeros(-(-values.size // 8) * 8, dtype=np.uint8)
        top[: values.size] = values >> np.uint32(width - rest)
        eights = top.reshape(-1, 8).astype("<u8")
        shifts = np.arange(0, 8 * rest, rest, dtype=np.uint64)
        joined = np.bitwise_or.reduce(eights << shifts, axis=1).astype("<u8")
        grouped = joined.view(np.uint8).reshape(-1, 8)[:, :rest]
        planes.append(grouped.tobytes()[: packed_bytes(values.size, rest)])
    return b"".join(planes)


def packed_bytes(count: int, width: int) -> int:
    """Size of `count` values of `width` bits."""
    return count * (width // 8) + -(-count * (width % 8) // 8)


def read_packed(reader: Reader, count: int, width: int) -> NDArray[np.uint32]:
    """Read `count` values that `pack_bits` wrote, shape (count,). Raises Corrupt for non-zero padding."""
    reader.require(packed_bytes(count, width))
    values = np.zeros(count, dtype=np.uint32)
    for shift in range(0, width - 7, 8):
        values |= np.frombuffer(reader.raw(count), dtype=np.uint8).astype(np.uint32) << np.uint32(shift)
    rest = width % 8
    if rest:
        plane = bytes(reader.raw(packed_bytes(count, rest)))
        grouped = np.zeros((-(-count // 8), 8), dtype=np.uint8)
        padded = plane + bytes(grouped.shape[0] * rest - len(plane))
        grouped[:, :rest] = np.frombuffer(padded, dtype=np.uint8).reshape(-1, rest)
        joined = grouped.view("<u8").astype(np.uint64)
        shifts = np.arange(0, 8 * rest, rest, dtype=np.uint64)
        eights = ((joined >> shifts) & np.uint64((1 << rest) - 1)).astype(np.uint32).ravel()
        if eights[count:].any():
            raise reader.fault(Corrupt, "expected padding bits of zero")
        values |= eights[:count] << np.uint32(width - rest)
    return values


class PackedCoder(TalliedCoder):
    """Payload: smallest symbol, width in bits, planes of symbol minus smallest."""

    wire_id: ClassVar[int] = CoderId.PACKED
    name: ClassVar[str] = coder_name(CoderId.PACKED)

    def encode_tally(self, tally: Tally) -> bytes:
        """Return the payload of any symbols of 32 bits."""
        if tally.count == 0:
            return b""
        writer = Writer()
        writer.signed_varint(tally.minimum)
        width = tally.span.bit_length()
        writer.u8(width)
        values = tally.symbols.ravel().view(np.uint32) - np.uint32(tally.minimum & 0xFFFFFFFF)
        writer.raw(pack_bits(values, width))
        return writer.getvalue()

    def decode(self, payload: bytes, count: int) -> NDArray[np.int32]:
        """Symbols of shape (count,)."""
        reader = self.open_payload(payload, count)
        if count == 0:
            return no_symbols()
        minimum = reader.signed_varint()
        width = reader.u8()
        if not INT32_MIN <= minimum <= INT32_MAX or width > MAX_WIDTH_BITS:
            raise reader.fault(Corrupt, f"expected 32-bit symbols, found minimum {minimum}, width {width}")
        values = read_packed(reader, count, width)
        reader.expect_end()
        largest = minimum + int(values.max())
        if largest > INT32_MAX:
            raise reader.fault(Corrupt, f"expected symbols of 32 bits, found {largest}")
        values += np.uint32(minimum & 0xFFFFFFFF)
        return values.view(np.int32)

    def tally_cost_bits(self, tally: Tally) -> float:
        """Exact, except that it counts the bytes of the span for the one byte of the width."""
        if tally.count == 0:
            return 0.0
        return range_bits(tally) + 8.0 * packed_bytes(tally.count, tally.span.bit_length())
