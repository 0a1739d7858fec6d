"""Parsing and checks of the ancillary blocks of a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from bitstream.blocks import Block, block_name
from bitstream.errors import Corrupt, UnsupportedVersion
from bitstream.extras import Chapter, Extras, Padding, Track, read_chapters, read_metadata, read_paddings
from bitstream.header import Quality, SourcePart, StreamHeader, is_ancillary
from bitstream.light import ContentLight, MasteringDisplay
from bitstream.limits import Limits
from bitstream.records import Record
from bitstream.timestamps import read_last

AnyRecord = TypeVar("AnyRecord", bound=Record)


class AncillaryBlocks:
    """Collects the contents of the ancillary blocks of a file. A known type may appear once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self.quality: Quality | None = None
        self.metadata: dict[str, str] | None = None
        self.last_duration: int | None = None
        self.part: SourcePart | None = None
        self.mastering_display: MasteringDisplay | None = None
        self.content_light: ContentLight | None = None

    def count(self, block_type: bytes, offset: int) -> None:
        """Count the next block. Raises UnsupportedVersion for a critical type, LimitExceeded for too many."""
        name = block_name(block_type)
        if not is_ancillary(block_type):
            raise UnsupportedVersion(
                "found a critical block of unknown type: use a newer release", offset=offset, block=name
            )
        self._count += 1
        self._limits.check("max_ancillary_blocks", self._count, offset=offset, block=name)

    def add(self, block: Block) -> bool:
        """Read a block of `KNOWN_ANCILLARY_TYPES` and return True; return False for any other type."""
        if block.type == b"qual":
            self.quality = self._record(Quality, self.quality, block)
        elif block.type == b"meta":
            require_first(self.metadata, block)
            self.metadata = read_metadata(block.reader(self._limits))
        elif block.type == b"last":
            require_first(self.last_duration, block)
            self.last_duration = read_last(block, self._limits)
        elif block.type == b"part":
            self.part = self._record(SourcePart, self.part, block)
        elif block.type == b"mdcv":
            self.mastering_display = self._record(MasteringDisplay, self.mastering_display, block)
        elif block.type == b"clli":
            self.content_light = self._record(ContentLight, self.content_light, block)
        else:
            return False
        return True

    def _record(self, kind: type[AnyRecord], present: AnyRecord | None, block: Block) -> AnyRecord:
        """The record that is the whole payload of a block."""
        require_first(present, block)
        reader = block.reader(self._limits)
        found = kind.read(reader)
        reader.expect_end()
        return found

    def complete(self, header: StreamHeader) -> StreamHeader:
        """The header with the values that ancillary blocks store."""
        return replace(
            header,
            last_duration=self.last_duration,
            part=self.part,
            mastering_display=self.mastering_display,
            content_light=self.content_light,
        )


def require_first(present: object | None, block: Block) -> None:
    """Raise Corrupt if a block of this type was read before."""
    if present is not None:
        name = block_name(block.type)
        raise Corrupt("expected one block of this type, found a second one", offset=block.offset, block=name)


class ExtrasBlocks:
    """Collects the contents of blocks of `EXTRA_TYPES`. All but tracks may appear once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tracks: list[Track] = []
        self._packet_count = 0
        self._chapters: tuple[Chapter, ...] | None = None
        self._tags: dict[str, str] | None = None
        self._video_tags: dict[str, str] | None = None
        self._paddings: tuple[Padding, ...] | None = None

    def add(self, block: Block) -> None:
        """Read a block of one of `EXTRA_TYPES`. Raises `BitstreamError` if it is not intact."""
        reader = block.reader(self._limits)
        if block.type == b"tags":
            require_first(self._tags, block)
            self._tags = read_metadata(reader)
        elif block.type == b"chap":
            require_first(self._chapters, block)
            self._chapters = read_chapters(reader)
        elif block.type == b"vtag":
            require_first(self._video_tags, block)
            self._video_tags = read_metadata(reader)
        elif block.type == b"pads":
            require_first(self._paddings, block)
            self._paddings = read_paddings(reader)
        else:
            reader.check_limit("max_tracks", len(self._tracks) + 1)
            self._tracks.append(Track.read(reader, self._packet_count))
            self._packet_count += len(self._tracks[-1].packets)

    def extras(self) -> Extras:
        """Everything read so far."""
        tracks, paddings = self._tracks, self._paddings or ()
        # In a damaged file tracks may be missing, and the others cannot be told apart.
        if len(paddings) == len(tracks):
            tracks = [replace(track, padding=one) for track, one in zip(tracks, paddings, strict=True)]
        return Extras(tuple(tracks), self._chapters or (), self._tags or {}, self._video_tags or {})
