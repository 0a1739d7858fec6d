"""Changes of a file: of a number, of a length, of a text, of coded symbols, of the order of parts.

Most changes keep the file well formed, so that it is read far: checksums and index are made again, frames
agree between blocks, symbols are coded again.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import numpy as np

from bitstream.coders import CODERS
from fuzz.fields import KINDS, Block, Field, blocks_of, file_of, parsed, parsed_payload, walk, written

INTERESTING = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 31, 64, 127, 128, 255, 256, 1023, 1024, 4095, 4096),
    *(2**bits + step for bits in (15, 16, 20, 24, 27, 28, 30, 31, 32, 60, 63, 64) for step in (-1, 0, 1)),
)
STEPS = (0.0, -1.0, 1e-45, 1e-9, 0.5, 1.0, 3e38, float("inf"), float("nan"))
FRAMES = (1, 2, 3, 5, 30, 2048, 2049, 1 << 20, (1 << 24) - 1, 1 << 24, 1 << 28)
CODECS = "a aac opus mp3 pcm_s16le flac vorbis subrip ass webvtt mov_text h264 bin_data dvb_subtitle".split()
LAYOUTS = "mono stereo 5.1(side) FL+FR+FL FR+FL FL+ 22.2".split()
TEXTS = (
    *(
        "",
        *CODECS,
        *LAYOUTS,
        "1 channels",
        "64 channels",
        "ambisonic 1",
        "fltp",
        "s16",
        "flt",
        "u8",
        "yuv420p",
    ),
    *("[/]", "[red]x", "\x1b[2J", "\u202e", "\x00", "a\x00b", "x" * 300, "é", "語"),
)


class Mutator:
    """Changes files at random. The generator decides everything, so that its state makes a file again."""

    def __init__(self, rng: random.Random, seeds: list[bytes], counts: dict[tuple[int, bytes], int]) -> None:
        """`counts` are the numbers of symbols of the coders and payloads in the seeds."""
        self._rng, self._seeds, self._counts = rng, seeds, counts
        self._parsed = [blocks_of(data) for data in seeds]

    def mutated(self, number: int) -> bytes:
        """A seed with a few changes."""
        rng, place = self._rng, number % len(self._seeds)
        if rng.random() < 0.04:
            return self._without_repair(self._seeds[place])
        blocks = [*self._parsed[place]]
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            change = rng.choices(*_CHANGES)[0]
            change(self, blocks)
        return file_of(blocks)

    def _without_repair(self, data: bytes) -> bytes:
        """Bytes changed, removed or added anywhere, with wrong checksums."""
        changed = bytearray(data)
        for _ in range(self._rng.randint(1, 4)):
            self._change_bytes(changed)
        return bytes(changed)

    def _change_bytes(self, data: bytearray) -> None:
        rng = self._rng
        at, size = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 9))
        kind = rng.randrange(4)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + size] = rng.randbytes(len(data[at : at + size]))
        elif kind == 2:
            del data[at : at + size]
        else:
            data[at:at] = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))

    def _number(self, value: int) -> int:
        rng = self._rng
        kind = rng.randrange(4)
        if kind == 0:
            return rng.choice(INTERESTING)
        if kind == 1:
            return value + rng.choice((-2, -1, 1, 2))
        if kind == 2:
            return value ^ 1 << rng.randrange(max(4, value.bit_length() + 1))
        return rng.randrange(1 << rng.randint(1, 40))

    def _chosen(self, blocks: list[Block], kind: bytes | None = None) -> Block:
        """One of the blocks, or of those of a kind if there are any: a copy in its place, to be changed."""
        places = [at for at, one in enumerate(blocks) if kind is None or one.type == kind]
        place = self._rng.choice(places or range(len(blocks)))
        blocks[place] = blocks[place].copy()
        return blocks[place]

    def field(self, blocks: list[Block]) -> None:
        """Change one field of one block."""
        places = [*walk(self._chosen(blocks).fields)]
        if not places:
            return
        fields, place = self._rng.choice(places)
        one = fields[place]
        if one.kind in ("varint", "signed", "fixed"):
            sign = -1 if one.kind == "signed" and self._rng.random() < 0.3 else 1
            one.value = sign * self._number(abs(one.value))
            if one.size == 4 and self._rng.random() < 0.5:
                one.value = int.from_bytes(struct.pack("<f", self._rng.choice(STEPS)), "little")
        elif one.kind in ("bytes", "blob"):
            data = bytearray(written(one.parts) if one.parts else one.data)
            kind = self._rng.random()
            if one.kind == "blob" and kind < 0.2:
                data = bytearray(self._rng.choice(TEXTS).encode())
            elif one.kind == "blob" and data and kind < 0.6:
                parts = parsed(bytes(data), parsed_payload)
                part = self._rng.choice(parts)
                part.value = self._number(part.value)
                data = bytearray(written(parts))
            else:
                self._change_bytes(data)
            one.data, one.parts = bytes(data), []

    def group(self, blocks: list[Block]) -> None:
        """Repeat, remove or exchange a section, packet, chapter or text; the count is often made right."""
        everywhere = walk(self._chosen(blocks).fields)
        places = [(fields, place) for fields, place in everywhere if fields[place].kind == "group"]
        if not places:
            return
        fields, place = self._rng.choice(places)
        first = next(at for at, one in enumerate(fields) if one.kind == "group")
        kind = self._rng.randrange(3)
        if kind == 0:
            fields.insert(place, fields[place].copy())
        elif kind == 1:
            del fields[place]
        else:
            other = self._rng.choice([at for at, one in enumerate(fields) if one.kind == "group"])
            fields[place], fields[other] = fields[other], fields[place]
        if self._rng.random() < 0.8 and first > 0 and fields[first - 1].kind == "varint":
            fields[first - 1].value = sum(one.kind == "group" for one in fields)

    def order(self, blocks: list[Block]) -> None:
        """Repeat, remove, exchange or import a block."""
        rng = self._rng
        place, kind = rng.randrange(len(blocks)), rng.randrange(4)
        if kind == 0:
            blocks.insert(rng.randrange(len(blocks) + 1), blocks[place])
        elif kind == 1 and len(blocks) > 1:
            del blocks[place]
        elif kind == 2:
            other = rng.randrange(len(blocks))
            blocks[place], blocks[other] = blocks[other], blocks[place]
        else:
            blocks.insert(rng.randint(1, len(blocks)), rng.choice(rng.choice(self._parsed)))

    def kind(self, blocks: list[Block]) -> None:
        """Change the type of a block."""
        self._chosen(blocks).type = self._rng.choice((*KINDS, b"neWs", b"LATE", self._rng.randbytes(4)))

    def frames(self, blocks: list[Block]) -> None:
        """Give the file and its last segment another number of frames."""
        blocks[:] = [one.copy() if one.type in (b"STRM", b"SEGM") else one for one in blocks]
        segments = [one for one in blocks if one.type == b"SEGM" and len(one.fields) > 6]
        headers = [one for one in blocks if one.type == b"STRM" and len(one.fields) > 10]
        if segments and headers:
            first, count = segments[-1].fields[:2]
            count.value = self._rng.choice(FRAMES)
            headers[0].fields[4].value = first.value + count.value

    def symbols(self, blocks: list[Block]) -> None:
        """Decode a section's symbols, change some, and code them with some coder."""
        segment = self._chosen(blocks, b"SEGM")
        sections = [one.parts for one in segment.fields if one.kind == "group"]
        found = [(parts, self._key(parts)) for parts in sections if self._key(parts) in self._counts]
        if not found:
            return
        section, key = self._rng.choice(found)
        symbols = CODERS[key[0]].decode(key[1], self._counts[key])
        rng = np.random.default_rng(self._rng.randrange(1 << 32))
        largest = self._rng.choice((1, 3, 100, 32767, 65535, (1 << 31) - 1))
        places = rng.integers(0, len(symbols), max(1, len(symbols) // 4))
        symbols[places] = rng.integers(-largest, largest + 1, len(places))
        coder = self._rng.choice([*CODERS.values()])
        if coder.cost_bits(symbols) < 1 << 17:
            section[0].value = int(coder.wire_id)
            section[-1] = Field("blob", data=coder.encode(symbols))

    @staticmethod
    def _key(section: list[Field]) -> tuple[int, bytes]:
        payload = section[-1]
        return section[0].value, written(payload.parts) if payload.parts else payload.data

    def import_section(self, blocks: list[Block]) -> None:
        """Replace a section by that of another file."""
        fields = self._chosen(blocks, b"SEGM").fields
        source = self._chosen([*self._rng.choice(self._parsed)], b"SEGM").fields
        places = [at for at, one in enumerate(fields) if one.kind == "group"]
        sections = [one for one in source if one.kind == "group"]
        if places and sections:
            fields[self._rng.choice(places)] = self._rng.choice(sections)


_Change = Callable[[Mutator, list[Block]], None]
_CHANGES: tuple[list[_Change], list[int]] = (
    [
        Mutator.field,
        Mutator.group,
        Mutator.order,
        Mutator.kind,
        Mutator.frames,
        Mutator.symbols,
        Mutator.import_section,
    ],
    [60, 12, 8, 1, 4, 6, 7],
)
"""Changes and how often each is made."""
