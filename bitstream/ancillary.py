"""What the ancillary blocks of a file say, each checked as it comes."""

from __future__ import annotations

from dataclasses import replace

from bitstream.blocks import Block, block_name
from bitstream.errors import Corrupt, LimitExceeded, UnsupportedVersion
from bitstream.extras import Chapter, Extras, Track, read_chapters, read_metadata
from bitstream.header import Quality, is_ancillary
from bitstream.limits import Limits


class AncillaryBlocks:
    """Collects what the ancillary blocks of a file say; a known one may appear once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self.quality: Quality | None = None
        self.metadata: dict[str, str] | None = None

    def count(self, block_type: bytes, offset: int) -> None:
        """Check the type of the next ancillary block, and that there are not too many."""
        name = block_name(block_type)
        if not is_ancillary(block_type):
            raise UnsupportedVersion(
                "found a critical block of unknown type: use a newer release", offset=offset, block=name
            )
        self._count += 1
        if self._count > self._limits.max_ancillary_blocks:
            allowed = self._limits.max_ancillary_blocks
            raise LimitExceeded(
                f"expected at most {allowed} ancillary blocks, found more", offset=offset, block=name
            )

    def add(self, block: Block) -> bool:
        """Read a `qual` or `meta` block; False for an unknown type."""
        if block.type == b"qual":
            require_first(self.quality, block)
            reader = block.reader(self._limits)
            self.quality = Quality.read(reader)
            reader.expect_end()
        elif block.type == b"meta":
            require_first(self.metadata, block)
            self.metadata = read_metadata(block.reader(self._limits))
        else:
            return False
        return True


def require_first(present: object | None, block: Block) -> None:
    """Corrupt if a block of this type was there already."""
    if present is not None:
        name = block_name(block.type)
        raise Corrupt("expected one block of this type, found another", offset=block.offset, block=name)


class ExtrasBlocks:
    """Collects what the blocks of `EXTRA_TYPES` say; tags and chapters may appear once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tracks: list[Track] = []
        self._packet_count = 0
        self._chapters: tuple[Chapter, ...] | None = None
        self._tags: dict[str, str] | None = None

    def add(self, block: Block) -> None:
        """Read a block of one of `EXTRA_TYPES`; raises a `BitstreamError` for one that is not intact."""
        reader = block.reader(self._limits)
        if block.type == b"tags":
            require_first(self._tags, block)
            self._tags = read_metadata(reader)
        elif block.type == b"chap":
            require_first(self._chapters, block)
            self._chapters = read_chapters(reader)
        else:
            if len(self._tracks) >= self._limits.max_tracks:
                raise reader.fault(LimitExceeded, f"expected at most {self._limits.max_tracks} tracks")
            # The limit is one of the file: what the tracks so far have is not there for this one.
            limits = replace(self._limits, max_packets=self._limits.max_packets - self._packet_count)
            self._tracks.append(Track.read(block.reader(limits)))
            self._packet_count += len(self._tracks[-1].packets)

    def extras(self) -> Extras:
        """All that was read."""
        return Extras(tuple(self._tracks), self._chapters or (), self._tags or {})
