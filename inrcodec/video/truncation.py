"""Whether a file ends before the end that its own container declares."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_EBML_HEADER, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_EBML_HEAD = 12
"""Most bytes that the name and the length of an element take."""
_TS_PACKET, _TS_SYNC = 188, b"\x47"
_FLV_TAGS = (b"\x08", b"\x09", b"\x12")
"""Types of tags: audio, video and script data."""
_GIF_END, _PNG_END = b";", b"IEND\xae\x42\x60\x82"
_SEARCHED_BYTES = 1 << 16
"""End of a file in which its last block is looked for: programs append notes of their own to pictures."""


def is_cut_off(path: str) -> bool | None:
    """Whether the file at `path` is shorter than its container declares; None if that does not say."""
    if not Path(path).is_file():
        return None
    try:
        with open(path, "rb") as file:
            return _is_cut_off(file, Path(path).stat().st_size)
    except OSError:
        return None


def _is_cut_off(file: BinaryIO, size: int) -> bool | None:
    head = file.read(12)
    if head.startswith(b"\x89PNG"):
        return _PNG_END not in _last_bytes(file, size)
    if head.startswith(b"GIF8"):
        return not _last_bytes(file, size).rstrip(b"\0\r\n ").endswith(_GIF_END)
    if head.startswith(_EBML_HEADER):
        return _ends_beyond(_matroska_end(file, size), size)
    if head.startswith(b"RIFF"):
        return _ends_beyond(_riff_end(file, size), size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _ends_beyond(_boxes_end(file, size), size)
    if head.startswith(b"FLV"):
        return not _ends_with_tag(file, size)
    if head.startswith(_TS_SYNC) and _begins_at(file, _TS_PACKET, _TS_SYNC):
        return size % _TS_PACKET != 0
    return None


def _last_bytes(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - _SEARCHED_BYTES))
    return file.read()


def _ends_beyond(end: int | None, size: int) -> bool | None:
    return None if end is None else end > size


def _begins_at(file: BinaryIO, offset: int, data: bytes) -> bool:
    file.seek(offset)
    return file.read(len(data)) == data


def _matroska_end(file: BinaryIO, size: int) -> int | None:
    """End of the first segment or, where a live recording does not state it, of the last element.

    None if something other than elements follows.
    """
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(_EBML_HEAD)
        name_length = 9 - head[0].bit_length()
        if name_length > len(_SEGMENT):
            return None
        name, rest = head[:name_length], head[name_length:]
        length = 9 - rest[0].bit_length() if rest else 1
        if length > 8:
            return None
        if len(rest) < length:
            return size + 1
        unknown = (1 << 7 * length) - 1
        value = int.from_bytes(rest[:length], "big") & unknown
        at += name_length + length
        # An element of unknown length ends with those inside it, which are read next.
        at += 0 if value == unknown else value
        if name == _SEGMENT and value != unknown:
            return at
    return at


def _riff_end(file: BinaryIO, size: int) -> int | None:
    """End of the last RIFF chunk; None if its writer never filled it in."""
    at = end = 0
    while at < size and _begins_at(file, at, b"RIFF"):
        length = int.from_bytes(file.read(4), "little")
        if length in (0, 0xFFFFFFFF):
            return None
        at += 8 + length
        end = at
        at += length % 2
    return end


def _ends_with_tag(file: BinaryIO, size: int) -> bool:
    """Whether an .flv ends with the length of a tag that precedes it."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4), "big")
    file.seek(max(0, size - 4 - length))
    return file.read(1) in _FLV_TAGS


def _boxes_end(file: BinaryIO, size: int) -> int | None:
    """End of the last top-level box of an .mp4 or .mov."""
    at = 0
    while at < size:
        file.seek(at)
        length, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length == 0:
            return size
        if length < 8 or len(name) < 4 or not name.isascii():
            # Something other than boxes follows: no box says where the file ends.
            return None
        at += length
    return at
