"""Checks an .inrv and its decoded video against the source, reading both videos with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

import inrcodec
from benchmarks.inputs.colours import exact_rgb
from benchmarks.inputs.table import InputFile
from bitstream import Stream, StreamHeader, load
from bitstream.timestamps import last_seconds
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.settings.source import SourceSettings
from inrcodec.video import read_clip

MATRIX_NAMES = {0: "RGB", 1: "BT.709", 2: "", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}
_RESERVED = (0, 3)
_UNSPECIFIED, _BT709 = 2, 1
_FULL_RANGE = 2
_MOST_ROUNDING = 0.52
"""Levels by which RGB may differ from the exact value; swscale rounds in steps of 2^-15."""


@dataclass(frozen=True)
class Seen:
    """A video as PyAV reads it."""

    frames: NDArray[np.float64]
    """RGB (T, height, width, 3), unrounded."""
    """RGB as stored, before rotation, (T, height, width, 3)."""
    times: list[Fraction]
    """Seconds from the first frame; at a constant rate for frames without timestamps."""
    lasts: Fraction
    """Stated duration of the last frame in seconds; 0 if none is stated."""
    tick: Fraction
    """Unit of the times in seconds."""
    primaries: int
    transfer: int
    matrix: int
    is_full_range: bool
    is_rgb: bool
    degrees: int
    """Counter-clockwise rotation for display."""
    ratio: Fraction
    """Width of a pixel over its height."""
    sound: list[tuple[Fraction, bytes]]
    """Time in seconds from the first frame, and payload, of each packet of the first audio track."""
    titles: list[str]
    """Titles of the chapters and of the file."""


def look_at(path: Path, stream: int = 0, rate: Fraction = Fraction(25)) -> Seen:
    """Read a video file, or the images of a folder or of a pattern in it."""
    if path.is_dir() or "%" in path.name:
        folder = path if path.is_dir() else path.parent
        names = sorted(folder.iterdir(), key=lambda entry: (len(entry.name), entry.name))
        pictures = [_look_at_file(name, 0, rate) for name in names]
        frames = np.concatenate([one.frames for one in pictures])
        times = [index / rate for index in range(len(frames))]
        return Seen(**{**vars(pictures[0]), "frames": frames, "times": times})
    return _look_at_file(path, stream, rate)


def _look_at_file(path: Path, number: int, rate: Fraction) -> Seen:
    with av.open(str(path)) as container:
        stream = container.streams.video[number]
        ratio = stream.sample_aspect_ratio or Fraction(1)
        decoded = list(_decoded(container, stream))
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        titles += [container.metadata[name] for name in ("title",) if name in container.metadata]
    first = decoded[0]
    for frame in decoded:
        _assume_tags(frame)
    tick = first.time_base or 1 / rate
    start = (first.pts or 0) * tick
    times = [index / rate if one.pts is None else one.pts * tick - start for index, one in enumerate(decoded)]
    is_rgb = first.format.is_rgb or first.format.has_palette
    primaries, transfer, matrix = (
        _UNSPECIFIED if code in _RESERVED else int(code)
        for code in (first.color_primaries, first.color_trc, first.colorspace)
    )
    return Seen(
        frames=np.stack([exact_rgb(frame) for frame in decoded]),
        times=times,
        lasts=decoded[-1].duration * tick,
        tick=tick,
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        is_full_range=first.color_range == _FULL_RANGE or first.format.name.startswith("yuvj"),
        is_rgb=is_rgb,
        degrees=first.rotation,
        ratio=ratio,
        sound=_sound(path, start),
        titles=titles,
    )


def _assume_tags(frame: VideoFrame) -> None:
    """Tag what a player takes for granted: HD is BT.709, and grey has full range."""
    is_yuv = any(component.is_chroma for component in frame.format.components)
    if is_yuv and frame.colorspace == _UNSPECIFIED and (frame.width >= 1280 or frame.height > 576):
        frame.colorspace = _BT709
    if frame.format.name == "gray" and not frame.color_range:
        frame.color_range = _FULL_RANGE


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames except those of packets that cannot be decoded."""
    for packet in container.demux(stream):
        with suppress(av.FFmpegError):
            yield from stream.decode(packet)


def _sound(path: Path, start: Fraction) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.size]
        return [((one.pts or 0) * (one.time_base or Fraction(1)) - start, bytes(one)) for one in packets]


def differences(case: InputFile, path: Path, coded: Path, output: Path) -> Iterator[str]:
    """Differences of the .inrv `coded` and the video `output` from the table and the source at `path`."""
    source, decoded = look_at(path, case.stream, case.rate), look_at(output, 0, case.rate)
    stream = load(coded.read_bytes())
    header = stream.header
    if (header.width, header.height, header.frame_count) != (*case.size, case.frames):
        yield f"{header.width}x{header.height}, {header.frame_count} frames"
    if decoded.frames.shape != (case.frames, case.size[1], case.size[0], 3):
        yield f"decoded frames are {decoded.frames.shape}"
        return
    if header.frame_rate != case.rate or (header.timestamps is not None) != case.is_irregular:
        yield f"{header.frame_rate} fps, table of times: {header.timestamps is not None}"
    if len(source.frames) != case.frames:
        yield f"PyAV finds {len(source.frames)} frames"
        return
    yield from _differences_of_times(source, decoded, header, case)
    yield from _differences_of_pixels(source, decoded, case, path, coded, header.bit_depth)
    yield from _differences_of_tags(source, decoded, stream)
    yield from _differences_of_sound(source, decoded, stream, case)
    if source.titles != decoded.titles:
        yield f"titles {decoded.titles}, not {source.titles}"


