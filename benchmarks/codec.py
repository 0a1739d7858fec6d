"""Complete encodes with the command line: file size, and PSNR of the decoded file.

    python -m benchmarks.codec bunny --model hnerv --model supermask --bpp 0.06 --time 10m [--json FILE]

Every model gets the same clip, size and time; `--epochs` limits passes over the frames instead of time.
Unknown options are passed to `inrc encode`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch  # noqa: F401  # its import of two seconds is no part of the time that decoding takes

import inrcodec
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip, write_report
from inrcodec.metrics import ms_ssim, psnr_per_frame_db, summarise_psnr
from inrcodec.video import read_clip


def measure(clip: BenchmarkClip, model: str, output: Path, limits: list[str]) -> dict[str, Any]:
    """Encode with `model`, decode the file with a new decoder and compare it with the source.

    `seconds` are those of the encode, `decode_seconds` from opening the file to its last frame.
    """
    command = [
        "encode",
        clip.path,
        "-o",
        str(output),
        *clip.options,
        "--model",
        model,
        *limits,
        "--no-audio",
        "-y",
        "--json",
    ]
    done = subprocess.run([sys.executable, "-m", "inrcodec", *command], stdout=subprocess.PIPE, check=True)
    reported = json.loads(done.stdout)
    for name in ("output", "courses"):
        del reported[name]
    source = read_clip(clip.path, clip.source).frames
    started = time.perf_counter()
    with inrcodec.open(output) as video:
        frames = video[:]
    decode_seconds = time.perf_counter() - started
    quality = summarise_psnr(psnr_per_frame_db(source, frames))
    size = output.stat().st_size
    return {
        **reported,
        "model": model,
        "file_bytes": size,
        "bpp": 8 * size / source[..., 0].size,
        "psnr_db": quality.mean_db,
        "psnr_p1_db": quality.first_percentile_db,
        "ms_ssim": ms_ssim(source, frames) if find_spec("pytorch_msssim") else None,
        "psnr_difference_to_reported_db": quality.mean_db - reported["psnr_db"],
        "decode_seconds": decode_seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    parser.add_argument("clip", choices=BENCHMARK_CLIPS)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--bpp", default="0.06")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--time")
    length.add_argument("--epochs")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options, others = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    limits = ["--time", options.time] if options.time else ["--epochs", options.epochs]
    limits += ["--bpp", options.bpp, *others]
    results = []
    for model in options.model:
        output = options.out / f"{options.clip}-{model}.inrv"
        results.append(measure(BENCHMARK_CLIPS[options.clip], model, output, limits))
    print(f"{'model':10} {'bytes':>9} {'target':>7} {'bpp':>7} {'PSNR':>6} {'p1':>6} {'epochs':>7} {'s':>6}")
    for row in results:
        share = row["file_bytes"] / row["target_bytes"]
        print(
            f"{row['model']:10} {row['file_bytes']:9} {share:7.1%} {row['bpp']:7.4f} {row['psnr_db']:6.2f} "
            f"{row['psnr_p1_db']:6.2f} {row['epochs']:7.1f} {row['seconds']:6.0f}"
        )
    if options.json:
        write_report(options.json, "benchmarks.codec", results)


if __name__ == "__main__":
    main()
