"""Open a file and check its segments against their model families, without loading torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from bitstream import (
    DEFAULT_LIMITS,
    BadMagic,
    BitstreamError,
    Corrupt,
    ForwardReader,
    Limits,
    SalvageReader,
    Segment,
    StreamHeader,
    StreamReader,
    Truncated,
)
from bitstream.limits import ACTIVATION_BYTES, SYMBOL_BYTES
from bitstream.positions import FileSource
from inrcodec.coding.stream_source import is_file_object, is_path, is_read_once, name_of
from inrcodec.errors import InrcError, UsageError
from inrcodec.models.family import AnyFamily, TensorSpec, VideoInfo
from inrcodec.models.registry import family_and_config
from inrcodec.system.file_kind import look_of
from inrcodec.system.names import STDIN

AnyReader = StreamReader | ForwardReader


@dataclass(frozen=True)
class OpenedSegment:
    """A segment and its network's family, config and shapes; the symbols are not decoded yet."""

    segment: Segment
    family: AnyFamily
    config: Any
    video: VideoInfo
    specs: tuple[TensorSpec, ...]
    """The segment's tensors, one per section, in wire order."""
    limits: Limits


def open_stream(
    source: FileSource,
    skip_damaged: bool = False,
    forward: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> AnyReader:
    """Open a path (`-` is standard input), bytes or a file object; raises `UsageError` and `BitstreamError`.

    Pipes, and all files with `forward`, are read from front to end; see `ForwardReader`. A file object that
    can seek is read from its first byte on. With `skip_damaged` damage is skipped and listed in `losses`. A
    file beyond the `limits` is refused with `LimitExceeded`.
    """
    name, once = name_of(source), is_read_once(source)
    if name == STDIN and is_path(source):
        name, source = "standard input", _standard_input()
        once = not (source.seekable() and source.tell() == 0)
    try:
        if once or forward:
            if not once and is_file_object(source):
                source.seek(0)
            return ForwardReader(source, limits, skip_damaged)
        return (SalvageReader if skip_damaged else StreamReader)(source, limits)
    except BadMagic as error:
        raise BadMagic(f"{name} is not an .inrv file{look_of(error.found)}") from error
    except FileNotFoundError as error:
        raise UsageError(f"{name} does not exist") from error
    except IsADirectoryError as error:
        raise UsageError(f"{name} is a folder, not an .inrv file") from error
    except PermissionError as error:
        raise UsageError(f"{name} cannot be read: {os.strerror(error.errno or 0)}") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is a terminal or closed: name a file, or pipe one in")
    return sys.stdin.buffer


@contextmanager
def salvage_advised(
    source: FileSource, skip_damaged: bool, limits: Limits = DEFAULT_LIMITS
) -> Iterator[None]:
    """Add a note to a `BitstreamError` raised in the block if --skip-damaged would help."""
    try:
        yield
    except (Corrupt, Truncated) as error:
        if not skip_damaged and _is_salvageable(source, error, limits):
            error.add_note("skip_damaged=True decodes what is intact")
        raise


def _is_salvageable(source: FileSource, error: BitstreamError, limits: Limits) -> bool:
    """Whether the file has an intact segment or, for a pipe, which cannot be read again, may have one."""
    if is_read_once(source):
        return error.block not in ("head", "STRM")
    try:
        with SalvageReader(source, limits) as reader:
            _, _, segment = next(reader.segments())
            open_segment(segment, reader.header, limits)
    except (BitstreamError, InrcError, StopIteration, OSError):
        return False
    return True


def open_segment(segment: Segment, header: StreamHeader, limits: Limits = DEFAULT_LIMITS) -> OpenedSegment:
    """The family, config and tensors of a segment.

    Raises `InrcError` for a private family that is not installed.
    Raises `Corrupt` for a config that the family refuses, and for a wrong coded size or number of sections.
    Raises `LimitExceeded` if the segment takes more memory or multiplications than the `limits` allow: a file
    of a few bytes must not claim a machine.
    """
    family, packed = family_and_config(segment.family, segment.config)
    video = VideoInfo(header.width, header.height, segment.frame_count)
    config = family.unpack(packed, video, segment.seed)
    found, expected = (header.coded_width, header.coded_height), family.coded_size(config, video)
    if found != expected:
        raise Corrupt(f"expected a coded size of {expected}, found {found}", block="STRM")
    specs = family.tensors(config, video)
    if len(specs) != len(segment.sections):
        raise Corrupt(f"expected {len(specs)} sections, found {len(segment.sections)}", block="SEGM")
    symbols = sum(spec.count for spec in specs)
    multiplications = family.multiplication_count(config, video)
    for name, asked in (
        ("max_symbols", symbols),
        ("max_frame_multiplications", multiplications),
        ("max_segment_multiplications", multiplications * video.frame_count),
        ("max_memory", memory_bytes(family.activation_count(config, video), symbols)),
    ):
        limits.check(name, asked, block="SEGM")
    return OpenedSegment(segment, family, config, video, specs, limits)


def memory_bytes(activations: int, symbols: int) -> int:
    """Bytes that decoding a segment and rendering one of its frames takes. Normative."""
    return ACTIVATION_BYTES * activations + SYMBOL_BYTES * symbols
