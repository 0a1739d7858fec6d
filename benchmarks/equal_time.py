"""PSNR against time at equal file size for several ways of fitting, with real files in one run.

    python -m benchmarks.equal_time bunny-quarter --bpp 0.1 --json FILE [--time 30s ...] [--plot FILE.svg]

Contenders alternate, each with a new fit for every time. In the results, `time` is `--time` and `seconds` the
duration of the whole encode. A time too short for a contender gives no row. An interrupted run continues:
rows that the JSON file already contains are not measured again.

Where other programs share the machine, `--cpu-seconds` counts those of this process in place of the clock's,
and fits by one thread: a contender then has the same time whatever else runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import inrcodec
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip, stored_results, write_report
from inrcodec.encoder.result import EncodeResult
from inrcodec.errors import TargetUnreachable
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_duration

CONTENDERS: Mapping[str, Mapping[str, Any]] = {
    "hnerv, Adam": {"model": "hnerv", "optimizer": "adam"},
    "hnerv, Muon": {"model": "hnerv", "optimizer": "muon"},
    "hinerv, Muon": {"model": "hinerv", "optimizer": "muon"},
    "inrc": {"model": "inrc"},
}
TIMES = ("30s", "1m", "2m", "3m")


def timed_encode(clip: BenchmarkClip, settings: EncodeSettings) -> tuple[float, EncodeResult]:
    """Encode a clip without audio; returns the seconds until the file is checked, and the result."""
    settings = replace(settings, source=replace(clip.source, audio=False))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = inrcodec.encode(clip.path, str(Path(folder) / "one.inrv"), settings)
        return time.perf_counter() - started, result


def run(clip: str, contender: str, bpp: float, seconds: float) -> dict[str, Any] | None:
    """Figures of one file, or None if the time is too short."""
    settings = EncodeSettings(bpp=bpp, time_seconds=seconds, **CONTENDERS[contender])
    try:
        elapsed, result = timed_encode(BENCHMARK_CLIPS[clip], settings)
    except TargetUnreachable:
        return None
    return {
        "clip": clip,
        "bpp": bpp,
        "contender": contender,
        "time": seconds,
        "seconds": elapsed,
        "psnr_db": result.psnr_db,
        "file_bytes": result.file_bytes,
        "epochs": result.epochs,
    }


@contextmanager
def cpu_seconds_as_time() -> Iterator[None]:
    """Let deadlines and durations count the CPU seconds of this process, which then uses one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            mock.patch("time.monotonic", time.process_time),
            mock.patch("time.perf_counter", time.process_time),
        ):
            yield
    finally:
        torch.set_num_threads(threads)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot PSNR against seconds, one curve per clip, rate and contender."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for clip, bpp, contender in dict.fromkeys((row["clip"], row["bpp"], row["contender"]) for row in rows):
        same = {"clip": clip, "bpp": bpp, "contender": contender}
        points = sorted((row["seconds"], row["psnr_db"]) for row in rows if same.items() <= row.items())
        label = f"{clip}, {bpp:g} bpp, {contender}"
        axes.plot([point[0] for point in points], [point[1] for point in points], "o-", label=label)
    axes.set(xscale="log", xlabel="seconds", ylabel="PSNR, dB")
    times = sorted({row["time"] for row in rows})
    axes.set_xticks(times, [f"{seconds:g}" for seconds in times])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equal_time", description=__doc__)
    parser.add_argument("clip", choices=list(BENCHMARK_CLIPS))
    parser.add_argument("--bpp", type=float, default=0.1)
    parser.add_argument("--time", action="append", help="such as 30s; repeatable")
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS), help="default: all")
    parser.add_argument("--cpu-seconds", action="store_true", help="of one thread, in place of the clock's")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with cpu_seconds_as_time() if options.cpu_seconds else nullcontext():
        rows = measured(options)
    if options.plot:
        draw(rows, options.plot)


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows, those of earlier runs included; each is stored as soon as it is measured."""
    rows = stored_results(options.json)
    clock = "cpu" if options.cpu_seconds else "wall"
    known = {(row["clip"], row["bpp"], row["contender"], row["time"], row["clock"]) for row in rows}
    for text in options.time or TIMES:
        seconds = parse_duration(text)
        for contender in options.contender or CONTENDERS:
            if (options.clip, options.bpp, contender, seconds, clock) in known:
                continue
            row = run(options.clip, contender, options.bpp, seconds)
            if row is None:
                print(f"{contender:14} {text:>5}: too short", flush=True)
                continue
            rows.append(row | {"clock": clock})
            write_report(options.json, "benchmarks.equal_time", rows)
            figures = f"{row['psnr_db']:6.2f} dB, {row['file_bytes']:,} bytes"
            print(f"{contender:14} {text:>5}: {figures}", flush=True)
    return rows


if __name__ == "__main__":
    main()
