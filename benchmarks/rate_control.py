"""Accuracy of rate control: file size as a share of twelve targets from 0.01 to 0.3 bits per pixel.

    python -m benchmarks.rate_control bunny-quarter carphone --epochs 4 [--model inrc] [--json FILE]

Every row is a real file. Exits with 1 if a file fills less than 97 % or more than 100 % of its target. An
interrupted run continues: rows that the JSON file contains with the same options are not measured again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.codec import measure
from benchmarks.record import BENCHMARK_CLIPS, stored_results, write_report

LEAST_BPP, MOST_BPP, TARGETS = 0.01, 0.3, 12
LEAST_SHARE = 0.97
KEPT = ("target_bytes", "file_bytes", "extras_bytes", "bpp", "psnr_db", "seconds")


def targets(least: float = LEAST_BPP, most: float = MOST_BPP, count: int = TARGETS) -> list[str]:
    """`count` bits per pixel from `least` to `most`, spaced by a constant factor."""
    return [f"{least * (most / least) ** (step / (count - 1)):.4f}" for step in range(count)]


def share(row: dict[str, Any]) -> float:
    """Size as a fraction of the target; neither includes audio and tags."""
    return float((row["file_bytes"] - row["extras_bytes"]) / row["target_bytes"])


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['clip']:14} {row['target']:>7} {row['file_bytes']:8} {share(row):7.2%} {row['psnr_db']:6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_control", description=__doc__)
    parser.add_argument("clips", nargs="+", choices=BENCHMARK_CLIPS)
    parser.add_argument("--model", default="inrc")
    parser.add_argument("--epochs", default="4")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = stored_results(options.json)
    rows = {(row["clip"], row["model"], row["epochs"], row["target"]): row for row in kept}
    print(f"{'clip':14} {'bpp':>7} {'bytes':>8} {'filled':>7} {'PSNR':>6}")
    for clip in options.clips:
        for target in targets():
            key = clip, options.model, options.epochs, target
            if key not in rows:
                output = options.out / f"rate-{clip}-{options.model}-{target}.inrv"
                limits = ["--bpp", target, "--epochs", options.epochs]
                figures = measure(BENCHMARK_CLIPS[clip], options.model, output, limits)
                named = dict(zip(("clip", "model", "epochs", "target"), key, strict=True))
                rows[key] = {**named, **{name: figures[name] for name in KEPT}}
                if options.json:
                    write_report(options.json, "benchmarks.rate_control", [*rows.values()])
            print(line(rows[key]), flush=True)
    missed = [row for row in rows.values() if not LEAST_SHARE <= share(row) <= 1]
    print(f"{len(rows) - len(missed)} of {len(rows)} files fill {LEAST_SHARE:.0%} to 100 % of their target")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