def _differences_of_times(
    source: Seen, decoded: Seen, header: StreamHeader, case: InputFile
) -> Iterator[str]:
    """One failure if times differ; they are exact unless the source's container has rounded them."""
    if case.times is not None:
        source = replace(source, times=[Fraction(time, 1000) for time in case.times])
    is_rounded = not case.is_irregular and (1 / case.rate / source.tick).denominator != 1
    slack = source.tick if is_rounded else Fraction(0)
    worst = max(abs(one - other) for one, other in zip(source.times, decoded.times, strict=True))
    if worst > slack:
        yield f"times differ by up to {float(worst)} s"
    expected = 1 / case.rate if case.lasts is None else case.lasts
    if last_seconds(header) != expected:
        yield f"the last frame lasts {float(last_seconds(header))} s, not {float(expected)} s"
    if case.lasts is not None and abs(decoded.lasts - expected) > decoded.tick:
        yield f"the last frame of the output lasts {float(decoded.lasts)} s, not {float(expected)} s"


def _differences_of_pixels(
    source: Seen, decoded: Seen, case: InputFile, path: Path, coded: Path, bit_depth: int
) -> Iterator[str]:
    settings = SourceSettings(bit_depth=bit_depth, stream=case.stream if "--stream" in case.options else None)
    levels = ((1 << bit_depth) - 1) / 255
    upright = levels * np.rot90(source.frames, source.degrees // 90, axes=(1, 2))
    furthest = np.abs(read_clip(str(path), settings).frames - upright).max()
    if furthest > _MOST_ROUNDING:
        yield f"fitted frames differ by up to {furthest:.2f} levels from the exact colours of the source"
    with inrcodec.open(coded, "cpu") as video:
        shown = (levels * decoded.frames).round().astype(video[0].dtype)
        worst = psnr_per_frame_db(video[:], shown).min()
    if worst < case.least_output_db:
        yield f"PSNR of the decoded video against the network's frames is only {worst:.1f} dB"


def _differences_of_tags(source: Seen, decoded: Seen, stream: Stream) -> Iterator[str]:
    kept = stream.header.color
    stored = (kept.primaries, kept.transfer, kept.matrix, kept.full_range)
    expected = (source.primaries, source.transfer, source.matrix, source.is_full_range)
    if source.is_rgb:
        # The output is YUV and needs a matrix; players support BT.709 if the file declares it.
        if stored != (*expected[:2], 0, True):
            yield f"colour tags {stored}"
        expected = (*expected[:2], _BT709, False)
    elif stored != expected:
        yield f"colour tags {stored}, not {expected}"
    found = (decoded.primaries, decoded.transfer, decoded.matrix, decoded.is_full_range)
    if found != expected:
        yield f"colour tags of the output {found}, not {expected}"
    ratio = 1 / source.ratio if source.degrees % 180 else source.ratio
    if not stream.header.sample_aspect_ratio == ratio == decoded.ratio:
        yield f"pixel aspect ratio {stream.header.sample_aspect_ratio}, {decoded.ratio}, not {ratio}"


def _differences_of_sound(source: Seen, decoded: Seen, stream: Stream, case: InputFile) -> Iterator[str]:
    found = [track.info.codec for track in stream.extras.tracks]
    if found != [codec for codec in (case.sound,) if codec is not None]:
        yield f"audio {found}"
    if case.sound is None:
        return
    if [data for _, data in source.sound] != [data for _, data in decoded.sound]:
        yield f"{len(decoded.sound)} audio packets differ from the source's {len(source.sound)}"
    elif abs(source.sound[0][0] - decoded.sound[0][0]) > 1 / case.rate:
        yield f"audio starts at {float(decoded.sound[0][0])} s, not {float(source.sound[0][0])} s"


def summary(coded: Path) -> str:
    """One line about the content of an .inrv."""
    stream = load(coded.read_bytes())
    header, color = stream.header, stream.header.color
    name = MATRIX_NAMES.get(color.matrix, f"matrix {color.matrix}")
    words: list[Any] = [
        f"{header.width}x{header.height}",
        f"{header.frame_count} frame{'s' * (header.frame_count != 1)}",
        f"{header.frame_rate}/s" + (" irregular" if header.timestamps else ""),
        f"{header.bit_depth} bits" if header.bit_depth > 8 else "",
        f"{name} {'full' if color.full_range else 'limited'}".strip() if name != "RGB" else name,
        f"pixels {header.sample_aspect_ratio}" if header.sample_aspect_ratio != 1 else "",
        *(f"{track.info.codec} {len(track.packets)} packets" for track in stream.extras.tracks),
        f"{len(stream.extras.chapters)} chapter" if stream.extras.chapters else "",
    ]
    return ", ".join(filter(None, words))
