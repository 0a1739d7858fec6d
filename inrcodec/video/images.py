"""Frames as image files: numbered PNGs (in a folder or by a `%05d.png` pattern), one PNG, WebP, JPEG."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from bitstream.header import ColorTags
from inrcodec.errors import OutputError, UsageError
from inrcodec.samples import Samples, depth_of
from inrcodec.system.files import (
    atomic_output,
    make_folder,
    output_error,
    sync_folder,
    temporary_folder_beside,
)
from inrcodec.system.names import check_folder_of
from inrcodec.system.private import resolved_output
from inrcodec.video.containers import BEYOND_FFMPEG
from inrcodec.video.conversion import to_pixel_format
from inrcodec.video.pixel_planes import converted
from inrcodec.video.properties import VideoProperties
from inrcodec.video.sources import number_field

_DEFAULT_NAME = "%05d.png"
_BT601_MATRIX = 6
_PNG_HEAD = 33
"""Bytes of a PNG file's signature and header chunk."""


@dataclass(frozen=True)
class Numbering:
    """A folder and the numbering scheme of the files in it."""

    folder: Path
    head: str
    digits: int
    tail: str

    def path(self, index: int) -> Path:
        return self.folder / f"{self.head}{index:0{self.digits}d}{self.tail}"

    def existing(self) -> list[Path]:
        """Existing files that have a name of this series."""
        if not self.folder.is_dir():
            return []
        name = re.compile(re.escape(self.head) + rf"\d{{{self.digits},}}" + re.escape(self.tail))
        return sorted(entry for entry in self.folder.iterdir() if name.fullmatch(entry.name))


def numbering(target: str) -> Numbering:
    """The series that a folder or a pattern names."""
    path = Path(target)
    if number_field(path.name) is None:
        path = path / _DEFAULT_NAME
    field = number_field(path.name)
    if field is None:
        raise UsageError(f"{target} is not a pattern like {_DEFAULT_NAME}")
    digits = int(field.group(1) or 1)
    return Numbering(path.parent, path.name[: field.start()], digits, path.name[field.end() :])


def check_output_images(target: str, overwrite: bool) -> Numbering:
    """The series of images, in a folder without links.

    Raises `UsageError` if images of the series exist (without `overwrite`) or their folder is unusable.
    """
    series = numbering(target)
    folder = resolved_output(series.folder)
    is_folder_made = number_field(Path(target).name) is None
    if is_folder_made and series.folder.exists() and not series.folder.is_dir():
        raise UsageError(f"{target} is a file; name a folder, or a file ending in .mp4, .mkv or .y4m")
    check_folder_of(series.folder if is_folder_made else series.path(0))
    existing = series.existing()
    if existing and not overwrite:
        raise UsageError(f"{existing[0]} exists already; -y replaces it")
    return replace(series, folder=folder)


@contextmanager
def write_images(
    target: str, properties: VideoProperties, overwrite: bool, first_number: int = 0
) -> Iterator[ImageWriter]:
    """A writer of images numbered from `first_number`, moved to `target` if the block ends without an error.

    `overwrite` replaces only files that are written: images of an earlier run with other numbers stay. Raises
    `UsageError` as `check_output_images` does, and `OutputError` when the file system refuses.
    """
    series = check_output_images(target, overwrite)
    folder = series.folder
    # Named by the series too, because another one may be written into the same folder at the same time.
    with temporary_folder_beside(folder.with_name(f"{folder.name}.{series.head}{series.tail}")) as temporary:
        staged = Numbering(temporary, series.head, series.digits, series.tail)
        writer = ImageWriter(staged, target, properties, first_number)
        yield writer
        try:
            make_folder(series.folder)
            for number in range(first_number, writer.next_number):
                os.replace(staged.path(number), series.path(number))
            sync_folder(series.folder)
        except OSError as error:
            raise output_error(target, error) from error


