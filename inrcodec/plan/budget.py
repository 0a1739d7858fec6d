"""Computes the bytes for the video of a file from the requested size (`--bpp`, `--size`)."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from bitstream import Extras, Quality, Section, Segment, Stream, StreamHeader, StreamReader, dump
from bitstream.blocks import BLOCK_OVERHEAD_BYTES, encode_block
from bitstream.coders import encode_smallest
from bitstream.header import IndexEntry
from bitstream.records import record_bytes
from bitstream.timestamps import Timed, duration
from inrcodec.coding.sections import Arrays, encode_section
from inrcodec.models.family import STEPPED_ROLES, TensorSpec, VideoInfo
from inrcodec.settings.encode import DEFAULT_BPP, EncodeSettings
from inrcodec.version import __version__

LEAST_FILL = 0.97
"""Minimum fraction of the target bytes that a file uses."""
AIMED_FILL = 0.99
"""Fraction of its bytes that a fit aims at, because the overhead of coders is not known exactly."""
Short = Literal["time", "model", "weight_bits"]
"""Why a file uses less than `LEAST_FILL`: time ran out, the model cannot use more, or `--weight-bits`."""
AIMED_FILL_OF_GRIDS = 0.983
"""The same for networks with grids: their fits end about 2 % above their aim, of which the coder saves 1.5 %.
Files that were too large for it lost up to 0.08 dB by coarser steps."""
SECTION_OVERHEAD_BYTES = 12
"""Approximate size of a section's coder parameters, beyond the ideal bits of its symbols."""

FILE_ROOM_BYTES = 8
"""Upper bound on what a container's numbers take beyond `container_bytes`: the segment count, the length of
the index, a coded size larger than the frame."""

MASK_REMARK = "PSNR counts unmasked pixels only"
"""Metadata of a file whose masked pixels were left to the network."""


def target_bytes(settings: EncodeSettings, video: VideoInfo) -> int:
    """Maximum bytes of the file: `--size`, or `--bpp` (or its default) times the pixels, divided by 8.

    For `--psnr` and `--vmaf`, see `quality_search`.
    """
    if settings.size_bytes is not None:
        return settings.size_bytes
    bpp = DEFAULT_BPP if settings.bpp is None else settings.bpp
    return int(bpp * video.pixel_count / 8)


def with_size(settings: EncodeSettings, video: Timed) -> EncodeSettings:
    """The settings with the size of a file in place of a bitrate."""
    if settings.bitrate is None:
        return settings
    size_bytes = max(1, int(settings.bitrate * float(duration(video)) / 8))
    return replace(settings, bitrate=None, size_bytes=size_bytes)


def stream_of(header: StreamHeader, segment: Segment, psnr_db: float, is_masked: bool = False) -> Stream:
    """A file of one segment, with its PSNR, which does not affect the size, and its metadata."""
    return Stream(header, (segment,), Quality(psnr_db), metadata_of(is_masked))


def metadata_of(is_masked: bool) -> Mapping[str, str]:
    """Metadata of a file: its encoder and, for a mask, a remark on the PSNR."""
    metadata = {"encoder": f"inrc {__version__}"}
    if is_masked:
        metadata["mask"] = MASK_REMARK
    return metadata


def empty_segment(
    header: StreamHeader, family: int, seed: int, config: bytes, specs: Sequence[TensorSpec]
) -> Segment:
    """A segment of all frames whose sections have quantisation steps, where needed, but no symbols."""
    sections = tuple(Section(0, (1.0,) if spec.role in STEPPED_ROLES else (), b"") for spec in specs)
    return Segment(0, header.frame_count, family, seed, config, sections)


def overhead_bytes(header: StreamHeader, empty: Segment, is_masked: bool = False) -> int:
    """Bytes of a file of one segment, given as `empty`, that are not coded symbols."""
    return len(dump(stream_of(header, empty, 0.0, is_masked))) + SECTION_OVERHEAD_BYTES * len(empty.sections)


def least_file_bytes(
    header: StreamHeader,
    empty: Segment,
    specs: Sequence[TensorSpec],
    is_masked: bool = False,
    values: Arrays | None = None,
) -> int:
    """Bytes of the smallest file of one segment, given as `empty`: every symbol is quantised to zero.

    Tensors without a quantisation step have the values in `values`, or else zeros.
    """
    sections = []
    for spec in specs:
        is_stepped = spec.role in STEPPED_ROLES
        given = None if values is None or is_stepped else values.get(spec.name)
        if given is None:
            sections.append(_section_of_zeros(spec.count, is_stepped))
        else:
            sections.append(encode_section(spec, given, None))
    segment = replace(empty, sections=tuple(sections))
    return len(dump(stream_of(header, segment, 0.0, is_masked)))


