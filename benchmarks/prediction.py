"""Predictions of `inrc probe` against real fits: bytes, PSNR and time.

    python -m benchmarks.prediction --clips FOLDER [carphone:0.06:draft ...] [--json FILE]

Each case is a clip of `benchmarks.record`, its bits per pixel, and a preset. Both commands run in processes
of their own, one after the other. Fits that the JSON file contains are not made again, predictions are. Times
are wall-clock times of a machine that does other work besides, so that each row also has the CPU time. Exits
with 1 if more than one row in eight lies outside the predicted bounds of its PSNR.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.record import BenchmarkClip, clip_of, commit, stored_results, write_report

CASES = (
    "carphone:0.06:draft",
    "bunny-quarter:0.06:draft",
    "signing:0.1:draft",
    "dog:0.04:draft",
    "foreman:0.08:draft",
    "flower:0.04:draft",
    "carphone:0.06:medium",
    "coffee:0.04:draft",
)
MOST_OUTSIDE = 1 / 8
KEPT = ("file_bytes", "target_bytes", "psnr_db")


def run(words: list[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """The JSON of a command, its duration and its CPU time."""
    before, started = os.times(), time.monotonic()
    command = [sys.executable, "-m", "inrcodec", *words, "--json", "-q"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return json.loads(done.stdout), {"seconds": time.monotonic() - started, "cpu_seconds": cpu}


def predicted(clip: BenchmarkClip, bpp: str, preset: str) -> dict[str, Any]:
    """Predict by `inrc probe`."""
    words = ["probe", clip.path, *clip.options, "--bpp", bpp, "--preset", preset, "--no-audio"]
    found, cost = run(words)
    asked = next(one for one in found["outcomes"] if one["is_asked"])
    return {
        **{name: asked[name] for name in ("file_bytes", "psnr_db", "seconds", "rival_bytes")},
        "gain_db": found["evidence"]["gain_db"],
        "cost": cost,
        "commit": commit(),
    }


def fitted(clip: BenchmarkClip, bpp: str, preset: str, output: Path) -> dict[str, Any]:
    """Encode, and measure the file."""
    words = ["encode", clip.path, "-o", str(output), *clip.options, "--bpp", bpp, "--preset", preset]
    found, cost = run([*words, "--no-audio", "-y"])
    return {**{name: found[name] for name in KEPT}, "cost": cost, "commit": commit()}


def cpu_seconds(said: dict[str, Any]) -> float:
    """The CPU time of a prediction, whose wall-clock time was that of a machine as busy as it was then."""
    cost = said["cost"]
    return float(said["seconds"]["expected"] * cost["cpu_seconds"] / cost["seconds"])


def is_inside(row: dict[str, Any], name: str) -> bool:
    """Whether the real value lies within the predicted bounds."""
    bounds = row["predicted"][name]
    value = row["fit"]["cost"]["seconds"] if name == "seconds" else row["fit"][name]
    return bool(bounds["low"] <= value <= bounds["high"])


def line(row: dict[str, Any]) -> str:
    said, fit = row["predicted"], row["fit"]
    quality, seconds = said["psnr_db"], said["seconds"]
    return (
        f"{row['clip']:14} {row['bpp']:>5} {row['preset']:7} {said['file_bytes']['expected']:8.0f} "
        f"{fit['file_bytes']:8} {quality['expected']:7.2f} {fit['psnr_db']:6.2f} "
        f"{fit['psnr_db'] - quality['expected']:+6.2f} of {(quality['high'] - quality['low']) / 2:.2f} "
        f"{seconds['expected']:8.0f} {fit['cost']['seconds']:6.0f} {said['cost']['seconds']:6.1f} "
        f"{cpu_seconds(said):8.1f} {fit['cost']['cpu_seconds']:6.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__)
    parser.add_argument("cases", nargs="*", default=CASES, help="CLIP:BPP:PRESET")
    parser.add_argument("--clips", type=Path, default=Path("clips"), help="folder of further clips")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    known = {(row["clip"], row["bpp"], row["preset"]): row["fit"] for row in stored_results(options.json)}
    rows = []
    print(
        f"{'clip':14} {'bpp':>5} {'preset':7} {'expected':>8} {'bytes':>8} {'expected':>7} {'dB':>6} "
        f"{'error':>14} {'expected':>8} {'s':>6} {'probe':>6} {'expected':>8} {'CPU s':>6}"
    )
    for case in options.cases:
        name, bpp, preset = case.split(":")
        clip, key = clip_of(name, options.clips), (name, bpp, preset)
        said = predicted(clip, bpp, preset)
        fit = known.get(key) or fitted(clip, bpp, preset, options.out / f"{name}-{bpp}-{preset}.inrv")
        rows.append({"clip": name, "bpp": bpp, "preset": preset, "predicted": said, "fit": fit})
        if options.json:
            write_report(options.json, "benchmarks.prediction", rows)
        print(line(rows[-1]), flush=True)
    outside = sum(not is_inside(row, "psnr_db") for row in rows)
    print(f"{len(rows) - outside} of {len(rows)} within the bounds of PSNR")
    sys.exit(outside > MOST_OUTSIDE * len(rows))


if __name__ == "__main__":
    main()
