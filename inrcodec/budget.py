"""From what a person asks for (`--bpp`, `--size`) to the bytes a file's video may take: plain arithmetic."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitstream import Extras, Quality, Section, Segment, Stream, StreamHeader, StreamReader, dump
from bitstream.blocks import BLOCK_OVERHEAD_BYTES, encode_block
from bitstream.extras import extras_blocks
from bitstream.header import IndexEntry
from bitstream.records import record_bytes
from inrcodec import __version__
from inrcodec.checks import check_exclusive
from inrcodec.compression.sections import Arrays, encode_section
from inrcodec.models.family import STEPPED_ROLES, TensorSpec, VideoInfo
from inrcodec.settings import DEFAULT_BPP, EncodeSettings

LEAST_FILL = 0.97
"""Share of the bytes asked for that a file uses at least."""
SECTION_OVERHEAD_BYTES = 12
"""What a section's coder parameters take beside the ideal bits of its symbols, about."""

FILE_ROOM_BYTES, SEGMENT_ROOM_BYTES = 8, 16
"""How many bytes longer the numbers in a container, and of a segment, are at most in a file of many segments
than in one of its own: offsets, frames and counts take more bytes the larger they are."""

MASK_REMARK = "PSNR counts unmasked pixels only"
"""What a file says of a video whose masked pixels were left to the network."""


def target_bytes(settings: EncodeSettings, video: VideoInfo) -> int:
    """The size that the file may have: `--size`, or `--bpp` (or its default) times the pixels over eight.

    Raises `UsageError` when both are given or one is not positive.
    """
    check_exclusive(settings)
    if settings.size_bytes is not None:
        return settings.size_bytes
    bpp = DEFAULT_BPP if settings.bpp is None else settings.bpp
    return int(bpp * video.pixel_count / 8)


def stream_of(header: StreamHeader, segment: Segment, psnr_db: float, is_masked: bool = False) -> Stream:
    """A file of one segment, its PSNR (which does not change the size) and who made it."""
    return Stream(header, (segment,), Quality(psnr_db), metadata_of(is_masked))


def metadata_of(is_masked: bool) -> Mapping[str, str]:
    """Who made a file, and what its PSNR does not count."""
    metadata = {"encoder": f"inrc {__version__}"}
    if is_masked:
        metadata["mask"] = MASK_REMARK
    return metadata


def empty_segment(
    header: StreamHeader, family: int, seed: int, config: bytes, specs: Sequence[TensorSpec]
) -> Segment:
    """A segment of all frames whose sections have steps where they need them, and no symbols yet."""
    sections = tuple(Section(0, (1.0,) if spec.role in STEPPED_ROLES else (), b"") for spec in specs)
    return Segment(0, header.frame_count, family, seed, config, sections)


def overhead_bytes(header: StreamHeader, empty: Segment, is_masked: bool = False) -> int:
    """Bytes of a file of one segment, here `empty`, that are not coded symbols."""
    return len(dump(stream_of(header, empty, 0.0, is_masked))) + SECTION_OVERHEAD_BYTES * len(empty.sections)


def least_file_bytes(
    header: StreamHeader,
    empty: Segment,
    specs: Sequence[TensorSpec],
    is_masked: bool = False,
    values: Arrays | None = None,
) -> int:
    """Bytes of the smallest file of one segment, here `empty`: steps so coarse that every symbol is zero.

    Tensors that have no step are as in `values`, zeros where those do not have them.
    """
    sections = []
    for spec in specs:
        is_stepped = spec.role in STEPPED_ROLES
        given = None if values is None or is_stepped else values.get(spec.name)
        value = np.zeros(spec.shape, np.float32) if given is None else given
        sections.append(encode_section(spec, value, 1.0 if is_stepped else None))
    segment = replace(empty, sections=tuple(sections))
    return len(dump(stream_of(header, segment, 0.0, is_masked)))


def bits_per_pixel(byte_count: int, video: VideoInfo) -> float:
    """8 x bytes over the pixels of all frames."""
    return 8 * byte_count / video.pixel_count


def size_of(extras: Extras) -> int:
    """Bytes of a file that hold sound, subtitles, chapters and tags; no target counts them."""
    return sum(BLOCK_OVERHEAD_BYTES + len(payload) for _, payload in extras_blocks(extras))


class SharedBudget:
    """The bytes of a file, shared out over its segments by difficulty while they are coded one by one.

    Every segment is planned and coded as a file of its own (`target`), which has a container that the real
    file pays for only once. What a segment leaves over goes to all that follow.
    """

    def __init__(
        self,
        total_bytes: int,
        container_bytes: int,
        difficulties: Sequence[float],
        timestamp_bytes: int = 0,
    ) -> None:
        """`container_bytes` is what `container_bytes` says of the whole file without its timestamps.

        A table of timestamps takes `timestamp_bytes` more of the file, and nothing of a segment's own.
        """
        self.total_bytes, self._container_bytes = total_bytes, container_bytes
        self._difficulties = tuple(difficulties)
        self._common_bytes = container_bytes + timestamp_bytes + FILE_ROOM_BYTES
        self._left = total_bytes - self._common_bytes

    def target(self, number: int, is_first: bool = False) -> int:
        """What segment `number` may take as a file of its own, when those before it were spent.

        With `is_first` it is asked of the whole budget: a forecast, before any segment is coded.
        """
        if len(self._difficulties) == 1:
            return self.total_bytes
        share = self._difficulties[number] / sum(self._difficulties[0 if is_first else number :])
        return max(0, int(self._left * share)) + self._container_bytes - SEGMENT_ROOM_BYTES

    @property
    def first_offset(self) -> int:
        """Not before where the first segment lies in the file, about."""
        return self._common_bytes - FILE_ROOM_BYTES

    def spend(self, segment_bytes: int) -> None:
        """Count a segment that was coded: its block and its entry in the index."""
        self._left -= segment_bytes

    def total_for(self, number: int, target: int) -> int:
        """The bytes of a file in which `target` would be asked of segment `number`, were none coded yet."""
        if len(self._difficulties) == 1:
            return target
        needed = target - self._container_bytes + SEGMENT_ROOM_BYTES
        left = math.ceil(needed * sum(self._difficulties) / self._difficulties[number])
        return left + self._common_bytes


def container_bytes(header: StreamHeader, is_masked: bool) -> int:
    """Bytes of a file besides its segments and their entries in the index."""
    data = dump(stream_of(header, Segment(0, header.frame_count, 1, 0, b"", ()), 0.0, is_masked))
    (entry,) = StreamReader(io.BytesIO(data)).index
    return len(data) - entry.length - len(record_bytes(entry))


def segment_bytes(segment: Segment, offset: int) -> int:
    """Bytes of a segment's block at `offset` of a file, and of its entry in the index."""
    length = len(encode_block(b"SEGM", record_bytes(segment)))
    return length + len(record_bytes(IndexEntry(offset, length, segment.first_frame, segment.frame_count)))
