"""Video files with audio, subtitles, chapters and tags, made with PyAV alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

MILLISECONDS = Fraction(1, 1000)
FLASH_SECONDS = 1.2
"""Time at which the picture turns white and the tone begins."""
CHAPTERS = [(0, 1000, "One"), (1000, 2000, "Two")]
SUBTITLES = [(200, 500, "Hello"), (1100, 600, "again")]


class Stored(NamedTuple):
    """A demuxed packet."""

    seconds: float
    data: bytes


def write_film(
    path: Path,
    codec: str = "aac",
    subtitles: str | None = None,
    delay: float = 0.0,
    rate: int = 48000,
    header: bytes | None = None,
    chapter_title: str | None = None,
    video: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Write two seconds at 25 fps whose picture flashes when the tone begins.

    All streams start at `delay` seconds, a whole number of frames. `header` is the subtitles' extradata.
    """
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(video, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        sound: Any = container.add_stream(codec, rate=rate)
        sound.layout = "stereo"
        sound.metadata["language"] = "deu"
        titles: Any = None
        if subtitles is not None:
            with av.open(str(path.with_suffix(".template")), "w", format="matroska") as scratch:
                titles = container.add_stream_from_template(scratch.add_stream(subtitles))
            titles.time_base = MILLISECONDS
            titles.codec_context.extradata = header
            titles.metadata["language"] = "fra"
        container.metadata["title"] = "Film"
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": start + round(1000 * delay),
                    "end": end + round(1000 * delay),
                    "time_base": MILLISECONDS,
                    "metadata": {"title": chapter_title or title},
                }
                for number, (start, end, title) in enumerate(CHAPTERS, 1)
            ]
        )
        for index in range(50):
            value = 235 if index / 25 >= FLASH_SECONDS else 16
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), value, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(index * 40 + 1000 * delay), MILLISECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        seconds = np.arange(2 * rate) / rate
        tone = np.where(seconds >= FLASH_SECONDS, 0.5 * np.sin(2 * np.pi * 1000 * seconds), 0)
        samples = np.repeat(np.round(32767 * tone).astype(np.int16), 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate, round(rate * delay)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for start, duration, text in SUBTITLES if titles is not None else ():
            packet: Any = av.Packet(text.encode())
            packet.stream, packet.time_base = titles, MILLISECONDS
            packet.pts = packet.dts = start + round(1000 * delay)
            packet.duration = duration
            container.mux(packet)
    return path


def stored_packets(path: Path, kind: str) -> list[Stored]:
    """The packets of the first stream of a `kind`, `audio` or `subtitle`."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [Stored(float((packet.pts or 0) * packet.time_base), bytes(packet)) for packet in packets]


def flash_and_onset(path: Path) -> tuple[float, float]:
    """Seconds at which the picture turns bright and the tone begins; raises `ValueError` for silence."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    flash = next(frame.time for frame in frames if frame.to_ndarray(format="gray").mean() > 128)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples: NDArray[Any] = frame.to_ndarray()
            channels = len(frame.layout.channels)
            is_planar = frame.format.is_planar
            level = np.abs(samples if is_planar else samples.reshape(-1, channels).T)
            loud = np.flatnonzero(level.max(axis=0) > (0.1 if level.dtype.kind == "f" else 3276))
            if loud.size:
                return flash, frame.time + loud[0] / frame.sample_rate
    raise ValueError(f"{path} is silent")
