"""Measures what a longer fit buys: PSNR at equal size against the CPU time of an encode, by preset.

    python -m benchmarks.presets dev --clips FOLDER --jobs 2 --json FILE [--preset NAME ...]

`dev` is all eight clips of `DEVELOPMENT_CLIPS`, each at its second rate. Every encode is a process of its own
with one thread. An interrupted run continues: files that the JSON file already contains are not made again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import (
    BENCHMARK_CLIPS,
    DEVELOPMENT_CLIPS,
    clip_of,
    commit,
    stored_results,
    write_report,
)
from inrcodec import encode
from inrcodec.settings.encode import EncodeSettings

DEV, BPP = "dev", 0.1
PRESETS = ("draft", "fast", "medium", "slow")
Row = dict[str, Any]


def measured(clip: str, folder: Path, preset: str, model: str) -> Row:
    """Figures of one file, made in this process with one thread."""
    torch.set_num_threads(1)
    source = clip_of(clip, folder)
    with tempfile.TemporaryDirectory() as output:
        settings = EncodeSettings(
            model=model,
            preset=preset,
            source=replace(source.source, audio=False),
            bpp=source.bpps[1] if source.bpps else BPP,
        )
        started = time.process_time()
        result = encode(source.path, str(Path(output) / "one.inrv"), settings)
        cpu_seconds = time.process_time() - started
    return {
        "clip": clip,
        "model": model,
        "preset": preset,
        "psnr_db": result.psnr_db,
        "file_bytes": result.file_bytes,
        "bpp": result.bpp,
        "cpu_seconds": cpu_seconds,
        "commit": commit(),
    }


def line(row: Row) -> str:
    return (
        f"{row['clip']:14} {row['model']:8} {row['preset']:8} {row['file_bytes']:8} {row['psnr_db']:7.2f} "
        f"{row['cpu_seconds']:8.1f}"
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presets", description=__doc__)
    names = [DEV, *(DEVELOPMENT_CLIPS | BENCHMARK_CLIPS)]
    parser.add_argument("clips", nargs="+", choices=names, metavar="CLIP", help=", ".join(names))
    parser.add_argument("--clips", dest="folder", type=Path, default=Path(), help="folder with the clips")
    parser.add_argument("--model", default="inrc")
    parser.add_argument("--preset", action="append", choices=PRESETS, help="repeatable (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="encodes at once")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args(words)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    clips = [one for name in options.clips for one in (DEVELOPMENT_CLIPS if name == DEV else [name])]
    rows = {(one["clip"], one["model"], one["preset"]): one for one in stored_results(options.json)}
    print(f"{'clip':14} {'model':8} {'preset':8} {'bytes':>8} {'PSNR':>7} {'CPU s':>8}")
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        runs = {
            pool.submit(measured, clip, options.folder, preset, options.model): (clip, options.model, preset)
            for preset in options.preset or PRESETS
            for clip in clips
            if (clip, options.model, preset) not in rows
        }
        try:
            for done in as_completed(runs):
                rows[runs[done]] = done.result()
                write_report(options.json, "benchmarks.presets", [*rows.values()])
                print(line(done.result()), flush=True)
        except BaseException:
            # Other runs would only be waited for, and their results lost.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    main()
