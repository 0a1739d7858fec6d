"""Whole streams to bytes and back: the order of the blocks, the index, and what must agree."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import BinaryIO

from bitstream.ancillary import AncillaryBlocks, ExtrasBlocks
from bitstream.blocks import Block, block_name, encode_block, encode_head, iterate_blocks
from bitstream.errors import Corrupt, LimitExceeded
from bitstream.extras import EXTRA_TYPES, Extras, encode_metadata, extras_blocks
from bitstream.fields import Writer
from bitstream.header import (
    Index,
    IndexEntry,
    Quality,
    Segment,
    Stream,
    StreamHeader,
    read_stream_header,
    tiling_fault,
)
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.records import record_bytes
from bitstream.timestamps import encode_times, with_times


class StreamWriter:
    """Writes a stream segment by segment to a file that need not be seekable."""

    def __init__(self, file: BinaryIO, header: StreamHeader) -> None:
        self._file = file
        self._header = header
        self._offset = 0
        self._entries: list[IndexEntry] = []
        self._put(encode_head())
        self._put(encode_block(b"STRM", record_bytes(header)))
        if header.timestamps is not None:
            self._put(encode_block(b"TIME", encode_times(header.timestamps)))

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)

    def append(self, segment: Segment) -> None:
        """Write the next segment; ValueError if it does not start where the last one ended."""
        expected = sum(entry.frame_count for entry in self._entries)
        if segment.first_frame != expected:
            raise ValueError(f"expected a segment from frame {expected}, found {segment.first_frame}")
        data = encode_block(b"SEGM", record_bytes(segment))
        self._entries.append(IndexEntry(self._offset, len(data), segment.first_frame, segment.frame_count))
        self._put(data)

    def finish(
        self,
        quality: Quality | None = None,
        metadata: Mapping[str, str] | None = None,
        ancillary: tuple[tuple[bytes, bytes], ...] = (),
        extras: Extras | None = None,
    ) -> None:
        """Write the ancillary blocks, the index and the tail; ValueError if frames are missing."""
        runs = [(entry.first_frame, entry.frame_count) for entry in self._entries]
        fault = tiling_fault(runs, self._header.frame_count)
        if fault is not None:
            raise ValueError(fault)
        if quality is not None:
            self._put(encode_block(b"qual", record_bytes(quality)))
        if metadata:
            self._put(encode_block(b"meta", encode_metadata(metadata)))
        for block_type, payload in (*extras_blocks(extras or Extras()), *ancillary):
            self._put(encode_block(block_type, payload))
        tail = Writer()
        tail.u64(self._offset)
        self._put(encode_block(b"INDX", record_bytes(Index(tuple(self._entries)))))
        self._put(encode_block(b"TAIL", tail.getvalue()))


def dump(stream: Stream) -> bytes:
    """The stream as the bytes of a file."""
    file = io.BytesIO()
    writer = StreamWriter(file, stream.header)
    for segment in stream.segments:
        writer.append(segment)
    writer.finish(stream.quality, stream.metadata, stream.ancillary, stream.extras)
    return file.getvalue()


def load(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Stream:
    """Parse and check a whole file; BitstreamError for anything but an intact one."""
    assembly = Assembly(limits)
    for block in iterate_blocks(io.BytesIO(data), limits):
        assembly.add(block)
    return assembly.stream()


def read_segment(block: Block, limits: Limits) -> Segment:
    """Parse the payload of a SEGM block."""
    reader = block.reader(limits)
    segment = Segment.read(reader)
    reader.expect_end()
    return segment


def read_index(block: Block, limits: Limits) -> Index:
    """Parse the payload of an INDX block."""
    reader = block.reader(limits)
    index = Index.read(reader)
    reader.expect_end()
    return index


def read_tail(block: Block, limits: Limits) -> int:
    """The offset of INDX from the payload of a TAIL block."""
    reader = block.reader(limits)
    offset = reader.u64()
    reader.expect_end()
    return offset


class Assembly:
    """Builds a Stream from the blocks of a file in their order, and checks that they agree."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._header: StreamHeader | None = None
        self._segments: list[Segment] = []
        self._entries: list[IndexEntry] = []
        self._ancillary = AncillaryBlocks(limits)
        self._extras = ExtrasBlocks(limits)
        self._unknown: list[tuple[bytes, bytes]] = []
        self._times_at: int | None = None
        self._index: Block | None = None

    def add(self, block: Block) -> None:
        """Take the next block of the file."""
        if (self._header is None) != (block.type == b"STRM"):
            raise Corrupt(
                "expected STRM as the first block and only there",
                offset=block.offset,
                block=block_name(block.type),
            )
        if (self._index is not None) != (block.type == b"TAIL"):
            raise Corrupt(
                "expected TAIL right after INDX and only there",
                offset=block.offset,
                block=block_name(block.type),
            )
        if block.type == b"STRM":
            self._header = read_stream_header(block.reader(self._limits))
            self._times_at = block.end
        elif block.type == b"TIME":
            self._add_times(block)
        elif block.type == b"SEGM":
            self._add_segment(block)
        elif block.type == b"INDX":
            self._index = block
            self._check_index(block)
        elif block.type == b"TAIL":
            self._check_tail(block)
        else:
            self._ancillary.count(block.type, block.offset)
            if block.type in EXTRA_TYPES:
                self._extras.add(block)
            elif not self._ancillary.add(block):
                self._unknown.append((block.type, block.payload))

    def _add_times(self, block: Block) -> None:
        if self._header is None or block.offset != self._times_at:
            raise Corrupt("expected TIME right after STRM and only there", offset=block.offset, block="TIME")
        self._header = with_times(self._header, block, self._limits)

    def _add_segment(self, block: Block) -> None:
        if len(self._segments) >= self._limits.max_segments:
            allowed = self._limits.max_segments
            raise LimitExceeded(
                f"expected at most {allowed} segments, found more", offset=block.offset, block="SEGM"
            )
        segment = read_segment(block, self._limits)
        self._segments.append(segment)
        self._entries.append(
            IndexEntry(block.offset, block.end - block.offset, segment.first_frame, segment.frame_count)
        )

    def _check_index(self, block: Block) -> None:
        if read_index(block, self._limits).entries != tuple(self._entries):
            raise Corrupt(
                "expected an index of the segments before it, found another",
                offset=block.offset,
                block="INDX",
            )

    def _check_tail(self, block: Block) -> None:
        expected = -1 if self._index is None else self._index.offset
        found = read_tail(block, self._limits)
        if found != expected:
            raise Corrupt(
                f"expected the offset of INDX, {expected}, found {found}", offset=block.offset, block="TAIL"
            )

    def stream(self) -> Stream:
        """The stream of the blocks so far; Corrupt if segments do not tile its frames."""
        if self._header is None or self._index is None:
            raise Corrupt("expected STRM, SEGM, INDX and TAIL blocks, found none")
        try:
            return Stream(
                self._header,
                tuple(self._segments),
                self._ancillary.quality,
                self._ancillary.metadata or {},
                tuple(self._unknown),
                self._extras.extras(),
            )
        except ValueError as error:
            raise Corrupt(str(error), offset=self._index.offset, block="INDX") from None
