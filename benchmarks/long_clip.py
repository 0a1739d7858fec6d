"""Memory and time for a long video: encodes 20 minutes of 320x180 with `--preset draft` and decodes them.

    python -m benchmarks.long_clip [--minutes 20] [--epochs 0.05] [--bpp 0.015] [--json FILE]

The clip changes scene every few seconds. Scenes are parts of the committed clips with random mirroring,
panning and brightness. The audio is a tone whose pitch rises every minute. Peak memory is `ru_maxrss` of the
process. Exits with 1 above 3 GiB, or if the decoded video differs in length.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import count, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from benchmarks.record import BENCHMARK_CLIPS, write_report
from inrcodec.settings.source import Size, SourceSettings
from inrcodec.video import read_clip

Frames = NDArray[np.uint8]
WIDTH, HEIGHT = 320, 180
RATE = 24
SAMPLE_RATE = 16_000
SCENE_SECONDS = (2, 9)
LARGEST_BYTES = 3 << 30


def scenes(seed: int = 0) -> Iterator[Frames]:
    """Endless frames (180, 320, 3), scene after scene."""
    random = np.random.default_rng(seed)
    sources = [
        read_clip(BENCHMARK_CLIPS["bunny"].path, SourceSettings(scale=Size(640, 360))).frames,
        read_clip(BENCHMARK_CLIPS["carphone"].path, SourceSettings(scale=Size(480, 392))).frames,
    ]
    for number in count():
        source = sources[number % len(sources)]
        yield from _scene(source, int(random.integers(*SCENE_SECONDS)) * RATE, random)


def _scene(source: Frames, length: int, random: np.random.Generator) -> Iterator[Frames]:
    """A window that pans over the source, which plays forwards and backwards from a random frame."""
    largest = np.array([source.shape[1] - HEIGHT, source.shape[2] - WIDTH])
    begin, end = random.uniform(0, 1, (2, 2)) * largest
    first, gain = int(random.integers(len(source))), random.uniform(0.6, 1.0, 3)
    mirrored = bool(random.integers(2))
    table = np.arange(256)[:, None] * gain
    for index in range(length):
        row, column = (begin + (end - begin) * index / length).astype(int)
        period = 2 * len(source) - 2
        place = (first + index) % period
        picture = source[min(place, period - place)]
        window = picture[row : row + HEIGHT, column : column + WIDTH, :]
        lit = np.stack([table[:, channel][window[..., channel]] for channel in range(3)], axis=-1)
        yield np.ascontiguousarray(lit[:, :: -1 if mirrored else 1].astype(np.uint8))


def write_clip(path: Path, minutes: float) -> int:
    """Write the clip as H.264 and AAC and return its number of frames."""
    frames = round(60 * minutes * RATE)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, pixels in enumerate(islice(scenes(), frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(video.encode(frame.reformat(format="yuv420p", interpolation=Interpolation.BICUBIC)))
            if index % RATE == 0:
                container.mux(sound.encode(_tone(index // RATE)))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return frames


def _tone(second: int) -> av.AudioFrame:
    phase = 2 * np.pi * (220 + 20 * (second // 60)) * np.arange(SAMPLE_RATE) / SAMPLE_RATE
    samples = np.round(6000 * np.sin(phase)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = (
        SAMPLE_RATE,
        second * SAMPLE_RATE,
        Fraction(1, SAMPLE_RATE),
    )
    return frame


def measured(*words: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Run one `inrc` command with `--json`; returns its report, and its time and peak memory in MiB."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, "-m", "inrcodec", *words, "--json"], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"inrc {words[0]} failed with exit code {process.returncode}")
        output.seek(0)
        report = json.loads(output.read())
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return report, {
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(peak / 2**20),
    }


def lengths(path: Path) -> dict[str, float]:
    """Number of frames and seconds of video and audio, from the packets of a file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0].index
        ends: dict[bool, float] = {}
        frames = 0
        for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
            if packet.pts is not None and packet.size and packet.time_base is not None:
                is_video = packet.stream_index == video
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends[is_video] = max(end, ends.get(is_video, 0.0))
                frames += is_video
    return {"frames": frames, "seconds": ends[True], "sound_seconds": ends[False]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_clip", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--epochs", default="0.05", help="passes over the frames")
    parser.add_argument("--bpp", default="0.015")
    parser.add_argument("--out", type=Path, default=Path("out/long"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    clip, coded, decoded = (options.out / name for name in ("long.mp4", "long.inrv", "decoded.mp4"))
    print(f"writing {options.minutes:g} minutes of {WIDTH}x{HEIGHT} to {clip}", flush=True)
    frames = write_clip(clip, options.minutes)
    limits = ["--preset", "draft", "--epochs", options.epochs, "--bpp", options.bpp, "--device", "cpu"]
    encoded, encoding = measured("encode", str(clip), "-o", str(coded), *limits, "-y")
    _, decoding = measured("decode", str(coded), "-o", str(decoded), "--device", "cpu", "-y")
    before, after = lengths(clip), lengths(decoded)
    for name, figures in (("encode", encoding), ("decode", decoding)):
        print(f"{name}: {figures['seconds']:.0f} s, peak {figures['peak_mib']:.0f} MiB")
    print(f"{encoded['segments']} segments, {encoded['psnr_db']:.2f} dB, {after}")
    is_good = (
        max(encoding["peak_mib"], decoding["peak_mib"]) * 2**20 <= LARGEST_BYTES
        and before["frames"] == after["frames"] == frames
        and abs(before["seconds"] - after["seconds"]) <= 1 / RATE
        and abs(before["sound_seconds"] - after["sound_seconds"]) <= 1 / RATE
    )
    if options.json:
        kept = {name: value for name, value in encoded.items() if name not in ("output", "courses")}
        row = {"encode": {**kept, **encoding}, "decode": decoding, "source": before, "decoded": after}
        write_report(options.json, "benchmarks.long_clip", [row])
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
