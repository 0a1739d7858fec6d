"""Opening a file: its segments in the terms of their model families, checked, without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from bitstream import DEFAULT_LIMITS, Corrupt, LimitExceeded, Segment, StreamHeader, StreamReader
from inrcodec.errors import UsageError
from inrcodec.files import check_seekable
from inrcodec.models.family import AnyFamily, TensorSpec, VideoInfo
from inrcodec.models.registry import family_by_wire_id

MAXIMUM_ACTIVATIONS = 1 << 31
"""Values that rendering one frame may hold: 4 GiB in bfloat16, enough for 8K video."""


@dataclass(frozen=True)
class OpenedSegment:
    """What a segment says of its network; its sections' symbols are not decoded yet."""

    segment: Segment
    family: AnyFamily
    config: Any
    video: VideoInfo
    specs: tuple[TensorSpec, ...]
    """The segment's tensors, one a section, in wire order."""


def open_stream(path: str | os.PathLike[str]) -> StreamReader:
    """A reader of the file at `path`; raises `UsageError` for none or a pipe, and `BitstreamError`."""
    check_seekable(path)
    try:
        return StreamReader(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder, not an .inrv file") from error
    except PermissionError as error:
        raise UsageError(f"{path} may not be read: {os.strerror(error.errno or 0)}") from error


def open_segment(segment: Segment, header: StreamHeader) -> OpenedSegment:
    """The family, config and tensors of a segment.

    Raises `Corrupt` for a config that the family refuses, a wrong coded size or number of sections, and
    `LimitExceeded` when the tensors together have more symbols than one section may have, or a frame takes
    too much memory to render: a file of a few bytes must not ask for all of a machine.
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
    symbol_count, limit = sum(spec.count for spec in specs), DEFAULT_LIMITS.max_symbols
    if symbol_count > limit:
        raise LimitExceeded(f"expected at most {limit} symbols, found {symbol_count}", block="SEGM")
    activations = family.activation_count(config)
    if activations > MAXIMUM_ACTIVATIONS:
        raise LimitExceeded(
            f"expected a network of at most {MAXIMUM_ACTIVATIONS} values a frame, found {activations}",
            block="SEGM",
        )
    return OpenedSegment(segment, family, config, video, specs)
