"""Random access to what is intact of a damaged or unfinished file."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from bitstream.assembly import Assembly
from bitstream.damage import Damage, Loss, Salvage, nearest_held
from bitstream.errors import BitstreamError, Corrupt
from bitstream.extras import Extras, TrackInfo
from bitstream.header import IndexEntry, Segment
from bitstream.reader import StreamReader


class SalvageReader(StreamReader):
    """A `StreamReader` that passes over damage; `index` lists the segments that may be intact.

    Head and STRM must be. Segments are found by the index or, where that is damaged or missing, by going
    from block to block; of the latter every checksum was verified when the reader is made. `segment(i)`
    raises `BitstreamError` for a damaged one, as ever; `discard(i, error)` then takes it out of the rest.
    Damaged ancillary blocks are left out, and without TIME frames come at the constant rate of the header.

    Raises `BitstreamError` as `StreamReader` does for head and STRM, and `UnsupportedVersion` for a critical
    block of a newer version.
    """

    def _open(self) -> None:
        self._damage = Damage(self._limits)
        self._assembly = Assembly(self._limits)
        salvage = Salvage(self._assembly, self._damage, self._limits)
        scanner = self._scanner(0)
        self.version = scanner.read_head()
        block = self._checked_block(scanner, b"STRM")
        self._assembly.add(block)
        self.header = self._assembly.stream_header()
        gaps = self._intact_gaps(block.end)
        if gaps is None:
            for _ in salvage.segments(self._scanner(block.end), self._size, until_tail=True):
                pass
            self.index = tuple(self._assembly.entries)
        else:
            for start, end in gaps:
                for entry, _ in salvage.segments(self._scanner(start), end, until_tail=False):
                    fault = Corrupt("expected the segments of the index, found another", block="SEGM")
                    self._damage.add(entry.offset, b"SEGM", fault)
        self.header = self._assembly.stream_header()
        self.quality = self._assembly.ancillary.quality
        self.metadata = self._assembly.ancillary.metadata or {}
        self.ancillary = tuple(self._assembly.unknown_heads)
        self.extras_blocks = tuple(self._assembly.extras_heads)
        self._numbers = [*range(len(self.index))]
        self._held = [*self.index]

    def _intact_gaps(self, first: int) -> list[tuple[int, int]] | None:
        """What lies between the segments of an intact index; None where there is no such index."""
        try:
            return self._gaps(first, self._read_index(first))
        except BitstreamError:
            return None

    def segments(self) -> Iterator[tuple[int, IndexEntry, Segment]]:
        """Every intact segment in turn, with its number and where it lies; others are discarded."""
        for number, entry in zip([*self._numbers], [*self._held], strict=True):
            try:
                segment = self.segment(number)
            except BitstreamError as error:
                self.discard(number, error)
                continue
            yield number, entry, segment

    def locate(self, frame: int) -> tuple[int, int]:
        """The number of the segment that shows this frame, and the frame of it.

        For a frame that no segment holds it is the last frame before it, or the first one after it at the
        start of the video. Raises `BitstreamError` when there is no segment.
        """
        if not self._held:
            raise self._damage.first()
        place, shown = nearest_held(self._held, frame)
        return self._numbers[place], shown

    def discard(self, number: int, error: BitstreamError) -> None:
        """Go on without a segment that could not be read or decoded."""
        place = bisect_left(self._numbers, number)
        self._damage.add(self._held[place].offset, b"SEGM", error)
        del self._numbers[place], self._held[place]

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """What was lost of `frames`, or of all: what was found so far, as segments are read when needed."""
        count = self.header.frame_count
        return self._damage.losses(self._held, count, range(count) if frames is None else frames)

    def extras(self, with_tracks: bool = True) -> Extras:
        """Sound and subtitles, if wanted, chapters and tags whose blocks are intact."""
        extras = self._assembly.extras()
        return extras if with_tracks else replace(extras, tracks=())

    def track_infos(self) -> tuple[tuple[TrackInfo, int], ...]:
        """What each intact track is and its block's bytes."""
        return self._assembly.track_infos()