class OneImageWriter:
    """Writes a single frame as PNG into an open file."""

    def __init__(self, file: BinaryIO, target: str, properties: VideoProperties) -> None:
        self._file = file
        self._target = target
        self._properties = properties
        self._is_written = False

    def write(self, frame: Samples) -> None:
        """Write one RGB frame (height, width, 3). Raises `OutputError`."""
        if self._is_written:
            raise OutputError(f"cannot write {self._target}: it holds one picture only")
        self._is_written = True
        with _errors(self._target):
            self._file.write(png_bytes(frame, self._properties.sample_aspect_ratio))


class ImageWriter:
    """Writes each frame as one PNG file."""

    def __init__(
        self, series: Numbering, target: str, properties: VideoProperties, first_number: int
    ) -> None:
        self.next_number = first_number
        self._series = series
        self._target = target
        self._properties = properties

    def write(self, frame: Samples) -> None:
        """Write one RGB frame (height, width, 3). Raises `OutputError`."""
        with _errors(self._target):
            data = png_bytes(frame, self._properties.sample_aspect_ratio)
            self._series.path(self.next_number).write_bytes(data)
        self.next_number += 1


@contextmanager
def _errors(target: str) -> Iterator[None]:
    """Turn errors of encoding or writing an image into `OutputError`."""
    try:
        yield
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    except OSError as error:
        raise output_error(target, error) from error
    except OverflowError as error:
        raise OutputError(f"cannot write {target}: {BEYOND_FFMPEG}") from error


def replace_picture(path: str, frame: Samples, software: str) -> None:
    """Write one RGB frame (height, width, 3) to the PNG file at `path` atomically.

    Its text chunk names `software`. Raises `OutputError`.
    """
    # A tEXt chunk (PNG, section 11.3.3.2) after the header.
    content = b"tEXtSoftware\0" + software.encode("latin-1")
    length, check = len(content) - 4, zlib.crc32(content)
    data = png_bytes(frame)
    with _errors(path), atomic_output(path, overwrite=True) as file:
        file.write(data[:_PNG_HEAD] + length.to_bytes(4) + content + check.to_bytes(4) + data[_PNG_HEAD:])


def png_bytes(frame: Samples, sample_aspect_ratio: Fraction = Fraction(1)) -> bytes:
    """One RGB frame (height, width, 3) as a PNG file, whose samples have 8 or, for 10 bits, 16 bits."""
    name = "rgb24" if depth_of(frame) == 8 else "rgb48be"
    picture = to_pixel_format(frame, name, ColorTags())
    return _coded(picture, "png", sample_aspect_ratio=sample_aspect_ratio)


def webp_bytes(frame: Samples) -> bytes:
    """One RGB frame (height, width, 3) of 8 bits as a lossless WebP file, which is smaller than a PNG."""
    picture = converted(VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"), "bgra")
    return _coded(picture, "libwebp", {"lossless": "1", "compression_level": "3"})


def jpeg_bytes(frame: Samples) -> bytes:
    """One RGB frame (height, width, 3) as a high-quality JPEG file with full-resolution chroma."""
    # JFIF, section "Standards": BT.601 matrix, full range.
    tags = ColorTags(matrix=_BT601_MATRIX, full_range=True)
    return _coded(to_pixel_format(frame, "yuvj444p", tags), "mjpeg", {"qmin": "2", "qmax": "2"})


def _coded(
    picture: VideoFrame,
    encoder: str,
    options: Mapping[str, str] | None = None,
    sample_aspect_ratio: Fraction = Fraction(1),
) -> bytes:
    """One picture encoded by FFmpeg; raises `OutputError` where PyAV lacks the encoder."""
    try:
        context = av.CodecContext.create(encoder, "w")
    except ValueError as error:
        raise OutputError(f"PyAV was built without the encoder {encoder}") from error
    if not isinstance(context, VideoCodecContext):
        raise OutputError(f"{encoder} does not encode pictures")
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 25)
    context.sample_aspect_ratio = sample_aspect_ratio
    context.options = dict(options or {})
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])
