"""A second decoder, written from SPEC.md with the standard library only, to test the first one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any

from bitstream.coders.gaussian import RATIOS
from bitstream.coders.laplace import THETAS

TOTAL = 1 << 24


class Bytes:
    """A cursor over bytes; raises ValueError past their end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise ValueError("too short")
        self.at += size
        return piece

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.unsigned(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self) -> int:
        value = self.varint()
        return -(value + 1) // 2 if value % 2 else value // 2

    def rational(self) -> Fraction:
        return Fraction(self.varint(), self.varint())

    def blob(self) -> bytes:
        return self.take(self.varint())

    def texts(self) -> dict[str, str]:
        return {self.blob().decode(): self.blob().decode() for _ in range(self.varint())}

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)


class Ans:
    """The entropy decoder: 32-bit words, a 64-bit state, frequencies of total 2^24."""

    def __init__(self, data: bytes) -> None:
        data += bytes(-len(data) % 4)
        self.words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        self.state = 0
        self.refill()
        self.refill()

    def refill(self) -> None:
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def symbol(self, frequencies: list[int]) -> int:
        if len(frequencies) == 1:
            return 0
        quantile = self.state % TOTAL
        cumulative = 0
        symbol = 0
        while quantile >= cumulative + frequencies[symbol]:
            cumulative += frequencies[symbol]
            symbol += 1
        self.state = (self.state >> 24) * frequencies[symbol] + quantile - cumulative
        self.refill()
        return symbol

    def finish(self) -> None:
        if self.state or self.words:
            raise ValueError("not exhausted")


