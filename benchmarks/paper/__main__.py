"""Reproduces the papers' tables on Bunny with real files: sizes, epochs, ablations, compression, tasks.

    python -m benchmarks.paper --scale quick [--jobs 2] [--only sizes] --json FILE
    python -m benchmarks.paper --scale full --json FILE          (needs a GPU; `--only` selects a part)

`quick` uses the clip at a quarter of its width and height and a few epochs, for two CPU cores; it only shows
how the methods rank. `full` uses the papers' networks with their widths, except that ablations keep the
number of parameters. All rows of a table have the same epochs. An interrupted run continues: rows that the
JSON file contains with the same options are not fitted again. A row that fails is stored with its error, and
the next run retries it. `--only` names tables: sizes, epochs, ablations, compression, tasks.
`--row` names rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.paper.rows import SCALES, Row, Scale, rows, task_rows
from benchmarks.record import BENCHMARK_CLIPS, write_report
from inrcodec.video import read_clip


def run_task(row: Row, sample: tasks.Sample, folder: Path, device: str) -> list[dict[str, Any]]:
    """Figures of one task as rows; denoising has one row per kind of noise, the other tasks one."""
    task, model = row.name.split()
    *limits, _, epochs = row.options  # `tasks` sets --epochs itself.
    run = tasks.Run(model, float(epochs), folder / f"paper-{task}-{model}", tuple(limits), device)
    run.folder.mkdir(exist_ok=True)
    if task == "interpolation":
        return [tasks.interpolation(sample, run)]
    return [tasks.inpainting(sample, run)] if task == "inpainting" else tasks.denoising(sample, run)


def fit(row: Row, clip: str, folder: Path, device: str) -> dict[str, Any]:
    """Encode one row to a real file and return the figures of the decoded file."""
    part = BENCHMARK_CLIPS[clip]
    output = folder / f"paper-{row.key.replace('/', '-').replace(' ', '-').replace('%', '')}.inrv"
    words = [*part.options, *row.options, "--no-audio", "--device", device]
    reported = tasks.inrc("encode", part.path, "-o", output, *words)
    return {
        "table": row.table,
        "name": row.name,
        "options": list(row.options),
        "paper_db": row.paper_db,
        "float_psnr_db": reported["psnr_db"] + reported["quantisation_loss_db"],
        **{
            name: reported[name]
            for name in ("psnr_db", "file_bytes", "bpp", "parameter_count", "steps", "epochs", "seconds")
        },
    }


def print_tables(results: dict[str, dict[str, Any]], order: list[Row]) -> None:
    """Print one block per table, our figures beside the paper's."""
    table = ""
    for row in order:
        figures = results.get(row.key)
        if figures is None:
            continue
        if row.table != table:
            table = row.table
            print(f"\n{table:26} {'params':>8} {'bytes':>8} {'PSNR':>6} {'float':>6} {'paper':>6} {'s':>6}")
        if "error" in figures:
            print(f"{row.name:26} {figures['error']}")
            continue
        if "lines" in figures:
            print("\n".join(tasks.line(figure) for figure in figures["lines"]))
            continue
        paper = "" if row.paper_db is None else f"{row.paper_db:.2f}"
        print(
            f"{row.name:26} {figures['parameter_count']:8} {figures['file_bytes']:8} "
            f"{figures['psnr_db']:6.2f} {figures['float_psnr_db']:6.2f} {paper:>6} {figures['seconds']:6.0f}"
        )


def measure(row: Row, scale: Scale, sample: tasks.Sample, folder: Path, device: str) -> dict[str, Any]:
    """Figures of one row of any table, in their stored form."""
    if row.table != "tasks":
        return fit(row, scale.clip, folder, device)
    lines = run_task(row, sample, folder, device)
    return {"table": row.table, "name": row.name, "options": list(row.options), "lines": lines}


def stored(path: Path, scale: Scale) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by key; exits if the file is of another scale."""
    if not path.exists():
        return {}
    report = json.loads(path.read_text())
    if report.get("scale") != scale.name:
        sys.exit(
            f"{path} has rows of scale {report.get('scale')}, not {scale.name}; choose another --json file"
        )
    return {f"{figures['table']}/{figures['name']}": figures for figures in report["results"]}


def measure_all(
    wanted: list[Row], measured: Callable[[Row], dict[str, Any]], jobs: int
) -> Generator[tuple[Row, dict[str, Any]]]:
    """Measure `jobs` rows in parallel and yield each when done; a failed row has `error` and no `options`.

    If the caller stops or is interrupted, rows that have not started are cancelled.
    """
    with ThreadPoolExecutor(jobs) as pool:
        try:
            running = {pool.submit(measured, row): row for row in wanted}
            for done in as_completed(running):
                row = running[done]
                try:
                    figures = done.result()
                except Exception as error:
                    figures = {"table": row.table, "name": row.name, "error": str(error)}
                yield row, figures
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="quick")
    parser.add_argument("--only", action="append", metavar="TABLE", help="sizes, epochs, ablations, ...")
    parser.add_argument("--row", action="append", metavar="NAME", help="only the rows of these names")
    parser.add_argument("--jobs", type=int, default=1, help="fits in parallel; they share the cores")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path, required=True, help="results; existing rows are kept")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    every = [*rows(scale), *task_rows(scale)]
    wanted = [row for row in every if not options.only or row.table in options.only]
    wanted = [row for row in wanted if not options.row or row.name in options.row]
    results = stored(options.json, scale)
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // options.jobs))
    part = BENCHMARK_CLIPS[scale.clip]
    sample = tasks.lossless(read_clip(part.path, part.source), options.out / f"{scale.clip}.mkv")
    missing = [row for row in wanted if results.get(row.key, {}).get("options") != list(row.options)]

    def measured(row: Row) -> dict[str, Any]:
        return measure(row, scale, sample, options.out, options.device)

    with closing(measure_all(missing, measured, options.jobs)) as measurements:
        for row, figures in measurements:
            results[row.key] = figures
            print(f"{row.key}: {figures.get('error', 'done')}", file=sys.stderr, flush=True)
            write_report(options.json, "benchmarks.paper", list(results.values()), scale=scale.name)
    print_tables(results, every)
    if any("error" in results.get(row.key, {}) for row in wanted):
        sys.exit(1)


if __name__ == "__main__":
    main()
