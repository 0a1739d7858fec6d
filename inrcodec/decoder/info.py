"""Reports on what an .inrv file contains and whether all of it is intact.

Never imports torch, and NumPy only to decode symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from bitstream import DEFAULT_LIMITS, BitstreamError, Limits, Loss, StreamHeader, TrackInfo, TrackKind
from bitstream.coder_ids import coder_name
from bitstream.positions import FileSource
from bitstream.timestamps import duration
from inrcodec.coding.opened_segment import OpenedSegment, open_segment, open_stream, salvage_advised
from inrcodec.coding.stream_source import name_of
from inrcodec.models.registry import package_of

if TYPE_CHECKING:
    from inrcodec.coding.grid_bits import LevelBits
    from inrcodec.decoder.detail import Detail

_STEP_BYTES = 4


@dataclass(frozen=True)
class SectionReport:
    """One transmitted tensor."""

    name: str
    role: str
    shape: tuple[int, ...]
    coder: str
    bits: int
    """Bits of the payload and the quantisation steps."""


@dataclass(frozen=True)
class SegmentReport:
    """One run of frames and its network."""

    first_frame: int
    frame_count: int
    family: str
    package: str | None
    """Name and version of the package that registers the family; None for the families of inrc."""
    seed: int
    parameter_count: int
    """Transmitted values, embeddings included."""
    sections: tuple[SectionReport, ...]
    overhead_bits: int
    """Bits of the segment's block outside its sections: lengths, config, checksum."""


@dataclass(frozen=True)
class TrackReport:
    """One audio or subtitle stream."""

    kind: str
    """`audio` or `subtitle`."""
    codec: str
    language: str | None
    sample_rate: int
    """Hz; 0 for subtitles."""
    layout: str
    """Channel layout; empty for subtitles."""
    bits: int
    """Bits of the track's block."""