def ans_encode(symbols: list[int], frequencies: list[int]) -> bytes:
    """Encode the symbols in reverse; returns the words without trailing zero bytes."""
    cumulative = [0, *accumulate(frequencies)]
    state, words = 0, []
    for symbol in reversed(symbols):
        frequency = frequencies[symbol]
        if state >> 40 >= frequency:
            words.append(state % (1 << 32))
            state >>= 32
        state = (state // frequency << 24) + cumulative[symbol] + state % frequency
    while state:
        words.append(state % (1 << 32))
        state >>= 32
    return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")


def planes(data: Bytes, count: int, width: int) -> list[int]:
    values = [0] * count
    for byte in range(width // 8):
        for i, value in enumerate(data.take(count)):
            values[i] |= value << 8 * byte
    rest = width % 8
    bits = int.from_bytes(data.take((count * rest + 7) // 8), "little")
    for i in range(count):
        values[i] |= (bits >> rest * i & (1 << rest) - 1) << width - rest
    return values


def uniform(data: Bytes, count: int) -> list[int]:
    minimum, span = data.signed(), data.varint()
    alphabet = span + 1
    frequencies = [TOTAL // alphabet] * span + [TOTAL - TOTAL // alphabet * span]
    ans = Ans(data.rest())
    symbols = [minimum + ans.symbol(frequencies) for _ in range(count)]
    ans.finish()
    return symbols


def packed(data: Bytes, count: int) -> list[int]:
    minimum, width = data.signed(), data.unsigned(1)
    return [minimum + value for value in planes(data, count, width)]


def categorical(data: Bytes, count: int) -> list[int]:
    minimum, span = data.signed(), data.varint()
    if span == 0:
        return [minimum] * count
    head = data.unsigned(1)
    precision, order = head % 16 + 1, head // 16
    start = data.at
    bits = "".join(f"{byte:08b}" for byte in data.data[start:])
    at = 0

    def golomb(order: int) -> int:
        nonlocal at
        zeros = bits.index("1", at) - at
        end = at + 2 * zeros + 1 + order
        value = int(bits[at + zeros : end], 2) - (1 << order)
        at = end
        return value

    table: list[int] = []
    while len(table) < span:
        table.append(golomb(order))
        if table[-1] == 0:
            table += [0] * golomb(0)
    table.append((1 << precision) - sum(table))
    data.take((at + 7) // 8)
    present = [symbol for symbol, frequency in enumerate(table) if frequency]
    frequencies = [table[symbol] << 24 - precision for symbol in present]
    ans = Ans(data.rest())
    symbols = [minimum + present[ans.symbol(frequencies)] for _ in range(count)]
    ans.finish()
    return symbols


def laplace_profile(index: int) -> list[int]:
    theta = THETAS[index]
    ratio = theta * theta // (1 << 32)
    weights = [1 << 32, theta * (((1 << 32) + theta) // 2) // (1 << 32)]
    while weights[-1] and len(weights) < 1 << 16:
        weights.append(weights[-1] * ratio // (1 << 32))
    return weights


def gaussian_profile(index: int) -> list[int]:
    ratio = RATIOS[index]
    square = ratio * ratio // (1 << 32)
    weights = [1 << 32]
    while weights[-1] and len(weights) < 1 << 16:
        weights.append(weights[-1] * ratio // (1 << 32))
        ratio = ratio * square // (1 << 32)
    return weights


def shaped_frequencies(profile: list[int], centre: int, span: int) -> list[int]:
    weights = [profile[abs(k - centre)] if abs(k - centre) < len(profile) else 0 for k in range(span + 1)]
    total = sum(weights)
    frequencies = [1 + weight * (TOTAL - span - 1) // total for weight in weights]
    frequencies[centre] += TOTAL - sum(frequencies)
    return frequencies


def shaped(profile: Callable[[int], list[int]]) -> Callable[[Bytes, int], list[int]]:
    def decode(data: Bytes, count: int) -> list[int]:
        minimum, span = data.signed(), data.varint()
        if span == 0:
            return [minimum] * count
        centre, rows, smallest = data.varint(), data.varint(), data.unsigned(1)
        indices = [smallest]
        if rows > 1:
            indices = [smallest + more for more in planes(data, rows, data.unsigned(1))]
        columns = count // rows
        symbols = [0] * count
        ans = Ans(data.rest())
        for index in sorted(set(indices)):
            frequencies = shaped_frequencies(profile(index), centre, span)
            for row in range(rows):
                for column in range(columns) if indices[row] == index else ():
                    symbols[row * columns + column] = minimum + ans.symbol(frequencies)
        ans.finish()
        return symbols

    return decode


def levels(data: Bytes, count: int) -> list[int]:
    counts = [data.varint() for _ in range(data.varint())]
    counts.append(count - sum(counts))
    present = [level for level, occurrences in enumerate(counts) if occurrences]
    used = [counts[level] for level in present]
    frequencies = [1 + occurrences * (TOTAL - len(used)) // count for occurrences in used]
    frequencies[used.index(max(used))] += TOTAL - sum(frequencies)
    ans = Ans(data.rest())
    symbols = [present[ans.symbol(frequencies)] for _ in range(count)]
    ans.finish()
    return symbols


def contextual_share(knots: list[list[int]], number: int, at: int) -> tuple[int, int]:
    """Numerator and denominator of an event's share in a class."""
    k, r = divmod(number, 4)
    x = (4 - r) * knots[k][at] + (r * knots[k + 1][at] if r else 0)
    e = 1 << 32
    for _ in range(abs(x)):
        e = e * 0x104080AB5 >> 32
    return e if x >= 0 else 1 << 32, e + (1 << 32)


def contextual_frequencies(knots: list[list[int]], number: int, bound: int) -> list[int]:
    """Frequencies of the symbols -bound..bound in a class."""
    size = 2 * bound + 1
    left = 1 << 32
    halves = []
    for magnitude in range(bound):
        mine, all_of_it = contextual_share(knots, number, min(magnitude, 3))
        weight = left * mine // all_of_it
        left -= weight
        halves.append(1 + weight * (TOTAL - size) // (1 << 33))
    halves.append(1 + left * (TOTAL - size) // (1 << 33))
    return halves[:0:-1] + [TOTAL - 2 * sum(halves[1:])] + halves[1:]


def contextual_flag(knots: list[list[int]], number: int) -> list[int]:
    """Frequencies of the flags 0 and 1 in a class."""
    mine, all_of_it = contextual_share(knots, number, 0)
    zero = 1 + ((1 << 32) * mine // all_of_it * (TOTAL - 2) >> 32)
    return [zero, TOTAL - zero]


def contextual(
    data: bytes, passes: list[list[int]], knots: list[list[int]], bound: int, flags: list[bool]
) -> list[list[int]]:
    """Decode passes of symbols or flags whose classes are known."""
    ans = Ans(data)
    decoded = []
    for classes, are_flags in zip(passes, flags, strict=True):
        symbols = [0] * len(classes)
        for place in sorted(range(len(classes)), key=lambda place: (classes[place], place)):
            if are_flags:
                symbols[place] = ans.symbol(contextual_flag(knots, classes[place]))
            else:
                symbols[place] = ans.symbol(contextual_frequencies(knots, classes[place], bound)) - bound
        decoded.append(symbols)
    ans.finish()
    return decoded


DECODERS: dict[int, Callable[[Bytes, int], list[int]]] = {
    1: uniform,
    2: packed,
    3: categorical,
    4: shaped(laplace_profile),
    5: shaped(gaussian_profile),
    6: levels,
}


def decode_symbols(wire_id: int, payload: bytes, count: int) -> list[int]:
    """Decode the payload of a section."""
    return DECODERS[wire_id](Bytes(payload), count) if count else []


def blocks(data: bytes) -> Iterator[tuple[bytes, Bytes]]:
    """Yield type and payload of every block of a file; raises ValueError if it is damaged."""
    file = Bytes(data)
    if file.take(8) != b"\x89INR\r\n\x1a\n" or file.unsigned(1) != 1:
        raise ValueError("no .inrv of version 1")
    file.take(3)
    if file.unsigned(4) != zlib.crc32(data[:12]):
        raise ValueError("damaged head")
    while file.at < len(data):
        start = file.at
        block_type = file.take(4)
        block = Bytes(file.take(file.unsigned(4)))
        if zlib.crc32(data[start : file.at]) != file.unsigned(4):
            raise ValueError("damaged block")
        yield block_type, block


def segments(data: bytes) -> list[list[tuple[int, bytes]]]:
    """Coder and payload of every section, for each segment of a file."""
    return [sections for _, sections in runs(data)]


def runs(data: bytes) -> list[tuple[range, list[tuple[int, bytes]]]]:
    """Frames of each segment of a file, with coder and payload of its sections."""
    found = []
    for block_type, block in blocks(data):
        if block_type == b"SEGM":
            first, count = block.varint(), block.varint()
            block.take(9), block.take(block.varint())
            parts = []
            for _ in range(block.varint()):
                coder = block.unsigned(1)
                block.take(4 * block.varint())
                parts.append((coder, block.take(block.varint())))
            found.append((range(first, first + count), parts))
    return found


def frame_times(data: bytes) -> list[Fraction]:
    """Presentation time of each frame in seconds (SPEC.md, sections 4 and 4.1)."""
    content = dict(blocks(data))
    stream = content[b"STRM"]
    _, _, _, _, count = (stream.varint() for _ in range(5))
    frame_rate, time_base = stream.rational(), stream.rational()
    if b"TIME" not in content:
        return [index / frame_rate for index in range(count)]
    times = content[b"TIME"]
    unit, coder = times.varint(), times.unsigned(1)
    steps = decode_symbols(coder, times.blob(), count - 1)
    return [total * unit * time_base for total in (0, *accumulate(steps))]


def end_time(data: bytes) -> Fraction:
    """Time in seconds at which the last frame ends (SPEC.md, sections 4 and 4.2)."""
    content = dict(blocks(data))
    stream = content[b"STRM"]
    for _ in range(5):
        stream.varint()
    frame_rate, time_base = stream.rational(), stream.rational()
    lasts = content[b"last"].varint() * time_base if b"last" in content else 1 / frame_rate
    return frame_times(data)[-1] + lasts


def part(data: bytes) -> list[int]:
    """The fields of `part`, in order (SPEC.md, section 4.3)."""
    content = dict(blocks(data))[b"part"]
    first = [content.varint() for _ in range(3)]
    return [*first, content.unsigned(1), *(content.varint() for _ in range(6))]


def mastering(data: bytes) -> tuple[list[int], list[int]]:
    """The fields of `mdcv` and of `clli`, in order (SPEC.md, section 4.4)."""
    content = dict(blocks(data))
    display, light = content[b"mdcv"], content[b"clli"]
    return [display.varint() for _ in range(10)], [light.varint() for _ in range(2)]


def tags(data: bytes) -> dict[str, str]:
    """The payload of `tags` (SPEC.md, section 6)."""
    return dict(blocks(data))[b"tags"].texts()


def video_tags(data: bytes) -> dict[str, str]:
    """The payload of `vtag` (SPEC.md, section 6)."""
    return dict(blocks(data))[b"vtag"].texts()


def paddings(data: bytes) -> list[tuple[int, int]]:
    """The payload of `pads`: start and end for each track (SPEC.md, section 6)."""
    block = dict(blocks(data))[b"pads"]
    return [(block.varint(), block.varint()) for _ in range(block.varint())]


def chapters(data: bytes) -> list[dict[str, Any]]:
    """The payload of `chap`, field by field (SPEC.md, section 6)."""
    block = dict(blocks(data))[b"chap"]
    return [
        {
            "time_base": str(block.rational()),
            "start": block.signed(),
            "end": block.signed(),
            "metadata": block.texts(),
        }
        for _ in range(block.varint())
    ]


def tracks(data: bytes) -> list[dict[str, Any]]:
    """The payload of every `trak`, field by field (SPEC.md, section 6); data and extradata in hexadecimal."""
    found = []
    for block_type, block in blocks(data):
        if block_type != b"trak":
            continue
        track: dict[str, Any] = {
            "kind": block.varint(),
            "codec": block.blob().decode(),
            "time_base": str(block.rational()),
            "metadata": block.texts(),
            "sample_rate": block.varint(),
            "layout": block.blob().decode(),
            "sample_format": block.blob().decode(),
            "bit_rate": block.varint(),
            "disposition": block.varint(),
            "extradata": block.blob().hex(),
        }
        track["packets"] = []
        end = duration = 0
        for _ in range(block.varint()):
            pts = block.signed() + end
            dts = pts - block.signed()
            duration += block.signed()
            size = block.varint()
            track["packets"].append([pts, dts, duration, bool(size % 2), block.take(size // 2).hex()])
            end = pts + duration
        if block.rest():
            raise ValueError("not exhausted")
        found.append(track)
    return found
