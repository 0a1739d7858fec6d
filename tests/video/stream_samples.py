"""Files with unusual streams: custom channel layouts, late and hidden sound, several programmes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 22050
_PACKET_BYTES = 188
_FIELDS = {b"stsd": 8, b"mp4v": 78}
"""Bytes of fields before the boxes in a box."""


def _tone(seconds: float, rate: int, channels: int) -> Any:
    time = np.arange(round(rate * seconds)) / rate
    samples = np.round(9000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    layout = {1: "mono", 2: "stereo", 3: "3.0"}[channels]
    frame = av.AudioFrame.from_ndarray(np.repeat(samples, channels)[None], format="s16", layout=layout)
    frame.sample_rate = rate
    return frame


def write_sound_at(
    path: Path,
    start: float,
    *,
    codec: str = "mp2",
    video: str = "mpeg2video",
    frames: int = 25,
    seconds: float = 1.0,
    channels: int = 1,
    options: dict[str, str] | None = None,
    size: int = 16,
    rate: int = RATE,
    delay: int = 0,
) -> Path:
    """Write `frames` pictures at 25 fps, and a tone of `seconds` from `start` on (s, may be negative).

    Everything is `delay` seconds later.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(video, rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        sound: Any = container.add_stream(
            codec, rate=rate, layout={1: "mono", 2: "stereo", 3: "3.0"}[channels]
        )
        packets = []
        for index in range(frames):
            pixels = np.full((size, size, 3), 40 + index % 100, np.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        packets += stream.encode(None)
        tone = _tone(seconds, rate, channels)
        tone.pts = round(rate * start)
        packets += [*sound.encode(tone), *sound.encode(None)]
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            packet.pts += int(delay / packet.time_base)
            packet.dts += int(delay / packet.time_base)
            container.mux(packet)
    return path


def write_repeats(path: Path, frames: NDArray[np.uint8], repeats: set[int]) -> Path:
    """Write a .mov at 25 fps in which empty samples stand for the frames of these numbers."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuvj420p"
        for number, pixels in enumerate(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                # PyAV writes no empty packets, so the table of sizes is changed below.
                muxed: Any = av.Packet(b"\0") if number in repeats else packet
                muxed.stream, muxed.time_base, muxed.pts, muxed.dts = stream, packet.time_base, number, number
                container.mux(muxed)
    data = bytearray(path.read_bytes())
    table = data.index(b"stsz") + 16
    sizes = list(struct.unpack_from(f">{len(frames)}I", data, table))
    for number in sorted(repeats):
        sizes[max(set(range(number)) - repeats)] += 1
        sizes[number] = 0
    struct.pack_into(f">{len(frames)}I", data, table, *sizes)
    path.write_bytes(data)
    return path


def reorder_channels(path: Path) -> None:
    """Declare another order of the three channels of a .mov: centre, left, right."""
    data = path.read_bytes()
    native, reordered = struct.pack(">I", 113 << 16 | 3), struct.pack(">I", 114 << 16 | 3)
    at = data.index(b"chan") + 8
    assert data[at : at + 4] == native
    path.write_bytes(data[:at] + reordered + data[at + 4 :])


def hide_sound(path: Path) -> None:
    """Declare in the header of an .flv only video, so that sound appears with its first packet."""
    data = bytearray(path.read_bytes())
    data[4] = 1
    path.write_bytes(data)


def join_programmes(target: Path, parts: list[Path]) -> None:
    """Interleave transport streams of different programmes and packet ids under one table of programmes."""
    packets = [
        [data[at : at + _PACKET_BYTES] for at in range(0, len(data), _PACKET_BYTES)]
        for data in (part.read_bytes() for part in parts)
    ]
    tables = [next(packet for packet in one if _packet_id(packet) == 0) for one in packets]
    entries = b"".join(table[5 + 8 : 5 + 12] for table in tables)
    section = b"\0\xb0" + (5 + len(entries) + 4).to_bytes(2)[1:] + b"\0\1\xc1\0\0" + entries
    section += _crc32_mpeg(section).to_bytes(4)
    table = tables[0][:4] + b"\0" + section
    joined = [table.ljust(_PACKET_BYTES, b"\xff")]
    for number in range(max(map(len, packets))):
        joined += [
            one[number] for one in packets if number < len(one) and _packet_id(one[number]) not in (0, 17)
        ]
    target.write_bytes(b"".join(joined))


def _packet_id(packet: bytes) -> int:
    return int.from_bytes(packet[1:3]) & 0x1FFF


def _crc32_mpeg(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def write_tiles(path: Path, count: int) -> Path:
    """Write an AVIF picture that is a row of `count` tiles of 64x64 (ISO/IEC 23008-12, section 6.6.2.3)."""
    whole = path.with_name("tile.avif")
    with av.open(str(whole), "w") as container:
        stream: Any = container.add_stream("libsvtav1", rate=25, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 120, np.uint8), format="rgb24")
        container.mux([*stream.encode(grey), *stream.encode(None)])
    data = whole.read_bytes()
    config, tile = _found_box(data, b"av1C"), _found_box(data, b"mdat")[8:]
    grid = bytes([0, 0, 0, count - 1]) + struct.pack(">HH", 64 * count, 64)
    tiles = range(2, count + 2)
    entries = [(1, b"grid"), *((item, b"av01") for item in tiles)]
    infos = b"".join(
        _full_box(b"infe", 2, struct.pack(">HH", item, 0) + kind + b"\0") for item, kind in entries
    )
    sizes = [_full_box(b"ispe", 0, struct.pack(">II", width, 64)) for width in (64 * count, 64)]
    properties = [struct.pack(">HBB", 1, 1, 1), *(struct.pack(">HBBB", item, 2, 2, 0x83) for item in tiles)]
    links = b"".join([struct.pack(">I", count + 1), *properties])
    references = _box(b"dimg", struct.pack(f">HH{count}H", 1, count, *tiles))

    def meta(start: int) -> bytes:
        places = [(1, start, len(grid))]
        places += [(item, start + len(grid) + len(tile) * (item - 2), len(tile)) for item in tiles]
        located = b"".join(struct.pack(">HHHII", item, 0, 1, *place) for item, *place in places)
        return _full_box(
            b"meta",
            0,
            _full_box(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
            + _full_box(b"pitm", 0, struct.pack(">H", 1))
            + _full_box(b"iloc", 0, b"\x44\0" + struct.pack(">H", count + 1) + located)
            + _full_box(b"iinf", 0, struct.pack(">H", count + 1) + infos)
            + _full_box(b"iref", 0, references)
            + _box(b"iprp", _box(b"ipco", b"".join(sizes) + config) + _full_box(b"ipma", 0, links)),
        )

    brand = _box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf")
    start = len(brand) + len(meta(0)) + 8
    path.write_bytes(brand + meta(start) + _box(b"mdat", grid + tile * count))
    return path


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) + 8) + kind + payload


def _full_box(kind: bytes, version: int, payload: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + payload)


def _found_box(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    return data[at : at + int.from_bytes(data[at : at + 4])]


SEGMENT, TRACKS, TRACK, VIDEO = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"
"""Elements of Matroska (RFC 9559)."""


def insert_elements(path: Path, parents: tuple[bytes, ...], elements: dict[bytes, int]) -> None:
    """Add unsigned elements of a byte to the first element with these parents, of a .mkv."""
    added = b"".join(kind + b"\x81" + bytes([value]) for kind, value in elements.items())
    path.write_bytes(_with_elements(path.read_bytes(), parents, added))


def _with_elements(data: bytes, parents: tuple[bytes, ...], added: bytes) -> bytes:
    if not parents:
        return data + added
    at = 0
    while True:
        length_of_id, length_of_size = 9 - data[at].bit_length(), 0
        kind, at = data[at : at + length_of_id], at + length_of_id
        length_of_size = 9 - data[at].bit_length()
        mark = 1 << 7 * length_of_size
        size = int.from_bytes(data[at : at + length_of_size]) ^ mark
        start = at + length_of_size
        end = len(data) if size == mark - 1 else start + size
        if kind == parents[0]:
            inner = _with_elements(data[start:end], parents[1:], added)
            return data[:at] + (len(inner) | 1 << 56).to_bytes(8) + inner + data[end:]
        at = end


def insert_clean_aperture(path: Path, width: int, height: int) -> None:
    """Declare in a .mov of MPEG-4 that only the central `width` x `height` pixels are shown."""
    aperture = _box(b"clap", struct.pack(">8i", width, 1, height, 1, 0, 1, 0, 1))
    parents = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v")
    path.write_bytes(_with_box(path.read_bytes(), parents, aperture))


def _with_box(data: bytes, parents: tuple[bytes, ...], added: bytes) -> bytes:
    if not parents:
        return data + added
    at = 0
    while data[at + 4 : at + 8] != parents[0]:
        at += int.from_bytes(data[at : at + 4])
    end, start = at + int.from_bytes(data[at : at + 4]), at + 8 + _FIELDS.get(parents[0], 0)
    inner = data[at + 8 : start] + _with_box(data[start:end], parents[1:], added)
    return data[:at] + _box(parents[0], inner) + data[end:]
