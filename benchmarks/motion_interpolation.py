"""Frames that `inrc` interpolates by the stored motion, against the blend of both neighbours.

    python -m benchmarks.motion_interpolation carphone bunny-quarter --bpp 0.03,0.12 [--json FILE]

Every other frame of each clip is encoded at each rate, and the frames left out are interpolated. PSNR is over
RGB, the mean over these frames. Seconds are those of interpolating a frame, wall clock, its neighbours being
decoded anew; those of the blend decode the same neighbours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import inrcodec
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip, write_report
from benchmarks.tasks import inrc
from inrcodec.decoder.video import Video
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.video import read_clip

Frames = NDArray[np.uint8]


def measured(name: str, clip: BenchmarkClip, bpp: float, folder: Path, others: list[str]) -> dict[str, Any]:
    """Encode every other frame of a clip and measure those interpolated in both ways."""
    path = folder / f"{name}-{bpp:g}.inrv"
    options = [*clip.options, "--every", "2", "--bpp", f"{bpp:g}", "--model", "inrc", "--no-audio", *others]
    reported = inrc("encode", clip.path, "-o", path, *options)
    source = read_clip(clip.path, clip.source).frames
    with inrcodec.open(path) as video:
        left_out = source[1 : 2 * len(video) - 1 : 2]
        moved, moved_seconds = _timed(video, lambda at: video.at(at + 0.5))
        blended, blended_seconds = _timed(video, lambda at: _blend(video[at : at + 2]))
    return {
        "clip": name,
        "bpp": bpp,
        "file_bytes": reported["file_bytes"],
        "psnr_blend_db": float(psnr_per_frame_db(left_out, blended).mean()),
        "psnr_motion_db": float(psnr_per_frame_db(left_out, moved).mean()),
        "blend_seconds": blended_seconds,
        "motion_seconds": moved_seconds,
    }


def _blend(both: Frames) -> Frames:
    mean: Frames = ((both[0].astype(np.uint16) + both[1] + 1) // 2).astype(np.uint8)
    return mean


def _timed(video: Video, make: Callable[[int], Frames]) -> tuple[Frames, float]:
    """The frame that `make` gives for each but the last frame of the video, and the mean seconds of one."""
    started = time.perf_counter()
    frames = np.stack([make(at) for at in range(len(video) - 1)])
    return frames, (time.perf_counter() - started) / len(frames)


def line(row: dict[str, Any]) -> str:
    """Format a row as a line of text."""
    return (
        f"{row['clip']:14} {row['bpp']:<6g} {row['file_bytes']:8,} bytes  "
        f"blend {row['psnr_blend_db']:.2f} dB, {1e3 * row['blend_seconds']:.1f} ms  "
        f"motion {row['psnr_motion_db']:.2f} dB, {1e3 * row['motion_seconds']:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion_interpolation", description=__doc__)
    parser.add_argument("clips", nargs="+", choices=BENCHMARK_CLIPS)
    parser.add_argument("--bpp", default="0.03,0.06,0.12", help="bits per pixel of the frames encoded")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options, others = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in options.clips:
        for bpp in map(float, options.bpp.split(",")):
            results.append(measured(name, BENCHMARK_CLIPS[name], bpp, options.out, others))
            print(line(results[-1]), flush=True)
    if options.json:
        write_report(options.json, "benchmarks.motion_interpolation", results)


if __name__ == "__main__":
    main()
