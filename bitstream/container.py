"""Writing and parsing of whole files, block by block."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import BinaryIO

from bitstream.assembly import Assembly
from bitstream.blocks import encode_block, encode_head, iterate_blocks
from bitstream.extras import Extras, encode_metadata, extras_blocks
from bitstream.fields import Writer
from bitstream.header import Index, IndexEntry, Quality, Segment, Stream, StreamHeader, tiling_fault
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.records import record_bytes
from bitstream.timestamps import encode_last, encode_times


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
        if header.last_duration is not None:
            # Before the segments, because a reader of a pipe needs it before the last frame is written.
            self._put(encode_block(b"last", encode_last(header.last_duration)))
        if header.part is not None:
            self._put(encode_block(b"part", record_bytes(header.part)))
        # Before the segments too: a reader of a pipe needs them to begin its output.
        if header.mastering_display is not None:
            self._put(encode_block(b"mdcv", record_bytes(header.mastering_display)))
        if header.content_light is not None:
            self._put(encode_block(b"clli", record_bytes(header.content_light)))

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)

    def append(self, segment: Segment) -> None:
        """Write the next segment. Raises ValueError if it does not start where the last one ended."""
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
        """Write the ancillary blocks, the index and the tail. Raises ValueError if frames are missing."""
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
    """Return the stream as the bytes of a file."""
    file = io.BytesIO()
    writer = StreamWriter(file, stream.header)
    for segment in stream.segments:
        writer.append(segment)
    writer.finish(stream.quality, stream.metadata, stream.ancillary, stream.extras)
    return file.getvalue()


def load(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Stream:
    """Parse and check a whole file. Raises `BitstreamError` unless every byte is intact."""
    assembly = Assembly(limits)
    segments: list[Segment] = []
    unknown: list[tuple[bytes, bytes]] = []
    for block in iterate_blocks(io.BytesIO(data), limits):
        segment = assembly.add(block)
        if segment is not None:
            segments.append(segment)
        elif assembly.is_unknown(block.type):
            unknown.append((block.type, block.payload))
    header = assembly.finish()
    ancillary = assembly.ancillary
    return Stream(
        header,
        tuple(segments),
        ancillary.quality,
        ancillary.metadata or {},
        tuple(unknown),
        assembly.extras(),
    )
