"""Accuracy of rate control: file size as a share of its target, and what a time limit does to it.

    python -m benchmarks.rate_control bunny-quarter carphone --epochs 4 [--model inrc] [--json FILE]
    python -m benchmarks.rate_control carphone --time 8 --time 40 --bpp 0.05 --busy 0 --busy 2 [--json FILE]

Every row is a real file. Targets are twelve rates from 0.01 to 0.3 bits per pixel, unless `--bpp` names them.
`--busy` encodes beside that many processes that never rest. A row has the duration, the duration that the
encode expected when it began to fit, and its notes. Exits with 1 if a file fills less than 97 % or more than
100 % of its target. An interrupted run continues: rows that the JSON file contains with the same options are
not measured again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip, stored_results, write_report
from inrcodec.settings.notation import parse_duration

LEAST_BPP, MOST_BPP, TARGETS = 0.01, 0.3, 12
LEAST_SHARE = 0.97
KEPT = ("target_bytes", "file_bytes", "extras_bytes", "bpp", "psnr_db", "short_of_size")
TARGET_UNREACHABLE = 3
"""Exit code of an encode whose time is too short for any file."""
_EXPECTED = re.compile(r"about ((?:\d[\d.]* (?:h|min|ms|s) ?)+)")
_NOTE = "inrc: note: "


def targets(least: float = LEAST_BPP, most: float = MOST_BPP, count: int = TARGETS) -> list[str]:
    """`count` bits per pixel from `least` to `most`, spaced by a constant factor."""
    return [f"{least * (most / least) ** (step / (count - 1)):.4f}" for step in range(count)]


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run `count` processes that never rest."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in loops:
            one.kill()
            one.wait()


def encoded(clip: BenchmarkClip, model: str, output: Path, limits: list[str]) -> dict[str, Any]:
    """Encode in a new process; returns its figures, its duration, its estimate and its notes.

    The size is that of the file. An encode that refuses its time has a duration and a `refusal` only.
    """
    words = ["encode", clip.path, "-o", str(output), *clip.options, "--model", model, *limits]
    command = [sys.executable, "-m", "inrcodec", *words, "--no-audio", "-y", "--json"]
    started, lines = time.monotonic(), list[str]()
    expected: dict[str, float] = {}
    with tempfile.TemporaryFile("w+") as report:
        with subprocess.Popen(command, stdout=report, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                lines.append(line.rstrip())
                found = _EXPECTED.search(line)
                if found and not expected:
                    expected = {
                        "expected_after": time.monotonic() - started,
                        "expected_seconds": parse_duration(found[1].replace(" ", "").replace("min", "m")),
                    }
        row = {"seconds": time.monotonic() - started, **expected}
        if process.returncode == TARGET_UNREACHABLE:
            return {**row, "refusal": lines[-1]}
        if process.returncode != 0:
            raise RuntimeError(lines[-1])
        report.seek(0)
        figures = json.load(report)
    row |= {name: figures.get(name) for name in KEPT} | {"file_bytes": output.stat().st_size}
    return {**row, "notes": [line.removeprefix(_NOTE) for line in lines if line.startswith(_NOTE)]}


def share(row: dict[str, Any]) -> float:
    """Size as a fraction of the target; neither includes audio and tags. 0 if there is no file."""
    return 0.0 if "refusal" in row else float((row["file_bytes"] - row["extras_bytes"]) / row["target_bytes"])


def expectation(row: dict[str, Any]) -> float | None:
    """Expected duration of the fit as a multiple of the actual one; None without an estimate."""
    if "expected_seconds" not in row:
        return None
    return float(row["expected_seconds"] / (row["seconds"] - row["expected_after"]))


def line(row: dict[str, Any]) -> str:
    estimate = expectation(row)
    length = f"{row['epochs']} epochs" if row["time"] is None else row["time"]
    return (
        f"{row['clip']:14} {row['model']:10} {length:>9} {row['busy']:>4} {row['target']:>7} "
        f"{row.get('file_bytes', 0):8} {share(row):7.2%} {row.get('psnr_db', 0):6.2f} {row['seconds']:7.1f} "
        f"{'' if estimate is None else f'x{estimate:.2f}':>8}  "
        f"{row.get('refusal') or '; '.join(row['notes'])}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_control", description=__doc__)
    parser.add_argument("clips", nargs="+", choices=BENCHMARK_CLIPS)
    parser.add_argument("--model", action="append", help="repeatable (default: inrc)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", default="4")
    length.add_argument("--time", action="append", help="repeatable; in place of epochs")
    parser.add_argument("--bpp", action="append", help="repeatable (default: twelve rates)")
    parser.add_argument("--busy", type=int, action="append", help="repeatable (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = ("clip", "model", "epochs", "time", "busy", "target")
    stored = ({"time": None, "busy": 0, **row} for row in stored_results(options.json))
    rows = {tuple(row[name] for name in names): row for row in stored}
    print(
        f"{'clip':14} {'model':10} {'length':>9} {'busy':>4} {'bpp':>7} {'bytes':>8} {'filled':>7} "
        f"{'PSNR':>6} {'seconds':>7} {'expected':>8}"
    )
    lengths = [(None, one) for one in options.time or ()] or [(options.epochs, None)]
    runs = product(
        options.clips, options.model or ["inrc"], lengths, options.busy or [0], options.bpp or targets()
    )
    for clip, model, (epochs, limit), busy, target in runs:
        key = clip, model, epochs, limit, busy, target
        if key not in rows:
            output = options.out / f"rate-{clip}-{model}-{target}.inrv"
            limits = ["--bpp", target, *(["--time", limit] if limit else ["--epochs", epochs])]
            with busy_processes(busy):
                figures = encoded(BENCHMARK_CLIPS[clip], model, output, limits)
            rows[key] = {**dict(zip(names, key, strict=True)), **figures}
            if options.json:
                write_report(options.json, "benchmarks.rate_control", [*rows.values()])
        print(line(rows[key]), flush=True)
    missed = [row for row in rows.values() if not LEAST_SHARE <= share(row) <= 1]
    print(f"{len(rows) - len(missed)} of {len(rows)} files fill {LEAST_SHARE:.0%} to 100 % of their target")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
