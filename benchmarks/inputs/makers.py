"""Makes video files of every kind with PyAV alone, without code from `inrcodec`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from inrcodec.video.pixel_planes import converted

Frames = NDArray[np.uint8]
_FLV_HEADER = 13
"""Bytes before the first tag of an .flv."""
MILLISECONDS = Fraction(1, 1000)
MASTERING = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"  # x265's syntax
)
os.environ.setdefault("SVT_LOG", "1")  # nothing else keeps SVT-AV1 from writing to stderr
SAMPLE_RATE = 48000


class Tags(NamedTuple):
    """Colour as H.273 code points."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool = False


def picture(width: int, height: int, count: int) -> Frames:
    """Smooth colours that differ between corners and change slowly, (T, height, width, 3)."""
    row, column = np.mgrid[0:height, 0:width]
    if count == 0:
        return np.empty((0, height, width, 3), np.uint8)
    frames = [
        np.stack(
            [
                40 + 170 * column / max(1, width - 1),
                40 + 170 * row / max(1, height - 1),
                np.full_like(row, 60 + 12 * (index % 12), dtype=float),
            ],
            axis=-1,
        )
        for index in range(count)
    ]
    return np.stack(frames).round().astype(np.uint8)


def video(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (48, 32),
    count: int = 5,
    rate: Fraction | int = 25,
    *,
    container: str | None = None,
    options: Mapping[str, str] | None = None,
    stamps: Sequence[int] | None = None,
    unit: Fraction = MILLISECONDS,
    lasts: int | None = None,
    begins: int = 0,
    tags: Tags | None = None,
    ratio: Fraction | None = None,
    degrees: int = 0,
    sound: str | None = None,
    chapters: bool = False,
    others: Sequence[tuple[int, int]] = (),
    tape: str | None = None,
    attachment: bytes = b"",
) -> None:
    """Write a video of `count` frames at `rate`, or at `stamps` in units of `unit` seconds.

    `lasts` is the duration of the last frame in these units, and `begins` the second at which the clock of
    the file begins. `ratio` is the pixel aspect ratio, `degrees` the rotation of the display matrix, and
    `sound` the codec of a tone. `others` are the sizes of further video streams, which precede this one.
    `tape` is the time code of the first frame, which .mov stores in a data stream.
    """
    is_told = stamps is not None and path.suffix in (".mp4", ".mov")
    wanted = {"output_ts_offset": str(begins)} if begins else {}
    if is_told:
        wanted["video_track_timescale"] = str(unit.denominator)
    with av.open(str(path), "w", format=container, options=wanted) as output:
        sizes = [*others, size]
        streams: list[Any] = [
            output.add_stream(codec, rate=Fraction(rate), options=dict(options or {})) for _ in sizes
        ]
        for stream, (width, height) in zip(streams, sizes, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            _prepare(stream, None if stamps is None else unit, tags, ratio, degrees)
        tone: Any = output.add_stream(sound, rate=SAMPLE_RATE, layout="stereo") if sound else None
        if tape is not None:
            output.metadata["timecode"] = tape
        if attachment:
            output.add_attachment("a.ttf", "application/x-truetype-font", attachment)
        if chapters:
            output.metadata["title"] = "Film"
            output.set_chapters(
                [{"id": 1, "start": 0, "end": 100, "time_base": MILLISECONDS, "metadata": {"title": "A"}}]
            )
        output.start_encoding()
        for stream, (width, height) in zip(streams, sizes, strict=True):
            for index, pixels in enumerate(picture(width, height, count)):
                frame = _frame(pixels, pixel_format, tags)
                if stamps is not None:
                    frame.pts, frame.time_base = stamps[index], unit
                output.mux(_lasting(stream.encode(frame), stamps, lasts))
            output.mux(_lasting(stream.encode(None), stamps, lasts))
        if tone is not None:
            _write_tone(output, tone, float(count / Fraction(rate)))


def _lasting(packets: list[Any], stamps: Sequence[int] | None, lasts: int | None) -> list[Any]:
    """The packets, that of the last frame with its duration."""
    for packet in packets:
        if stamps is not None and lasts is not None and packet.pts == stamps[-1]:
            packet.duration = lasts
    return packets


def stamped(path: Path, stamps: Sequence[int]) -> None:
    """Write frames whose timestamps in milliseconds need not rise; only Matroska stores such."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        stream.codec_context.time_base = MILLISECONDS
        for index, pixels in enumerate(picture(48, 32, len(stamps))):
            frame = _frame(pixels, "yuvj420p", None)
            frame.pts, frame.time_base = index, MILLISECONDS
            for packet in stream.encode(frame):
                packet.pts, packet.dts = stamps[index], index - len(stamps)
                output.mux(packet)


def _prepare(
    stream: Any, unit: Fraction | None, tags: Tags | None, ratio: Fraction | None, degrees: int
) -> None:
    context = stream.codec_context
    if unit is not None:
        context.time_base = unit
    if tags is not None:
        context.color_primaries, context.color_trc, context.colorspace = tags[:3]
        context.color_range = int(ColorRange.JPEG if tags.full_range else ColorRange.MPEG)
    if ratio is not None:
        context.sample_aspect_ratio = ratio
    if degrees:
        stream.set_display_rotation(degrees)


def _frame(pixels: Frames, pixel_format: str, tags: Tags | None) -> Any:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    if tags is None:
        return converted(frame, pixel_format)
    frame.colorspace = tags.matrix
    color_range = ColorRange.JPEG if tags.full_range else ColorRange.MPEG
    frame = converted(frame, pixel_format, color_range=color_range)
    frame.colorspace, frame.color_range = tags.matrix, color_range
    frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
    return frame


def _write_tone(output: Any, stream: Any, seconds: float) -> None:
    time = np.arange(round(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    tone = np.round(9000 * np.sin(2 * np.pi * 440 * time * (1 + time))).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def damaged(path: Path, **made: Any) -> None:
    """Write a video in whose second keyframe the middle third of the bytes is random."""
    options = {"g": "4", **made.pop("options", {})}
    video(path, size=(160, 96), count=12, options=options, **made)
    with av.open(str(path)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.size and packet.is_keyframe]
        place, size = keys[1].pos or 0, keys[1].size
    data = bytearray(path.read_bytes())
    middle = slice(place + size // 3, place + 2 * size // 3)
    data[middle] = np.random.default_rng(0).bytes(middle.stop - middle.start)
    path.write_bytes(data)


def transparent(path: Path, codec: str) -> None:
    """Write frames whose left half is partly transparent."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "rgba"
        for pixels in picture(48, 32, 5):
            alpha = np.full((32, 48, 1), 255, np.uint8)
            alpha[:, :24] = 90
            frame = av.VideoFrame.from_ndarray(np.concatenate([pixels, alpha], axis=2), format="rgba")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def cut_short(path: Path, share: float, **made: Any) -> None:
    """Write a video and keep only the first `share` of its bytes."""
    video(path, **made)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def joined(
    path: Path, begins: Sequence[int], ratios: Sequence[Fraction | None] = (None,), **made: Any
) -> None:
    """Write files whose clocks begin at these seconds, one after the other into one file.

    Their pixel aspect ratios are those of `ratios` in turn. An .flv gets one header, like a recording whose
    clock begins again: readers skip what follows a second one.
    """
    data = b""
    for number, second in enumerate(begins):
        video(path, begins=second, ratio=ratios[number % len(ratios)], **made)
        header = _FLV_HEADER if data and path.suffix == ".flv" else 0
        data += path.read_bytes()[header:]
    path.write_bytes(data)


def with_cover(path: Path, has_video: bool) -> None:
    """Write audio with cover art, which is larger than the video if there is one."""
    with av.open(str(path), "w") as output:
        cover: Any = output.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 200, 200, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        film: Any = output.add_stream("libx264", rate=25) if has_video else None
        if film is not None:
            film.width, film.height, film.pix_fmt = 48, 32, "yuv420p"
        tone: Any = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        output.mux(cover.encode(_frame(picture(200, 200, 1)[0], "yuvj420p", None)))
        output.mux(cover.encode(None))
        if film is not None:
            for pixels in picture(48, 32, 5):
                output.mux(film.encode(_frame(pixels, "yuv420p", None)))
            output.mux(film.encode(None))
        _write_tone(output, tone, 0.2)


def sound_only(path: Path) -> None:
    """Write a tone without video."""
    with av.open(str(path), "w") as output:
        _write_tone(output, output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo"), 0.2)


def resized(path: Path) -> None:
    """Write a raw H.264 stream whose frame size changes in the middle."""
    parts = []
    for size in ((48, 32), (32, 32)):
        part = path.with_name(f"{size[0]}.h264")
        video(part, size=size, count=3)
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))


EXIF_QUARTER_TURN = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
"""Exif data with one entry: orientation 6, a rotation by 90 degrees."""


def images(
    path: Path, suffix: str = "png", codec: str = "png", pixel_format: str = "rgb24", exif: bytes = b""
) -> None:
    """Write five numbered images; `path` is a folder or a pattern in one, `exif` is for JPEG only."""
    folder = path.parent if "%" in path.name else path
    folder.mkdir(exist_ok=True)
    for index, pixels in enumerate(picture(20, 14, 5)):
        context: Any = av.CodecContext.create(codec, "w")
        context.width, context.height, context.pix_fmt = 20, 14, pixel_format
        context.time_base = Fraction(1, 25)
        packets = [*context.encode(_frame(pixels, pixel_format, None)), *context.encode(None)]
        data = b"".join(map(bytes, packets))
        if exif:
            data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
        (folder / f"shot{index + 8}.{suffix}").write_bytes(data)


def content(path: Path, data: bytes) -> None:
    path.write_bytes(data)


Maker = Callable[[Path], None]