def _section_of_zeros(count: int, is_stepped: bool) -> Section:
    """The section of a tensor of `count` zeros; its coder stores a range without width, whatever the count.

    The latents of a video are as many as its pixels, so that coding them all takes seconds.
    """
    coder, payload = encode_smallest(np.zeros((1, min(1, count)), np.int32))
    return Section(coder, (1.0,) if is_stepped else (), payload)


def bits_per_pixel(byte_count: int, video: VideoInfo) -> float:
    """Bits per pixel over all frames."""
    return 8 * byte_count / video.pixel_count


def size_of(extras: Extras) -> int:
    """Bytes of audio, subtitles, chapters and tags in a file; no target counts them."""
    return sum(BLOCK_OVERHEAD_BYTES + size for size in extras.payload_sizes)


class SharedBudget:
    """Divides the bytes of a file among its segments by difficulty, before any of them is fitted.

    Every segment is planned and coded as a separate file (`target`), with a container that the real file
    contains only once. No share depends on the size of another segment, so segments may be coded in any
    order, or in parallel, and give the same file.
    """

    def __init__(
        self,
        total_bytes: int,
        header: StreamHeader,
        runs: Sequence[range],
        difficulties: Sequence[float],
        is_masked: bool = False,
    ) -> None:
        """`runs` are each segment's frames; `header` is the file's, and but for frames each segment's too."""
        self.total_bytes, self._runs, self._is_masked = total_bytes, tuple(runs), is_masked
        self._header = replace(header, timestamps=None, last_duration=None, part=None)
        self._shares = [one / math.fsum(difficulties) for one in difficulties]
        self._common_bytes = container_bytes(header, is_masked) + FILE_ROOM_BYTES

    def target(self, number: int) -> int:
        """Maximum bytes of segment `number` as a separate file."""
        if len(self._runs) == 1:
            return self.total_bytes
        return self._share_bytes(number) + self._own_bytes(number)

    def filled(self, number: int) -> int:
        """Minimum bytes of segment `number` as a separate file that make the whole `LEAST_FILL` full."""
        if len(self._runs) == 1:
            return math.ceil(LEAST_FILL * self.total_bytes)
        # Shares are rounded down, and `FILE_ROOM_BYTES` of the file may stay unused.
        rounding = 1 + FILE_ROOM_BYTES / len(self._runs)
        least = LEAST_FILL * self._share_bytes(number) + rounding + self._container_bytes(number)
        return min(self.target(number), math.ceil(least))

    def total_for(self, number: int, target: int) -> int:
        """Bytes of the smallest whole file in which segment `number` gets `target` bytes."""
        if len(self._runs) == 1:
            return target
        needed = target - self._own_bytes(number)
        return math.ceil(needed / self._shares[number]) + self._common_bytes

    def _share_bytes(self, number: int) -> int:
        """Maximum bytes of segment `number` in the whole file: its block and its entry in the index."""
        return max(0, int((self.total_bytes - self._common_bytes) * self._shares[number]))

    def _own_bytes(self, number: int) -> int:
        """Bytes that segment `number` may take in addition as a separate file: a container, less its room."""
        return self._container_bytes(number) - self._room_bytes(number)

    def _container_bytes(self, number: int) -> int:
        """Bytes outside the segment in a separate file of segment `number`."""
        return container_bytes(replace(self._header, frame_count=len(self._runs[number])), self._is_masked)

    def _room_bytes(self, number: int) -> int:
        """Extra bytes of the segment's numbers at the end of the whole file, compared with a separate one."""
        run = self._runs[number]
        empty = Segment(0, len(run), 1, 0, b"", ())
        last = segment_bytes(replace(empty, first_frame=run.start), self.total_bytes)
        return last - segment_bytes(empty, 0)


def container_bytes(header: StreamHeader, is_masked: bool) -> int:
    """Bytes of a file other than its segments and their entries in the index."""
    data = dump(stream_of(header, Segment(0, header.frame_count, 1, 0, b"", ()), 0.0, is_masked))
    (entry,) = StreamReader(io.BytesIO(data)).index
    return len(data) - entry.length - len(record_bytes(entry))


def segment_bytes(segment: Segment, offset: int) -> int:
    """Bytes of a segment's block at `offset` in a file, plus its entry in the index."""
    length = len(encode_block(b"SEGM", record_bytes(segment)))
    return length + len(record_bytes(IndexEntry(offset, length, segment.first_frame, segment.frame_count)))
