"""Whole files: round trips, damage at every position, random access, forward reading."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bitstream_samples import HEADER, MINIMAL, RICH, steady, streams
from hypothesis import given

import bitstream
from bitstream import BitstreamError, Corrupt, LimitExceeded, Limits, Quality, Stream, StreamReader, Truncated
from bitstream.header import KNOWN_ANCILLARY_TYPES

MINIMAL_FILE = bytes.fromhex(
    "89494e520d0a1a0a 01000000 31fe5d98"  # magic, version 1.0, reserved, CRC-32
    "5354524d 11000000 0101 0101 01 1901 0119 0101 00 08 02020200 802019a4"  # STRM
    "5345474d 0d000000 00 01 00 0000000000000000 00 00 e95f665c"  # SEGM: frames 0..1, family 0
    "494e4458 05000000 01 2d 19 00 01 8ba63361"  # INDX: one segment, 25 bytes at 45
    "5441494c 08000000 4600000000000000 56f2f5a2"  # TAIL: INDX is at 70
)


def test_bytes_of_a_minimal_file() -> None:
    assert bitstream.dump(MINIMAL) == MINIMAL_FILE
    assert bitstream.load(MINIMAL_FILE) == MINIMAL


class ForwardOnly(io.RawIOBase):
    """A file that returns a few bytes per read and cannot seek, like a pipe."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 5))

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("seek")


