"""Hand-made bad files with the error that each must raise, and huge declared sizes under a memory limit."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from bitstream_samples import MINIMAL, RICH

import bitstream
from bitstream import BadMagic, BitstreamError, Corrupt, LimitExceeded, Stream, Truncated, UnsupportedVersion
from bitstream.blocks import encode_block, encode_head
from bitstream.coders import CODERS
from bitstream.container import record_bytes
from bitstream.fields import Writer
from bitstream.header import Index, IndexEntry

HEAD = encode_head()
STRM = encode_block(b"STRM", record_bytes(MINIMAL.header))
SEGM_AT = len(HEAD) + len(STRM)
SEGM = encode_block(b"SEGM", record_bytes(MINIMAL.segments[0]))
QUAL = encode_block(b"qual", bytes(4))
FILE = bitstream.dump(MINIMAL)


def varints(*values: int) -> bytes:
    writer = Writer()
    for value in values:
        writer.varint(value)
    return writer.getvalue()


def indx(*entries: tuple[int, int, int, int]) -> bytes:
    return encode_block(b"INDX", record_bytes(Index(tuple(IndexEntry(*entry) for entry in entries))))


def tail(offset: int) -> bytes:
    return encode_block(b"TAIL", offset.to_bytes(8, "little"))


def file_of(*blocks: bytes, index: bytes | None = None, segment_at: int = SEGM_AT) -> bytes:
    """Head and blocks, then an index and a tail that match them unless the arguments say otherwise."""
    body = HEAD + b"".join(blocks)
    return body + (indx((segment_at, len(SEGM), 0, 1)) if index is None else index) + tail(len(body))


def stream_payload(*fields: int) -> bytes:
    """A STRM payload: width, height, coded size, frames, three rationals, then five bytes and a flag."""
    values = list(fields) + [1, 1, 1, 1, 1, 25, 1, 1, 25, 1, 1][len(fields) :]
    return varints(*values) + bytes([0, 8, 2, 2, 2, 0])


def with_stream(payload: bytes) -> bytes:
    strm = encode_block(b"STRM", payload)
    return file_of(strm, SEGM, segment_at=len(HEAD) + len(strm))


def with_last(*payloads: bytes) -> bytes:
    blocks = [encode_block(b"last", payload) for payload in payloads]
    return file_of(STRM, *blocks, SEGM, segment_at=SEGM_AT + sum(map(len, blocks)))


def with_segment(payload: bytes) -> bytes:
    segm = encode_block(b"SEGM", payload)
    body = HEAD + STRM + segm
    return body + indx((SEGM_AT, len(segm), 0, 1)) + tail(len(body))


def segment_payload(*rest: bytes) -> bytes:
    return varints(0, 1) + b"\x01" + bytes(8) + b"".join(rest)


def with_head(major: int, minor: int = 0, reserved: int = 0) -> bytes:
    head = HEAD[:8] + bytes([major, minor]) + reserved.to_bytes(2, "little")
    return head + zlib.crc32(head).to_bytes(4, "little") + FILE[16:]


def metadata(*texts: bytes) -> bytes:
    return varints(len(texts) // 2) + b"".join(varints(len(text)) + text for text in texts)


ATTACKS: dict[str, tuple[bytes, type[BitstreamError]]] = {
    "empty": (b"", BadMagic),
    "text": (b"hello, this is no video at all", BadMagic),
    "png": (b"\x89PNG\r\n\x1a\n" + FILE[8:], BadMagic),
    "line ends translated": (FILE.replace(b"\r\n", b"\n"), BadMagic),
    "high bit lost": (bytes([FILE[0] & 0x7F]) + FILE[1:], BadMagic),
    "half the magic": (FILE[:4], Truncated),
    "only the magic": (FILE[:8], Truncated),
    "only the head": (HEAD, Truncated),
    "future version": (with_head(2), UnsupportedVersion),
    "version zero": (with_head(0), UnsupportedVersion),
    "reserved bytes": (with_head(1, 0, 1), Corrupt),
    "trailing byte": (FILE + b"\x00", Corrupt),
    "two files": (FILE + FILE, Corrupt),
    "no stream block": (file_of(SEGM, segment_at=16), Corrupt),
    "two stream blocks": (file_of(STRM, STRM, SEGM, segment_at=SEGM_AT + len(STRM)), Corrupt),
    "stream block last": (HEAD + SEGM + STRM, Corrupt),
    "no segments": (file_of(STRM, index=indx()), Corrupt),
    "segment twice": (file_of(STRM, SEGM, SEGM), Corrupt),
    "index of nothing": (file_of(STRM, SEGM, index=indx()), Corrupt),
    "index with a wrong offset": (file_of(STRM, SEGM, segment_at=SEGM_AT + 1), Corrupt),
    "index with a huge offset": (file_of(STRM, SEGM, segment_at=(1 << 64) - 1), Corrupt),
    "index with a wrong length": (file_of(STRM, SEGM, index=indx((SEGM_AT, 3, 0, 1))), Corrupt),
    "index with wrong frames": (file_of(STRM, SEGM, index=indx((SEGM_AT, len(SEGM), 0, 2))), Corrupt),
    "index of zero frames": (
        file_of(STRM, SEGM, index=encode_block(b"INDX", varints(1, SEGM_AT, len(SEGM), 0, 0))),
        Corrupt,
    ),
    "index with a tail": (
        file_of(STRM, SEGM, index=encode_block(b"INDX", varints(1, SEGM_AT, len(SEGM), 0, 1, 0))),
        Corrupt,
    ),
    "index counts too many": (file_of(STRM, SEGM, index=encode_block(b"INDX", varints(1 << 16))), Corrupt),
    "index past the limit": (
        file_of(STRM, SEGM, index=encode_block(b"INDX", varints(1 << 40))),
        LimitExceeded,
    ),
    "two indexes": (file_of(STRM, SEGM, indx((SEGM_AT, len(SEGM), 0, 1))), Corrupt),
    "tail points elsewhere": (FILE[:-20] + tail(SEGM_AT), Corrupt),
    "tail points past the end": (FILE[:-20] + tail(1 << 60), Corrupt),
    "tail points into the head": (FILE[:-20] + tail(0), Corrupt),
    "tail too short": (FILE[:-20] + encode_block(b"TAIL", b"\x46\0\0\0"), BitstreamError),
    "no tail": (FILE[:-20], BitstreamError),
    "unknown critical block": (file_of(STRM, SEGM, encode_block(b"LATE", b"")), UnsupportedVersion),
    "block type is no text": (file_of(STRM, SEGM, b"\x00\x01\x02\x03" + QUAL[4:]), Corrupt),
    "two quality blocks": (file_of(STRM, SEGM, QUAL, QUAL), Corrupt),
    "no duration": (with_last(b""), Truncated),
    "a duration of 0": (with_last(b"\0"), Corrupt),
    "a duration of 2^60": (with_last(varints(1 << 60)), Corrupt),
    "a long duration": (with_last(b"\1\1"), Corrupt),
    "two durations": (with_last(b"\1", b"\1"), Corrupt),
    "a duration after the segment": (file_of(STRM, SEGM, encode_block(b"last", b"\1")), Corrupt),
    "short quality": (file_of(STRM, SEGM, encode_block(b"qual", bytes(3))), Truncated),
    "long quality": (file_of(STRM, SEGM, encode_block(b"qual", bytes(5))), Corrupt),
    "two metadata blocks": (file_of(STRM, SEGM, *[encode_block(b"meta", varints(0))] * 2), Corrupt),
    "metadata key twice": (
        file_of(STRM, SEGM, encode_block(b"meta", metadata(b"a", b"", b"a", b""))),
        Corrupt,
    ),
    "metadata not UTF-8": (file_of(STRM, SEGM, encode_block(b"meta", metadata(b"\xff", b""))), Corrupt),
    "metadata counts too many": (file_of(STRM, SEGM, encode_block(b"meta", varints(1000))), Corrupt),
    "metadata past the limit": (file_of(STRM, SEGM, encode_block(b"meta", varints(1 << 20))), LimitExceeded),
    "metadata text too long": (file_of(STRM, SEGM, encode_block(b"meta", varints(1, 900, 0))), Truncated),
    "too many ancillary blocks": (file_of(STRM, SEGM, *[encode_block(b"xxxx", b"")] * 1025), LimitExceeded),
    "block longer than the file": (HEAD + b"STRM" + (1 << 20).to_bytes(4, "little"), Truncated),
    "block past the limit": (HEAD + b"STRM" + b"\xff" * 4 + FILE[24:], LimitExceeded),
    "width zero": (with_stream(stream_payload(0)), Corrupt),
    "width past the limit": (with_stream(stream_payload(1, 1, 1 << 30)), LimitExceeded),
    "pixels past the limit": (with_stream(stream_payload(1, 1, 32768, 32768)), LimitExceeded),
    "coded size below the display": (with_stream(stream_payload(9, 1, 8, 1)), Corrupt),
    "no frames": (with_stream(stream_payload(1, 1, 1, 1, 0)), Corrupt),
    "frame rate zero": (with_stream(stream_payload(1, 1, 1, 1, 1, 0)), Corrupt),
    "frame rate by zero": (with_stream(stream_payload(1, 1, 1, 1, 1, 25, 0)), Corrupt),
    "frame rate not reduced": (with_stream(stream_payload(1, 1, 1, 1, 1, 50, 2)), Corrupt),
    "rotation of five turns": (with_stream(stream_payload()[:-6] + bytes([5, 8, 2, 2, 2, 0])), Corrupt),
    "bit depth of 33": (with_stream(stream_payload()[:-6] + bytes([0, 33, 2, 2, 2, 0])), Corrupt),
    "range flag of 2": (with_stream(stream_payload()[:-1] + b"\x02"), Corrupt),
    "stream block too short": (with_stream(stream_payload()[:-1]), Truncated),
    "stream block too long": (with_stream(stream_payload() + b"\x00"), Corrupt),
    "overlong varint": (with_stream(b"\x81\x00" + stream_payload()[1:]), Corrupt),
    "segment of no frames": (with_segment(varints(0, 0) + b"\x01" + bytes(10)), Corrupt),
    "segment of too many frames": (with_segment(varints(0, 2) + b"\x01" + bytes(10)), Corrupt),
    "segment from frame 1": (with_segment(varints(1, 1) + b"\x01" + bytes(10)), Corrupt),
    "segment too short": (with_segment(segment_payload(b"")), Truncated),
    "segment too long": (with_segment(segment_payload(b"\0", b"\0", b"\0")), Corrupt),
    "config longer than the block": (with_segment(segment_payload(varints(999))), Truncated),
    "config past the limit": (with_segment(segment_payload(varints(1 << 30))), LimitExceeded),
    "sections count too many": (with_segment(segment_payload(b"\0", varints(4096))), Corrupt),
    "sections past the limit": (with_segment(segment_payload(b"\0", varints(1 << 50))), LimitExceeded),
    "steps count too many": (with_segment(segment_payload(b"\0\x01\x01", varints(1 << 20))), Corrupt),
    "steps past the limit": (with_segment(segment_payload(b"\0\x01\x01", varints(1 << 62))), LimitExceeded),
    "step of infinity": (with_segment(segment_payload(b"\0\x01\x01\x01\0\0\x80\x7f\0")), Corrupt),
    "step of zero": (with_segment(segment_payload(b"\0\x01\x01\x01\0\0\0\0\0")), Corrupt),
    "payload longer than the block": (
        with_segment(segment_payload(b"\0\x01\x01\0", varints(1 << 29))),
        Truncated,
    ),
    "payload past the limit": (
        with_segment(segment_payload(b"\0\x01\x01\0", varints(1 << 63))),
        LimitExceeded,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_bad_files(name: str) -> None:
    data, kind = ATTACKS[name]
    with pytest.raises(kind) as caught:
        bitstream.load(data)
    assert caught.value.block is not None or caught.value.offset is not None
    assert "expected" in str(caught.value) or "found" in str(caught.value)


@pytest.mark.parametrize("name", ATTACKS)
def test_bad_files_with_random_access(name: str) -> None:
    """Random access rejects all of them too, but may raise another kind of error."""
    with pytest.raises(BitstreamError):
        read_every_segment(ATTACKS[name][0])


def test_newer_minor_versions_and_unknown_ancillary_blocks_are_read() -> None:
    assert bitstream.load(with_head(1, 9)) == MINIMAL
    assert bitstream.load(file_of(STRM, SEGM, encode_block(b"neWs", b"?"))).ancillary == ((b"neWs", b"?"),)
    news = encode_block(b"neWs", b"?")
    assert (
        bitstream.load(file_of(STRM, news, SEGM, segment_at=SEGM_AT + len(news))).segments == MINIMAL.segments
    )


PAYLOADS: dict[str, tuple[int, bytes, int]] = {
    "uniform: span past 2^24": (1, b"\x00" + varints(1 << 24), 4),
    "uniform: largest past 2^31": (1, varints((1 << 32) - 2, 255), 4),
    "uniform: last byte zero": (1, b"\x00\x04\x00", 4),
    "packed: width of 33": (2, b"\x00\x21" + bytes(40), 4),
    "packed: too short": (2, b"\x00\x10" + bytes(7), 4),
    "packed: huge count": (2, b"\x00\x20" + bytes(7), 1 << 27),
    "packed: padding": (2, b"\x00\x03" + b"\xff\xff", 5),
    "packed: largest past 2^31": (2, varints((1 << 32) - 2) + b"\x08" + b"\xff", 1),
    "categorical: no table": (3, b"\x00\x04", 4),
    "categorical: table cut": (3, b"\x00\x04\x07\x00", 4),
    "categorical: total too large": (3, b"\x00\x01\x00\x30", 4),
    "categorical: run past the end": (3, b"\x00\x02\x07" + b"\x80\x40", 4),
    "categorical: span past 2^16": (3, b"\x00" + varints(1 << 16), 4),
    "categorical: data after a constant": (3, b"\x00\x00\x01", 4),
    "laplace: centre past the span": (4, b"\x00\x04\x05\x01\x00", 4),
    "laplace: no rows": (4, b"\x00\x04\x02\x00\x00", 4),
    "laplace: rows do not divide": (4, b"\x00\x04\x02\x03\x00\x00", 4),
    "laplace: too many rows": (4, b"\x00\x04\x02" + varints(1 << 27) + b"\x00\x00", 1 << 27),
    "laplace: index past the table": (4, b"\x00\x04\x02\x01\x80", 4),
    "laplace: index of 8 bits": (4, b"\x00\x04\x02\x02\x00\x08\x00\x00", 4),
    "laplace: row index past the table": (4, b"\x00\x04\x02\x02\x7f\x01\x02", 4),
    "gaussian: index past the table": (5, b"\x00\x04\x02\x01\x70", 4),
    "levels: 256 levels": (6, varints(256) + bytes(256), 4),
    "levels: counts past the count": (6, b"\x01\x05", 4),
    "levels: counts missing": (6, b"\x03\x01", 4),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_bad_payloads(name: str) -> None:
    wire_id, payload, count = PAYLOADS[name]
    with pytest.raises(BitstreamError, match=f"coder {CODERS[wire_id].name}"):
        CODERS[wire_id].decode(payload, count)


UNDER_A_MEMORY_LIMIT = """
import io, resource, sys
import numpy, bitstream
from bitstream.coders import CODERS
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (48 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.path.insert(0, sys.argv[1])
import test_bitstream_attacks as attacks
for data, _ in attacks.ATTACKS.values():
    for read in (
        bitstream.load,
        lambda data: bitstream.probe(io.BytesIO(data)),
        lambda data: list(bitstream.SalvageReader(io.BytesIO(data)).segments()),
        lambda data: list(bitstream.ForwardReader(io.BytesIO(data)).segments()),
        lambda data: list(bitstream.ForwardReader(io.BytesIO(data), skip_damaged=True).segments()),
    ):
        try:
            read(data)
        except bitstream.BitstreamError:
            pass
for wire_id, payload, count in attacks.PAYLOADS.values():
    try:
        CODERS[wire_id].decode(payload, count)
    except bitstream.BitstreamError:
        pass
print("survived")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_huge_claims_take_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_MEMORY_LIMIT, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    assert done.stdout == "survived\n", done.stderr


def read_every_segment(data: bytes) -> None:
    """Read all segments of a file by random access."""
    reader = bitstream.StreamReader(io.BytesIO(data))
    for number in range(len(reader.index)):
        reader.segment(number)


@pytest.mark.parametrize("read", [bitstream.load, read_every_segment])
def test_blocks_in_another_order(read: Callable[[bytes], object]) -> None:
    """Critical blocks that are moved, dropped or repeated are detected, although their checksums match."""
    data = bitstream.dump(Stream(RICH.header, RICH.segments))
    blocks = [data[block.offset : block.end] for block in bitstream.iterate_blocks(io.BytesIO(data))]
    for at in range(len(blocks)):
        swapped = [*blocks[:at], *blocks[at : at + 2][::-1], *blocks[at + 2 :]]
        dropped, repeated = blocks[:at] + blocks[at + 1 :], [*blocks[: at + 1], *blocks[at:]]
        for bad in (swapped, dropped, repeated):
            if bad != blocks:
                with pytest.raises(BitstreamError):
                    read(HEAD + b"".join(bad))
