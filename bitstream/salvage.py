"""Random access to the intact part of a damaged or unfinished file."""

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
    """A `StreamReader` that skips damage; `index` lists the segments that may be intact.

    Head and STRM must be intact. Segments are found by the index or, if it is damaged or missing, block by
    block when the reader is made, which verifies every checksum. `segment(i)` still raises `BitstreamError`
    for a damaged segment; `discard(i, error)` then removes it from the segments in use. Damaged ancillary
    blocks are left out. Without TIME, frames have the constant rate of the header.

    Raises `BitstreamError` for a damaged head or STRM, as `StreamReader` does, and `UnsupportedVersion` for a
    critical block of a newer version.
    """

    def _open(self) -> None:
        self._damage = Damage(self.limits)
        self._assembly = Assembly(self.limits)
        salvage = Salvage(self._assembly, self._damage, self.limits)
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
                    fault = Corrupt("expected only segments of the index, found another", block="SEGM")
                    self._damage.add(entry.offset, b"SEGM", fault)
        self.header = self._assembly.stream_header()
        self.quality = self._assembly.ancillary.quality
        self.metadata = self._assembly.ancillary.metadata or {}
        self.ancillary = tuple(self._assembly.unknown_heads)
        self.extras_blocks = tuple(self._assembly.extras_heads)
        self._numbers = [*range(len(self.index))]
        self._held = [*self.index]

    def _intact_gaps(self, first: int) -> list[tuple[int, int]] | None:
        """The gaps between the segments of an intact index; None without such an index."""
        try:
            return self._gaps(first, self._read_index(first))
        except BitstreamError:
            return None

    def segments(self) -> Iterator[tuple[int, IndexEntry, Segment]]:
        """Yield every intact segment with its number and index entry; discard the others."""
        for number, entry in zip([*self._numbers], [*self._held], strict=True):
            try:
                segment = self.segment(number)
            except BitstreamError as error:
                self.discard(number, error)
                continue
            yield number, entry, segment

    def locate(self, frame: int) -> tuple[int, int]:
        """Return the number of the segment to show for this frame, and the frame to show.

        For a lost frame this is the last frame before it or, at the start of the video, the first one after
        it. Raises `BitstreamError` when there is no segment.
        """
        if not self._held:
            raise self._damage.first()
        place, shown = nearest_held(self._held, frame)
        return self._numbers[place], shown

    def discard(self, number: int, error: BitstreamError) -> None:
        """Continue without a segment that could not be read or decoded."""
        place = bisect_left(self._numbers, number)
        self._damage.add(self._held[place].offset, b"SEGM", error)
        del self._numbers[place], self._held[place]

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """List what was found lost of `frames`, or of all frames, and of other blocks.

        Damage of a segment is found only when it is read.
        """
        count = self.header.frame_count
        return self._damage.losses(self._held, count, range(count) if frames is None else frames)

    def extras(self, with_tracks: bool = True) -> Extras:
        """Intact chapters, tags and, with `with_tracks`, audio and subtitles."""
        extras = self._assembly.extras()
        return extras if with_tracks else replace(extras, tracks=())

    def track_infos(self) -> tuple[tuple[TrackInfo, int], ...]:
        """Parameters of each intact track and the size of its block in bytes."""
        return self._assembly.track_infos()
