"""Random access to a seekable file: header and index at once, a segment on request."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bitstream.ancillary import AncillaryBlocks, ExtrasBlocks
from bitstream.assembly import read_index, read_segment, read_tail, require_at
from bitstream.blocks import BLOCK_OVERHEAD_BYTES, Block, BlockHead, BlockScanner, Version, block_name
from bitstream.damage import Loss
from bitstream.errors import BitstreamError, Corrupt, Truncated
from bitstream.extras import EXTRA_TYPES, Extras, TrackInfo
from bitstream.header import (
    KNOWN_ANCILLARY_TYPES,
    IndexEntry,
    Quality,
    Segment,
    StreamHeader,
    read_stream_header,
    tiling_fault,
)
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.positions import Cursor, FileSource, open_positioned
from bitstream.timestamps import with_times

TAIL_BYTES = BLOCK_OVERHEAD_BYTES + 8


@dataclass(frozen=True)
class Summary:
    """Everything in a file but its segments and the payloads of `ancillary` and `extras` blocks.

    `ancillary` lists the blocks of unknown type. `StreamReader` does not read or check their payloads.
    """

    version: Version
    file_bytes: int
    header: StreamHeader
    index: tuple[IndexEntry, ...]
    quality: Quality | None
    metadata: Mapping[str, str]
    ancillary: tuple[BlockHead, ...]
    extras: tuple[BlockHead, ...] = ()
    """Blocks of audio, subtitles, chapters and tags. `StreamReader` does not check these either."""

    @property
    def extras_bytes(self) -> int:
        """Bytes of the file in these blocks."""
        return sum(head.end - head.offset for head in self.extras)


class StreamReader:
    """Opens a path, bytes or a seekable binary file; `segment(i)` reads and checks that one block only.

    Raises `BitstreamError` when the head, STRM, TIME, INDX, TAIL, `qual` or `meta` is damaged or when blocks
    do not fill the file exactly. A damaged segment is found only when it is read, so the others stay usable.
    A file object stays open and belongs to the caller.

    Threads may share a reader, and so may forked processes unless it reads a file object that the operating
    system does not know, such as one of gzip. A reader is pickled as its path or bytes and its limits.
    """

    def __init__(self, file: FileSource, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._file = open_positioned(file)
        self._size = self._file.size
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        scanner = self._scanner(0)
        self.version = scanner.read_head()
        block = self._checked_block(scanner, b"STRM")
        self.header = read_stream_header(block.reader(self.limits))
        if scanner.read_block_head().type == b"TIME":
            block = self._checked_block(self._scanner(block.end), b"TIME")
            self.header = with_times(self.header, block, self.limits)
        index_at = self._read_index(block.end)
        self._walk_gaps(block.end, index_at)

    def _read_index(self, first: int) -> int:
        """Read TAIL and INDX, which must follow the offset `first`. Returns the offset of INDX."""
        tail_at = self._size - TAIL_BYTES
        if tail_at < first + BLOCK_OVERHEAD_BYTES:
            raise Truncated("expected INDX and TAIL after STRM", offset=self._size, block="TAIL")
        try:
            tail = self._checked_block(self._scanner(tail_at), b"TAIL")
        except BitstreamError as error:
            message = "expected TAIL as the last 20 bytes: the file is cut off, or damaged there"
            raise Corrupt(message, offset=tail_at, block="TAIL") from error
        index_at = read_tail(tail, self.limits)
        if not first <= index_at <= tail_at - BLOCK_OVERHEAD_BYTES:
            raise Corrupt(
                f"expected INDX within {first}..{tail_at}, found {index_at}",
                offset=tail_at + 8,
                block="TAIL",
            )
        index_block = self._checked_block(self._scanner(index_at), b"INDX")
        if index_block.end != tail_at:
            raise Corrupt(f"expected TAIL at {index_block.end}", offset=index_at, block="INDX")
        self.index: tuple[IndexEntry, ...] = read_index(index_block, self.limits).entries
        self._check_index(index_at)
        return index_at

    def _scanner(self, offset: int) -> BlockScanner:
        return BlockScanner(Cursor(self._file, offset), offset=offset, limits=self.limits)

    def _checked_block(self, scanner: BlockScanner, block_type: bytes) -> Block:
        """Read the next block, which must have this type and end within the file."""
        head = scanner.read_block_head()
        name = block_name(block_type)
        if head.type != block_type:
            raise Corrupt(f"expected block {name}, found {head.type!r}", offset=head.offset, block=name)
        self._require_inside(head, self._size)
        return scanner.read_payload(head)

    def _require_inside(self, head: BlockHead, end: int) -> None:
        if head.end > end:
            raise Truncated(
                f"expected a block that ends by {end}, found one that ends at {head.end}",
                offset=head.offset,
                block=block_name(head.type),
            )

    def _check_index(self, index_at: int) -> None:
        runs = [(entry.first_frame, entry.frame_count) for entry in self.index]
        fault = tiling_fault(runs, self.header.frame_count)
        if fault is not None:
            raise Corrupt(fault, offset=index_at, block="INDX")

    def _gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """Begin and end of each gap between segments. Raises Corrupt for an index out of order."""
        gaps = []
        at = first
        for segment_at, length in [*((entry.offset, entry.length) for entry in self.index), (last, 0)]:
            if segment_at < at or segment_at + length > last:
                raise Corrupt(
                    f"expected segments in order within {at}..{last}, found one at {segment_at}",
                    offset=last,
                    block="INDX",
                )
            gaps.append((at, segment_at))
            at = segment_at + length
        return gaps

    def _walk_gaps(self, first: int, last: int) -> None:
        """Read the ancillary blocks between the segments. Gaps must consist of whole blocks."""
        known = AncillaryBlocks(self.limits)
        unknown: list[BlockHead] = []
        extras: list[BlockHead] = []
        for at, end in self._gaps(first, last):
            while at < end:
                scanner = self._scanner(at)
                head = scanner.read_block_head()
                self._require_inside(head, end)
                known.count(head.type, head.offset)
                if head.type in KNOWN_ANCILLARY_TYPES:
                    block = scanner.read_payload(head)
                    if block.type == b"last":
                        require_at(first, block)
                    known.add(block)
                elif head.type in EXTRA_TYPES:
                    extras.append(head)
                else:
                    unknown.append(head)
                at = head.end
        self.header = known.complete(self.header)
        self.quality = known.quality
        self.metadata: Mapping[str, str] = known.metadata or {}
        self.ancillary = tuple(unknown)
        self.extras_blocks = tuple(extras)

    def segment(self, number: int) -> Segment:
        """Read and check this segment only, 0 <= number < len(index). Raises `BitstreamError`."""
        if not 0 <= number < len(self.index):
            raise IndexError(f"expected a segment of 0..{len(self.index) - 1}, found {number}")
        entry = self.index[number]
        block = self._checked_block(self._scanner(entry.offset), b"SEGM")
        segment = read_segment(block, self.limits)
        found = IndexEntry(block.offset, block.end - block.offset, segment.first_frame, segment.frame_count)
        if found != entry:
            raise Corrupt(
                f"expected the segment of the index, {entry}, found {found}",
                offset=block.offset,
                block="SEGM",
            )
        return segment

    def segments(self) -> Iterator[tuple[int, IndexEntry, Segment]]:
        """Yield every segment with its number and index entry. Raises `BitstreamError`."""
        for number, entry in enumerate(self.index):
            yield number, entry, self.segment(number)

    def locate(self, frame: int) -> tuple[int, int]:
        """Return the number of the segment with this frame, 0 <= frame < frame_count, and the frame."""
        return self.segment_number(frame), frame

    def discard(self, number: int, error: BitstreamError) -> None:
        """Raise the error: only readers that skip damage continue without a segment."""
        raise error

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """Nothing, because this reader raises an error for any damage."""
        return ()

    def extras(self, with_tracks: bool = True) -> Extras:
        """Read and check chapters, tags and, with `with_tracks`, audio and subtitles.

        Raises `BitstreamError`.
        """
        blocks = ExtrasBlocks(self.limits)
        for head in self.extras_blocks:
            if with_tracks or head.type != b"trak":
                blocks.add(self._checked_block(self._scanner(head.offset), head.type))
        return blocks.extras()

    def track_infos(self) -> tuple[tuple[TrackInfo, int], ...]:
        """Parameters of each track and the size of its block in bytes; packets are not parsed.

        Raises `BitstreamError`.
        """
        tracks = [head for head in self.extras_blocks if head.type == b"trak"]
        blocks = [self._checked_block(self._scanner(head.offset), head.type) for head in tracks]
        return tuple(
            (TrackInfo.read(block.reader(self.limits)), block.end - block.offset) for block in blocks
        )

    def segment_number(self, frame: int) -> int:
        """The number of the segment with this frame, 0 <= frame < frame_count."""
        if not 0 <= frame < self.header.frame_count:
            raise IndexError(f"expected a frame of 0..{self.header.frame_count - 1}, found {frame}")
        return bisect_right(self.index, frame, key=lambda entry: entry.first_frame) - 1

    def summary(self) -> Summary:
        """Everything read when the file was opened."""
        return Summary(
            self.version,
            self._size,
            self.header,
            self.index,
            self.quality,
            self.metadata,
            self.ancillary,
            self.extras_blocks,
        )

    def close(self) -> None:
        """Close the file if it was opened here."""
        self._file.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self._file.origin(), self.limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def probe(file: FileSource, limits: Limits = DEFAULT_LIMITS) -> Summary:
    """Return header, index, quality and metadata of a file without reading any segment."""
    with StreamReader(file, limits) as reader:
        return reader.summary()