class Counting(io.BytesIO):
    """Counts the bytes read."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


@given(stream=streams())
@steady
def test_round_trip(stream: Stream) -> None:
    data = bitstream.dump(stream)
    assert bitstream.load(data) == stream
    reader = StreamReader(io.BytesIO(data))
    assert reader.header == stream.header
    assert tuple(reader.segment(number) for number in range(len(reader.index))) == stream.segments
    assert (reader.quality, reader.metadata) == (stream.quality, stream.metadata)
    assert [head.type for head in reader.ancillary] == [name for name, _ in stream.ancillary]


@pytest.mark.parametrize("stream", [MINIMAL, RICH])
def test_truncation_at_every_offset_is_an_error(stream: Stream) -> None:
    data = bitstream.dump(stream)
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            bitstream.load(data[:size])
        with pytest.raises(BitstreamError):
            bitstream.probe(io.BytesIO(data[:size]))


@pytest.mark.parametrize("stream", [MINIMAL, RICH])
def test_every_flipped_bit_is_an_error(stream: Stream) -> None:
    data = bitstream.dump(stream)
    for at in range(len(data)):
        for bit in range(8):
            damaged = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises(BitstreamError):
                bitstream.load(damaged)
            read_everything(damaged)


def read_everything(data: bytes) -> None:
    """Random access to a damaged file raises nothing but `BitstreamError`."""
    try:
        reader = StreamReader(io.BytesIO(data))
    except BitstreamError:
        return
    for number in range(len(reader.index)):
        try:
            assert reader.segment(number) == RICH.segments[number] or data == bitstream.dump(MINIMAL)
        except BitstreamError:
            pass


def test_every_byte_replaced_and_inserted_is_an_error() -> None:
    data = bitstream.dump(RICH)
    for at in range(len(data) + 1):
        for value in (0x00, 0x7F, 0xFF):
            with pytest.raises(BitstreamError):
                bitstream.load(data[:at] + bytes([value]) + data[at:])
            if at < len(data) and data[at] != value:
                with pytest.raises(BitstreamError):
                    bitstream.load(data[:at] + bytes([value]) + data[at + 1 :])


def test_size_does_not_depend_on_the_quality() -> None:
    sizes = {len(bitstream.dump(replace(RICH, quality=Quality(db)))) for db in (0, 31.5, 1e6, float("inf"))}
    assert len(sizes) == 1


def test_fixed_cost() -> None:
    """Counts all bytes of a file of one segment except its config and sections."""
    one = Stream(
        replace(HEADER, width=1280, height=720, coded_width=1280, coded_height=720),
        (replace(RICH.segments[0], frame_count=3, config=b"", sections=()),),
        Quality(30.0),
    )
    assert len(bitstream.dump(one)) <= 150


def test_probe_reads_little(tmp_path: Path) -> None:
    big = replace(RICH.segments[0], frame_count=3, sections=(bitstream.Section(2, (), bytes(1 << 22)),))
    file = Counting(bitstream.dump(replace(RICH, segments=(big,))))
    summary = bitstream.probe(file)
    assert file.bytes_read < 1000
    assert summary.file_bytes == len(file.getvalue())
    assert (summary.quality, summary.metadata["title"]) == (RICH.quality, "Blümchen")
    path = tmp_path / "clip.inrv"
    path.write_bytes(file.getvalue())
    assert bitstream.probe(path) == bitstream.probe(str(path)) == summary


def test_damaged_segments_leave_the_others_readable() -> None:
    data = bytearray(bitstream.dump(RICH))
    reader = StreamReader(io.BytesIO(data))
    data[reader.index[0].offset + 12] ^= 1
    reader = StreamReader(io.BytesIO(data))
    with pytest.raises(Corrupt, match="block SEGM"):
        reader.segment(0)
    assert reader.segment(1) == RICH.segments[1]
    with pytest.raises(IndexError):
        reader.segment(2)


def test_segment_of_a_frame() -> None:
    reader = StreamReader(io.BytesIO(bitstream.dump(RICH)))
    assert [reader.segment_number(frame) for frame in range(3)] == [0, 0, 1]
    for frame in (-1, 3):
        with pytest.raises(IndexError):
            reader.segment_number(frame)


def test_forward_reading_of_a_pipe() -> None:
    data = bitstream.dump(RICH)
    types = [block.type for block in bitstream.iterate_blocks(ForwardOnly(data))]  # type: ignore[arg-type]
    assert types == [b"STRM", b"SEGM", b"SEGM", b"qual", b"meta", b"auDi", b"auDi", b"INDX", b"TAIL"]
    end = StreamReader(io.BytesIO(data)).index[-1].offset + 20
    found = []
    with pytest.raises(Truncated):
        for block in bitstream.iterate_blocks(ForwardOnly(data[:end])):  # type: ignore[arg-type]
            found.append(block.type)
    assert found == types[:2]


def test_writing_segment_by_segment() -> None:
    file = io.BytesIO()
    writer = bitstream.StreamWriter(file, RICH.header)
    with pytest.raises(ValueError, match="from frame 0"):
        writer.append(RICH.segments[1])
    writer.append(RICH.segments[0])
    with pytest.raises(ValueError, match="3 frames"):
        writer.finish()
    writer.append(RICH.segments[1])
    writer.finish(RICH.quality, RICH.metadata, RICH.ancillary)
    assert file.getvalue() == bitstream.dump(RICH)


def test_streams_are_checked_when_made() -> None:
    for segments in ((), RICH.segments[:1], RICH.segments[::-1], RICH.segments * 2):
        with pytest.raises(ValueError, match="segment"):
            replace(RICH, segments=segments)
    for name in (b"AUDI", b"au", b"au1o", *KNOWN_ANCILLARY_TYPES):
        with pytest.raises(ValueError, match="ancillary"):
            replace(RICH, ancillary=((name, b""),))
    with pytest.raises(ValueError, match="metadata"):
        bitstream.dump(replace(RICH, metadata={"key": "x" * (1 << 20)}))


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_dimension=16),
        Limits(max_pixels=319),
        Limits(max_frames=2),
        Limits(max_segments=1),
        Limits(max_block_bytes=20),
        Limits(max_ancillary_blocks=3),
        Limits(max_metadata_bytes=10),
        Limits(max_metadata_entries=1),
    ],
)
def test_limits_of_files(limits: Limits) -> None:
    data = bitstream.dump(RICH)
    with pytest.raises(LimitExceeded):
        bitstream.load(data, limits)
    with pytest.raises(LimitExceeded):
        bitstream.probe(io.BytesIO(data), limits)


@pytest.mark.parametrize("limits", [Limits(max_config_bytes=2), Limits(max_sections=1), Limits(max_steps=1)])
def test_limits_of_segments(limits: Limits) -> None:
    data = bitstream.dump(RICH)
    with pytest.raises(LimitExceeded):
        bitstream.load(data, limits)
    with pytest.raises(LimitExceeded):
        StreamReader(io.BytesIO(data), limits).segment(0)


def test_files_of_the_caller_stay_open(tmp_path: Path) -> None:
    file = io.BytesIO(bitstream.dump(RICH))
    bitstream.probe(file)
    assert not file.closed
    with pytest.raises(OSError):
        bitstream.probe(tmp_path / "missing.inrv")


def test_import_needs_only_numpy_and_constriction() -> None:
    code = (
        "import sys, bitstream, bitstream.coders; known = {'bitstream', 'numpy', 'constriction'};"
        "names = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - known;"
        "print([n for n in names if n in ('torch', 'av', 'click', 'rich', 'inrcodec')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