@dataclass(frozen=True)
class FileReport:
    """A whole file."""

    path: str
    """`<bytes>` or `<file>` if it was read from one without a name."""
    file_bytes: int
    format_version: str
    header: StreamHeader
    psnr_db: float | None
    """PSNR that the encoder measured on the decoded file; None if it stored none."""
    metadata: dict[str, str]
    segments: tuple[SegmentReport, ...]
    tracks: tuple[TrackReport, ...] = ()
    extras_bytes: int = 0
    """Bytes of audio, subtitles, chapters and tags."""
    lost: tuple[Loss, ...] = ()
    """Parts that a damaged file has lost; the rest of the report covers the intact parts."""
    detail: Detail | None = None
    """Bits by level and kind, if they were asked for and all segments are of `inrc`."""

    @property
    def bpp(self) -> float:
        """Bits per pixel of the video, extras excluded."""
        pixels = self.header.width * self.header.height * self.header.frame_count
        return 8 * (self.file_bytes - self.extras_bytes) / pixels

    @property
    def container_bits(self) -> int:
        """Bits outside the segments and the extras: head, stream header, times, index, metadata."""
        return 8 * (self.file_bytes - self.extras_bytes) - sum(
            segment.overhead_bits + sum(section.bits for section in segment.sections)
            for segment in self.segments
        )

    @property
    def extra_rows(self) -> list[tuple[str, int]]:
        """Name and bits of each track, and of chapters and tags together, if there are any."""
        rows = []
        for track in self.tracks:
            rate = f"{track.sample_rate} Hz" if track.sample_rate else None
            about = (track.kind, track.codec, track.language, track.layout, rate)
            rows.append((" ".join(filter(None, about)), track.bits))
        rest = 8 * self.extras_bytes - sum(bits for _, bits in rows)
        return [*rows, ("chapters and tags", rest)] if rest else rows

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON; the frame rate is given as a float and, exactly, as text."""
        header = self.header
        return {
            "path": self.path,
            "file_bytes": self.file_bytes,
            "format_version": self.format_version,
            "family": self.segments[0].family,
            "seed": self.segments[0].seed,
            "width": header.width,
            "height": header.height,
            "coded_width": header.coded_width,
            "coded_height": header.coded_height,
            "frames": header.frame_count,
            "fps": float(header.frame_rate),
            "frame_rate": str(header.frame_rate),
            "time_base": str(header.time_base),
            "has_timestamps": header.timestamps is not None,
            "duration": float(duration(header)),
            "sample_aspect_ratio": str(header.sample_aspect_ratio),
            "rotation": header.rotation,
            "bit_depth": header.bit_depth,
            "color": asdict(header.color),
            "mastering_display": header.mastering_display and asdict(header.mastering_display),
            "content_light": header.content_light and asdict(header.content_light),
            "bpp": self.bpp,
            # JSON has no infinity.
            "psnr_db": self.psnr_db if self.psnr_db is None or math.isfinite(self.psnr_db) else None,
            "metadata": self.metadata,
            "container_bits": self.container_bits,
            "extras_bytes": self.extras_bytes,
            "tracks": [asdict(track) for track in self.tracks],
            "segments": [asdict(segment) for segment in self.segments],
            "lost": [str(loss) for loss in self.lost],
            "detail": None if self.detail is None else self.detail.as_dict(),
        }


def inspect(
    source: FileSource,
    skip_damaged: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    detail: bool = False,
) -> FileReport:
    """Read the header of every segment and check its checksum, without decoding symbols.

    The source is a path (`-` is standard input), the bytes of a file, or a binary file object. With `detail`
    the symbols of `inrc` are decoded, and the report says where their bits are.
    Raises `UsageError` for a missing file and `BitstreamError` for anything but an intact `.inrv` within the
    `limits`; with `skip_damaged` only if no segment is intact.
    """
    with salvage_advised(source, skip_damaged, limits):
        return _report(source, limits, False, skip_damaged, detail)


def verify(source: FileSource, limits: Limits = DEFAULT_LIMITS) -> FileReport:
    """Do the same as `inspect`, and also check every block's checksum and decode every section's symbols.

    Raises as `inspect` does; a file that passes decodes on every machine that has the memory.
    """
    return _report(source, limits, decode_symbols=True)


def _report(
    source: FileSource,
    limits: Limits,
    decode_symbols: bool,
    skip_damaged: bool = False,
    detail: bool = False,
) -> FileReport:
    # Reading by the index would skip blocks of unknown type; reading from front to end checks every byte.
    with open_stream(source, skip_damaged, forward=decode_symbols, limits=limits) as reader:
        segments: list[SegmentReport] = []
        levels: list[tuple[LevelBits, ...] | None] = []
        for number, entry, segment in reader.segments():
            try:
                opened = open_segment(segment, reader.header, limits)
                if decode_symbols:
                    _decode_symbols(opened)
                levels.append(_level_bits(opened) if detail else None)
            except BitstreamError as error:
                reader.discard(number, error)
                continue
            segments.append(_segment_report(opened, 8 * entry.length))
        if not segments:
            reader.locate(0)  # raises what was wrong with them
        summary = reader.summary()
        tracks = tuple(_track_report(info, size) for info, size in reader.track_infos())
        lost = reader.losses()
    quality = summary.quality
    known = [one for one in levels if one is not None]
    video_bits = 8 * (summary.file_bytes - summary.extras_bytes)
    return FileReport(
        path=name_of(source),
        file_bytes=summary.file_bytes,
        format_version=f"{summary.version.major}.{summary.version.minor}",
        header=summary.header,
        psnr_db=None if quality is None else quality.psnr_db,
        metadata=dict(summary.metadata),
        segments=tuple(segments),
        tracks=tracks,
        extras_bytes=summary.extras_bytes,
        lost=lost,
        detail=_detail(segments, known, video_bits) if len(known) == len(segments) else None,
    )


def _decode_symbols(opened: OpenedSegment) -> None:
    """Decode all sections; raises `BitstreamError` if the symbols of one are not intact."""
    # Imported here, because it loads NumPy, which a report on the headers does not need.
    from inrcodec.coding.grid_sections import segment_tensors

    segment_tensors(opened)


def _level_bits(opened: OpenedSegment) -> tuple[LevelBits, ...] | None:
    """The bits of each level of an `inrc` segment, None for other families; raises as `_decode_symbols`."""
    if not opened.family.has_contexts:
        return None
    from inrcodec.coding.grid_bits import level_bits

    return level_bits(opened)


def _detail(
    segments: Sequence[SegmentReport], levels: Sequence[tuple[LevelBits, ...]], video_bits: int
) -> Detail:
    """The detail of a file whose segments are all of `inrc`."""
    from inrcodec.decoder.detail import detail_of

    def bits_of(start: str) -> int:
        sections = (section for segment in segments for section in segment.sections)
        return sum(section.bits for section in sections if section.name.startswith(start))

    return detail_of(chain.from_iterable(levels), bits_of("refine."), bits_of("context."), video_bits)


def _track_report(info: TrackInfo, block_bytes: int) -> TrackReport:
    return TrackReport(
        kind=TrackKind(info.kind).name.lower(),
        codec=info.codec,
        language=info.metadata.get("language"),
        sample_rate=info.sample_rate,
        layout=info.layout,
        bits=8 * block_bytes,
    )


def _segment_report(opened: OpenedSegment, block_bits: int) -> SegmentReport:
    segment, specs = opened.segment, opened.specs
    sections = tuple(
        SectionReport(
            name=spec.name,
            role=str(spec.role),
            shape=spec.shape,
            coder=coder_name(section.coder),
            bits=8 * (len(section.payload) + _STEP_BYTES * len(section.steps)),
        )
        for spec, section in zip(specs, segment.sections, strict=True)
    )
    return SegmentReport(
        first_frame=segment.first_frame,
        frame_count=segment.frame_count,
        family=opened.family.name,
        package=package_of(opened.family),
        seed=segment.seed,
        parameter_count=sum(spec.count for spec in specs),
        sections=sections,
        overhead_bits=block_bits - sum(section.bits for section in sections),
    )
