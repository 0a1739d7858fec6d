"""What an .inrv file holds, and whether all of it is intact; never imports torch."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitstream import Corrupt, Segment, StreamHeader, StreamReader, load
from bitstream.coders import coder_by_id
from inrcodec.compression.sections import decode_sections
from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily, TensorSpec, VideoInfo
from inrcodec.models.registry import family_by_wire_id

_STEP_BYTES = 4


@dataclass(frozen=True)
class SectionReport:
    """One transmitted tensor."""

    name: str
    role: str
    shape: tuple[int, ...]
    coder: str
    bits: int
    """Payload and quantisation steps."""


@dataclass(frozen=True)
class SegmentReport:
    """One run of frames and its network."""

    first_frame: int
    frame_count: int
    family: str
    seed: int
    parameter_count: int
    """Transmitted values, embeddings included."""
    sections: tuple[SectionReport, ...]
    overhead_bits: int
    """What the segment's block holds besides its sections' bits: lengths, config, checksum."""


@dataclass(frozen=True)
class FileReport:
    """A whole file."""

    path: str
    file_bytes: int
    format_version: str
    header: StreamHeader
    psnr_db: float | None
    """As the encoder measured it on the decoded file; None if it did not say."""
    metadata: dict[str, str]
    segments: tuple[SegmentReport, ...]

    @property
    def bpp(self) -> float:
        """Bits of the file per pixel of the video."""
        pixels = self.header.width * self.header.height * self.header.frame_count
        return 8 * self.file_bytes / pixels

    @property
    def container_bits(self) -> int:
        """Bits outside the segments: head, stream header, index, metadata."""
        return 8 * self.file_bytes - sum(
            segment.overhead_bits + sum(section.bits for section in segment.sections)
            for segment in self.segments
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON; a frame rate is a float and, exactly, a text."""
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
            "sample_aspect_ratio": str(header.sample_aspect_ratio),
            "rotation": header.rotation,
            "bit_depth": header.bit_depth,
            "color": asdict(header.color),
            "bpp": self.bpp,
            # JSON has no infinity.
            "psnr_db": self.psnr_db if self.psnr_db is None or math.isfinite(self.psnr_db) else None,
            "metadata": self.metadata,
            "container_bits": self.container_bits,
            "segments": [asdict(segment) for segment in self.segments],
        }


def inspect(path: str) -> FileReport:
    """Read the headers of every segment, checksums included, but decode no symbol.

    Raises `UsageError` for a missing file and `BitstreamError` for anything but an intact `.inrv`.
    """
    return _report(path, decode_symbols=False)


def verify(path: str) -> FileReport:
    """`inspect`, and every block's checksum and every section's symbols are checked too.

    Raises as `inspect` does; a file that passes decodes on every machine.
    """
    report = _report(path, decode_symbols=True)
    # The reader goes by the index and skips blocks of unknown type; this reads from front to end.
    load(Path(path).read_bytes())
    return report


def _report(path: str, decode_symbols: bool) -> FileReport:
    with open_stream(path) as reader:
        summary = reader.summary()
        segments = []
        for number, entry in enumerate(summary.index):
            segment = reader.segment(number)
            family, specs = segment_specs(segment, summary.header)
            if decode_symbols:
                decode_sections(specs, segment.sections)
            segments.append(_segment_report(segment, family, specs, 8 * entry.length))
    quality = summary.quality
    return FileReport(
        path=path,
        file_bytes=summary.file_bytes,
        format_version=f"{summary.version.major}.{summary.version.minor}",
        header=summary.header,
        psnr_db=None if quality is None else quality.psnr_db,
        metadata=dict(summary.metadata),
        segments=tuple(segments),
    )


def open_stream(path: str) -> StreamReader:
    """A reader of the file at `path`; raises `UsageError` where there is none, and `BitstreamError`."""
    try:
        return StreamReader(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder, not an .inrv file") from error
    except PermissionError as error:
        raise UsageError(f"{path} may not be read: {os.strerror(error.errno or 0)}") from error


def segment_specs(segment: Segment, header: StreamHeader) -> tuple[AnyFamily, tuple[TensorSpec, ...]]:
    """The family of a segment and its tensors in wire order.

    Raises `Corrupt` for a config that the family refuses or a wrong number of sections.
    """
    family = family_by_wire_id(segment.family)
    video = VideoInfo(header.width, header.height, segment.frame_count)
    config = family.unpack(segment.config, video, segment.seed)
    found, expected = (header.coded_width, header.coded_height), family.coded_size(config, video)
    if found != expected:
        raise Corrupt(f"expected a coded size of {expected}, found {found}", block="STRM")
    specs = family.tensors(config, video)
    if len(specs) != len(segment.sections):
        raise Corrupt(f"expected {len(specs)} sections, found {len(segment.sections)}", block="SEGM")
    return family, specs


def _segment_report(
    segment: Segment, family: AnyFamily, specs: tuple[TensorSpec, ...], block_bits: int
) -> SegmentReport:
    sections = tuple(
        SectionReport(
            name=spec.name,
            role=str(spec.role),
            shape=spec.shape,
            coder=coder_by_id(section.coder).name,
            bits=8 * (len(section.payload) + _STEP_BYTES * len(section.steps)),
        )
        for spec, section in zip(specs, segment.sections, strict=True)
    )
    return SegmentReport(
        first_frame=segment.first_frame,
        frame_count=segment.frame_count,
        family=family.name,
        seed=segment.seed,
        parameter_count=sum(spec.count for spec in specs),
        sections=sections,
        overhead_bits=block_bits - sum(section.bits for section in sections),
    )
