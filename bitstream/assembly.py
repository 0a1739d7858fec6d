"""Checks of the order of blocks, of the index, and of the values that must agree."""

from __future__ import annotations

from bitstream.ancillary import AncillaryBlocks, ExtrasBlocks
from bitstream.blocks import Block, BlockHead, block_name
from bitstream.errors import Corrupt
from bitstream.extras import EXTRA_TYPES, Extras, TrackInfo
from bitstream.header import (
    KNOWN_ANCILLARY_TYPES,
    Index,
    IndexEntry,
    Segment,
    StreamHeader,
    is_ancillary,
    read_stream_header,
    tiling_fault,
)
from bitstream.limits import Limits
from bitstream.timestamps import with_times


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
    """Parse the payload of a TAIL block: the offset of INDX."""
    reader = block.reader(limits)
    offset = reader.u64()
    reader.expect_end()
    return offset


def require_at(offset: int | None, block: Block) -> None:
    """Raise Corrupt unless the block begins where STRM, or TIME before it, ended."""
    if block.offset != offset:
        name = block_name(block.type)
        raise Corrupt(f"expected {name} right after STRM and only there", offset=block.offset, block=name)


class Assembly:
    """Takes the blocks of a file in order, checks that they agree, and keeps everything but the segments.

    A block that `add` refuses changes nothing, so a reader of damaged files may continue with the next one.
    Segments must come in ascending order. `finish` checks that they leave no gap.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._extras = ExtrasBlocks(limits)
        self._times_at: int | None = None
        self._last_at: int | None = None
        self._index: Block | None = None
        self.header: StreamHeader | None = None
        self.entries: list[IndexEntry] = []
        """Index entries of the segments so far."""
        self.ancillary = AncillaryBlocks(limits)
        self.unknown_heads: list[BlockHead] = []
        """Blocks of unknown ancillary types; their payloads are not kept."""
        self.extras_heads: list[BlockHead] = []

    @staticmethod
    def is_unknown(block_type: bytes) -> bool:
        """Whether this is an ancillary type that this reader does not know."""
        return is_ancillary(block_type) and block_type not in (*KNOWN_ANCILLARY_TYPES, *EXTRA_TYPES)

    def add(self, block: Block) -> Segment | None:
        """Take the next block of the file. Returns the segment of a SEGM block, else None."""
        if (self.header is None) != (block.type == b"STRM"):
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
            self.header = read_stream_header(block.reader(self._limits))
            self._times_at = self._last_at = block.end
        elif block.type == b"TIME":
            self._add_times(block)
        elif block.type == b"SEGM":
            return self._add_segment(block)
        elif block.type == b"INDX":
            self._add_index(block)
        elif block.type == b"TAIL":
            self._check_tail(block)
        else:
            self._add_ancillary(block)
        return None

    def _add_times(self, block: Block) -> None:
        require_at(self._times_at, block)
        self.header = with_times(self.stream_header(), block, self._limits)
        self._last_at = block.end

    def _add_segment(self, block: Block) -> Segment:
        self._limits.check("max_segments", len(self.entries) + 1, offset=block.offset, block="SEGM")
        segment = read_segment(block, self._limits)
        first, stop = segment.first_frame, segment.first_frame + segment.frame_count
        least = self.entries[-1].first_frame + self.entries[-1].frame_count if self.entries else 0
        most = 0 if self.header is None else self.header.frame_count
        if first < least or stop > most:
            raise Corrupt(
                f"expected frames within {least}..{most - 1}, found {first}..{stop - 1}",
                offset=block.offset,
                block="SEGM",
            )
        self.entries.append(IndexEntry(block.offset, block.end - block.offset, first, segment.frame_count))
        return segment

    def _add_ancillary(self, block: Block) -> None:
        self.ancillary.count(block.type, block.offset)
        if block.type == b"last":
            require_at(self._last_at, block)
        head = BlockHead(block.type, block.offset, len(block.payload))
        if block.type in EXTRA_TYPES:
            self._extras.add(block)
            self.extras_heads.append(head)
        elif not self.ancillary.add(block):
            self.unknown_heads.append(head)
        elif self.header is not None:
            self.header = self.ancillary.complete(self.header)

    def _add_index(self, block: Block) -> None:
        if read_index(block, self._limits).entries != tuple(self.entries):
            raise Corrupt(
                "expected an index of the segments before it, found a different one",
                offset=block.offset,
                block="INDX",
            )
        self._index = block

    def _check_tail(self, block: Block) -> None:
        expected = -1 if self._index is None else self._index.offset
        found = read_tail(block, self._limits)
        if found != expected:
            raise Corrupt(
                f"expected the offset of INDX, {expected}, found {found}", offset=block.offset, block="TAIL"
            )

    def finish(self) -> StreamHeader:
        """Return the header. Raises Corrupt if blocks are missing or the segments do not tile the frames."""
        if self.header is None or self._index is None:
            raise Corrupt("expected STRM, SEGM, INDX and TAIL blocks, found one missing")
        runs = [(entry.first_frame, entry.frame_count) for entry in self.entries]
        fault = tiling_fault(runs, self.header.frame_count)
        if fault is not None:
            raise Corrupt(fault, offset=self._index.offset, block="INDX")
        return self.header

    def stream_header(self) -> StreamHeader:
        """Return the header, with timestamps once TIME was added. Raises Corrupt before STRM."""
        if self.header is None:
            raise Corrupt("expected STRM, found none")
        return self.header

    def extras(self) -> Extras:
        """Audio, subtitles, chapters and tags so far."""
        return self._extras.extras()

    def track_infos(self) -> tuple[tuple[TrackInfo, int], ...]:
        """Parameters of each track and the size of its block in bytes."""
        heads = [head for head in self.extras_heads if head.type == b"trak"]
        tracks = self._extras.extras().tracks
        return tuple((track.info, head.end - head.offset) for track, head in zip(tracks, heads, strict=True))
