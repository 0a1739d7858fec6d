"""Reading of damaged or unfinished files, block by block, with a record of the losses."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bitstream.assembly import Assembly
from bitstream.blocks import Block, BlockScanner, block_name
from bitstream.errors import BitstreamError, Corrupt, Truncated, UnsupportedVersion
from bitstream.header import IndexEntry, Segment
from bitstream.limits import Limits

_CONTENTS = {
    b"TIME": "the frame timestamps (frames now have a constant rate)",
    b"SEGM": None,
    b"INDX": "the index",
    b"TAIL": "the index",
    b"qual": "the measured quality",
    b"meta": "the metadata",
    b"last": "the duration of the last frame",
    b"part": "the part of the source",
    b"mdcv": "the mastering display",
    b"clli": "the light levels",
    b"tags": "the tags",
    b"chap": "the chapters",
    b"vtag": "the tags of the video",
    b"trak": "an audio or subtitle track",
    b"pads": "the padding of the audio",
}
"""Text of a loss by block type. A lost segment is reported by its frames instead."""
_MOST_REASONS = 3
"""Maximum number of reasons in the text of a loss."""
_THE_REST = "the rest of the file: audio, chapters, tags"


@dataclass(frozen=True)
class Loss:
    """A damaged or missing part of a file."""

    what: str
    reason: BitstreamError
    frames: range | None = None
    """The lost run of frames; None for any other loss."""
    others: tuple[BitstreamError, ...] = ()
    """Further reasons, if the frames were in several blocks."""

    def __str__(self) -> str:
        told = (self.reason, *self.others[: _MOST_REASONS - 1])
        more = 1 + len(self.others) - len(told)
        return f"{self.what}: {'; '.join(map(str, told))}" + (f"; and {more} more" if more else "")


def frames_text(frames: range) -> str:
    """A run of frames as text for reports."""
    one = len(frames) == 1
    return f"frame {frames.start}" if one else f"frames {frames.start} to {frames.stop - 1}"


def nearest_held(held: Sequence[IndexEntry], frame: int) -> tuple[int, int]:
    """Return the position in `held` of the segment to show for `frame`, and the frame to show.

    `held` is ascending and not empty. In a gap, the last frame before the gap is shown; before the first
    segment, the first frame of that segment.
    """
    place = max(0, bisect_right(held, frame, key=lambda entry: entry.first_frame) - 1)
    entry = held[place]
    return place, min(max(frame, entry.first_frame), entry.first_frame + entry.frame_count - 1)


class Damage:
    """Collects the faults of a file that is read despite them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._faults: dict[int, tuple[str | None, BitstreamError]] = {}

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, offset: int, block_type: bytes, error: BitstreamError) -> None:
        """Note that the block at this offset cannot be used. Raises LimitExceeded after too many."""
        self._limits.check("max_segments", len(self._faults) + 1, offset=offset, block=block_name(block_type))
        what = _CONTENTS.get(block_type, f"a block of type {block_name(block_type)}")
        self._faults.setdefault(offset, (what, error))

    def end(self, offset: int, error: BitstreamError) -> None:
        """Note that no more blocks can be found from this offset on."""
        self._faults.setdefault(offset, (_THE_REST, error))

    def first(self) -> BitstreamError:
        """The fault nearest to the start of the file."""
        return self._reasons(sorted(self._faults))[0]

    def losses(self, held: Sequence[IndexEntry], frame_count: int, frames: range) -> tuple[Loss, ...]:
        """List the runs of `frames` that no segment of `held` (ascending) contains, then all other losses."""
        losses = []
        offsets = sorted(self._faults)
        told: set[int] = set()
        start, offset = 0, 0
        for entry in (*held, None):
            stop, end = (frame_count, None) if entry is None else (entry.first_frame, entry.offset)
            if start < stop:
                to = None if end is None else bisect_left(offsets, end)
                between = offsets[bisect_left(offsets, offset) : to]
                gap = range(max(start, frames.start), min(stop, frames.stop))
                if gap:
                    reason, *others = self._reasons(between)
                    losses.append(Loss(frames_text(gap), reason, gap, tuple(others)))
                told.update(at for at in between if self._faults[at][0] is None)
            if entry is not None:
                start, offset = entry.first_frame + entry.frame_count, entry.offset + entry.length
        for at in offsets:
            what, error = self._faults[at]
            if at not in told:
                losses.append(Loss(what or "a segment that does not fit between the others", error))
        return tuple(losses)

    def _reasons(self, offsets: Sequence[int]) -> list[BitstreamError]:
        """The faults that may explain missing segments, from those at `offsets` (ascending).

        These are faults of segments or of unreadable data; without any, the first fault of another block.
        """
        if not offsets:
            return [Corrupt("expected a segment with these frames, found none", block="SEGM")]
        may_be = [self._faults[at][1] for at in offsets if self._faults[at][0] in (None, _THE_REST)]
        return may_be or [self._faults[offsets[0]][1]]


class Salvage:
    """Reads blocks forward and takes the intact ones; every fault goes to `damage`.

    A block whose checksum fails is skipped by its length. Where no block can begin, everything that follows
    is lost. Raises `UnsupportedVersion` for an intact critical block that only a newer reader knows.
    """

    def __init__(self, assembly: Assembly, damage: Damage, limits: Limits) -> None:
        self._assembly = assembly
        self._damage = damage
        self._limits = limits

    def segments(
        self, scanner: BlockScanner, end: int | None, until_tail: bool
    ) -> Iterator[tuple[IndexEntry, Segment]]:
        """Yield the intact segments with their index entries; other blocks go to the assembly.

        It reads up to TAIL or, without `until_tail`, up to the offset `end`. No block may end beyond `end`.
        """
        for block in self._blocks(scanner, end, until_tail):
            segment = self._take(block)
            if segment is not None:
                yield self._assembly.entries[-1], segment

    def _blocks(self, scanner: BlockScanner, end: int | None, until_tail: bool) -> Iterator[Block]:
        while until_tail or end is None or scanner.offset < end:
            offset = scanner.offset
            try:
                head = scanner.read_block_head()
                if end is not None and head.end > end:
                    raise Truncated(
                        f"expected a block that ends by {end}, found one that ends at {head.end}",
                        offset=offset,
                        block=block_name(head.type),
                    )
            except BitstreamError as error:
                self._damage.end(offset, error)
                return
            try:
                block = scanner.read_payload(head)
            except Truncated as error:
                self._damage.end(offset, error)
                return
            except BitstreamError as error:
                self._damage.add(offset, head.type, error)
                continue
            yield block
            if block.type == b"TAIL":
                try:
                    scanner.expect_end()
                except BitstreamError as error:
                    self._damage.add(block.end, b"TAIL", error)
                return

    def _take(self, block: Block) -> Segment | None:
        # The index also lists lost segments, so it cannot agree with the remaining ones.
        if self._damage and block.type in (b"INDX", b"TAIL"):
            return None
        try:
            return self._assembly.add(block)
        except UnsupportedVersion:
            raise
        except BitstreamError as error:
            self._damage.add(block.offset, block.type, error)
            return None
