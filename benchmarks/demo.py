"""Demo (`make demo`): encodes the committed clip, decodes it and prints a report; files stay in `out/`.

The clip is scaled to a quarter of its size so that two CPU cores finish in four minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

import inrcodec
from benchmarks.record import BENCHMARK_CLIPS
from inrcodec.decoder.info import inspect
from inrcodec.metrics import psnr_db, psnr_per_frame_db, summarise_psnr
from inrcodec.video import read_clip
from inrcodec.video.images import png_bytes

CLIP = BENCHMARK_CLIPS["bunny-quarter"]


def run(*words: str) -> None:
    """Print a command and run it."""
    print(f"\n$ {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "inrcodec", *words[1:]], check=True)


def side_by_side(source: np.ndarray, decoded: np.ndarray, path: Path) -> None:
    """Write a PNG with the source frame left and the decoded frame right, at twice their size."""
    both = np.concatenate([source, decoded], axis=1)
    path.write_bytes(png_bytes(both.repeat(2, axis=0).repeat(2, axis=1)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--time", default="150s", help="wall-clock time of the encode")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    coded, video = str(options.out / "bunny.inrv"), str(options.out / "bunny.mp4")
    run("inrc", "encode", CLIP.path, "-o", coded, *CLIP.options, "--bpp", "0.1", "--time", options.time, "-y")
    run("inrc", "decode", coded, "-o", video, "-y")
    run("inrc", "info", coded)
    source = read_clip(CLIP.path, CLIP.source).frames
    with inrcodec.open(coded) as decoded:
        frames = decoded[:]
    quality = summarise_psnr(psnr_per_frame_db(source, frames))
    middle = len(source) // 2
    picture = options.out / "side-by-side.png"
    side_by_side(source[middle], frames[middle], picture)
    report = inspect(coded)
    print(
        f"\n{report.file_bytes} bytes, {report.bpp:.4f} bpp without audio, PSNR {quality.mean_db:.2f} dB "
        f"(1st percentile {quality.first_percentile_db:.2f} dB)\n"
        f"{coded}, {video}, and {picture}: source left, decoded right, "
        f"frame {middle}, {psnr_db(source[middle], frames[middle]):.2f} dB"
    )


if __name__ == "__main__":
    main()
