"""Blocks of an `.inrv` file as lists of fields that can be changed one by one and written again.

Parsing is as SPEC.md says and checks nothing, because what it parses may be mutated already. A block that
does not parse is one field of bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

MAGIC = b"\x89INR\r\n\x1a\n"


@dataclass(slots=True)
class Field:
    """One field: `kind` is varint, signed, fixed (an integer of `size` bytes), bytes, blob or group."""

    kind: str
    value: int = 0
    data: bytes = b""
    size: int = 0
    parts: list[Field] = field(default_factory=list)
    """Fields of a group; those of a blob that has a structure of its own."""

    def copy(self) -> Self:
        """A copy that shares nothing which changes."""
        return type(self)(self.kind, self.value, self.data, self.size, [one.copy() for one in self.parts])


def varint(value: int) -> bytes:
    """Unsigned LEB128, without an upper limit."""
    data = bytearray()
    value = max(0, value)
    while value >= 128:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def written(fields: list[Field]) -> bytes:
    """The bytes of the fields, one after another."""
    data = bytearray()
    for one in fields:
        if one.kind == "varint":
            data += varint(one.value)
        elif one.kind == "signed":
            data += varint(2 * one.value if one.value >= 0 else -2 * one.value - 1)
        elif one.kind == "fixed":
            data += (one.value % (1 << 8 * one.size)).to_bytes(one.size, "little")
        elif one.kind == "bytes":
            data += one.data
        elif one.kind == "blob":
            inside = written(one.parts) if one.parts else one.data
            data += varint(len(inside)) + inside
        else:
            data += written(one.parts)
    return bytes(data)


class Parser:
    """Reads fields from bytes; raises `IndexError` past their end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def raw(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise IndexError("too short")
        self.at += size
        return piece

    def varint(self) -> Field:
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return Field("varint", value)

    def signed(self) -> Field:
        value = self.varint().value
        return Field("signed", -(value + 1) // 2 if value % 2 else value // 2)

    def fixed(self, size: int) -> Field:
        return Field("fixed", int.from_bytes(self.raw(size), "little"), size=size)

    def blob(self, inside: Callable[[Parser], list[Field]] | None = None) -> Field:
        data = self.raw(self.varint().value)
        return Field("blob", data=data, parts=[] if inside is None else parsed(data, inside))

    def rest(self) -> Field:
        return Field("bytes", data=self.raw(len(self.data) - self.at))

    def groups(self, count: int, one: Callable[[Parser], list[Field]]) -> list[Field]:
        """`count` groups, as many as there are bytes for."""
        found = []
        for _ in range(count):
            found.append(Field("group", parts=one(self)))
        return found


def parsed(data: bytes, how: Callable[[Parser], list[Field]]) -> list[Field]:
    """The fields of `data`, or one of bytes if it has another structure."""
    parser = Parser(data)
    try:
        fields = how(parser)
    except IndexError:
        return [Field("bytes", data=data)]
    return fields if parser.at == len(data) else [*fields, parser.rest()]


def _header(parser: Parser) -> list[Field]:
    return [*(parser.varint() for _ in range(11)), *(parser.fixed(1) for _ in range(6))]


def _times(parser: Parser) -> list[Field]:
    return [parser.varint(), parser.fixed(1), parser.blob()]


def parsed_payload(parser: Parser) -> list[Field]:
    """Fields of a blob of numbers: a coder's parameters, which are nearly all varints, and its words."""
    head = [parser.varint() for _ in range(min(5, len(parser.data)))]
    return [*head, parser.rest()]


def _config(parser: Parser) -> list[Field]:
    found = []
    while parser.at < len(parser.data):
        found.append(parser.varint())
    return found


def _section(parser: Parser) -> list[Field]:
    coder, count = parser.fixed(1), parser.varint()
    steps = [parser.fixed(4) for _ in range(count.value)]
    return [coder, count, *steps, parser.blob()]


def _segment(parser: Parser) -> list[Field]:
    head = [parser.varint(), parser.varint(), parser.fixed(1), parser.fixed(8), parser.blob(_config)]
    count = parser.varint()
    return [*head, count, *parser.groups(count.value, _section)]


def _text_pair(parser: Parser) -> list[Field]:
    return [parser.blob(), parser.blob()]


def _texts(parser: Parser) -> list[Field]:
    count = parser.varint()
    return [count, *parser.groups(count.value, _text_pair)]


def _chapter(parser: Parser) -> list[Field]:
    return [parser.varint(), parser.varint(), parser.signed(), parser.signed(), *_texts(parser)]


def _chapters(parser: Parser) -> list[Field]:
    count = parser.varint()
    return [count, *parser.groups(count.value, _chapter)]


def _packet(parser: Parser) -> list[Field]:
    times, size = [parser.signed() for _ in range(3)], parser.varint()
    return [*times, size, Field("bytes", data=parser.raw(size.value // 2))]


def _paddings(parser: Parser) -> list[Field]:
    count = parser.varint()
    return [count, *parser.groups(count.value, lambda inside: [inside.varint(), inside.varint()])]


def _track(parser: Parser) -> list[Field]:
    head = [parser.varint(), parser.blob(), parser.varint(), parser.varint(), *_texts(parser)]
    head += [parser.varint(), parser.blob(), parser.blob(), parser.varint(), parser.varint(), parser.blob()]
    count = parser.varint()
    return [*head, count, *parser.groups(count.value, _packet)]


KINDS: dict[bytes, Callable[[Parser], list[Field]]] = {
    b"STRM": _header,
    b"TIME": _times,
    b"SEGM": _segment,
    b"meta": _texts,
    b"tags": _texts,
    b"vtag": _texts,
    b"chap": _chapters,
    b"trak": _track,
    b"pads": _paddings,
    b"last": lambda parser: [parser.varint()],
    b"part": lambda parser: [
        *(parser.varint() for _ in range(3)),
        parser.fixed(1),
        *(parser.varint() for _ in range(6)),
    ],
    b"mdcv": lambda parser: [parser.varint() for _ in range(10)],
    b"clli": lambda parser: [parser.varint() for _ in range(2)],
    b"qual": lambda parser: [parser.fixed(4)],
}


@dataclass
class Block:
    """A block of a file: its type and the fields of its payload."""

    type: bytes
    fields: list[Field]
    known: bytes | None = None
    """The encoded block, for as long as it is not changed."""

    def encoded(self) -> bytes:
        if self.known is not None:
            return self.known
        payload = written(self.fields)
        data = self.type + len(payload).to_bytes(4, "little") + payload
        return data + zlib.crc32(data).to_bytes(4, "little")

    def copy(self) -> Self:
        """A copy that may be changed."""
        return type(self)(self.type, [one.copy() for one in self.fields])


def blocks_of(data: bytes) -> list[Block]:
    """The blocks of a file but INDX and TAIL, which `file_of` makes again."""
    found, at = [], 16
    while at < len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind not in (b"INDX", b"TAIL"):
            payload = data[at + 8 : at + 8 + size]
            fields = parsed(payload, KINDS.get(kind, lambda parser: [parser.rest()]))
            found.append(Block(kind, fields, data[at : at + 12 + size]))
        at += 12 + size
    return found


def file_of(blocks: list[Block]) -> bytes:
    """A file of these blocks, with right checksums, index and tail."""
    data = bytearray(MAGIC + b"\x01\x00\x00\x00")
    data += zlib.crc32(data).to_bytes(4, "little")
    entries = []
    for block in blocks:
        encoded = block.encoded()
        if block.type == b"SEGM":
            frames = [one.value for one in block.fields[:2]]
            entries.append([len(data), len(encoded), *frames])
        data += encoded
    index = [Field("varint", len(entries)), *(Field("varint", value) for one in entries for value in one)]
    at = len(data)
    data += Block(b"INDX", index).encoded()
    return bytes(data + Block(b"TAIL", [Field("fixed", at, size=8)]).encoded())


def walk(fields: list[Field]) -> Iterator[tuple[list[Field], int]]:
    """Yield each field, as its list and its place in it, those of blobs and groups included."""
    for place, one in enumerate(fields):
        yield fields, place
        yield from walk(one.parts)
