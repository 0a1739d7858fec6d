"""The tables of the papers on Bunny, from real files: by size, by epochs, ablations, compression.

    python -m benchmarks.paper --scale quick [--jobs 2] [--only sizes] --json FILE
    python -m benchmarks.paper --scale full --json FILE          (a GPU; any part of it: `--only`)

`quick` is the clip at a quarter of its sides and a few epochs, for two CPU cores; what it can show is the
order of the methods. All rows of a table have the same epochs. Rows that the JSON file already holds are not
fitted again: an interrupted run goes on where it stopped. `--only` names tables: sizes, epochs, ablations,
compression, tasks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import tasks
from benchmarks.record import BENCHMARK_CLIPS, write_report
from inrcodec.video import read_clip

FLOAT = ("--preset", "paper", "--prune", "0", "--weight-bits", "12", "--embedding-bits", "12")
"""A fit of float weights, stored so finely that the file shows them as they are."""
PAPER_DB: dict[str, dict[str, float]] = {
    "nerv": {"0.35M": 26.99, "0.75M": 28.46, "1.5M": 30.87, "3M": 33.21},
    "hnerv": {"0.35M": 30.15, "0.75M": 32.81, "1.5M": 35.19, "3M": 37.43},
    "snerv": {"0.35M": 30.88, "0.75M": 33.25, "1.5M": 36.76, "3M": 39.64},
    "snerv-t": {"0.35M": 30.40, "0.75M": 33.19, "1.5M": 36.53, "3M": 39.09},
}
"""PSNR after 300 epochs by size: HNeRV, Table 2; SNeRV, Table 9."""


@dataclass(frozen=True)
class Row:
    """One fit: what it is called in its table, and the options of `inrc encode` that make it."""

    table: str
    name: str
    options: tuple[str, ...]
    paper_db: float | None = None
    """The papers' PSNR at full size."""

    @property
    def key(self) -> str:
        return f"{self.table}/{self.name}"


@dataclass(frozen=True)
class Scale:
    """What one of the two scales fits."""

    clip: str
    sizes: dict[str, str]
    """Parameters of the networks, by what the papers call the size."""
    ablated: str
    """The size (in the papers' terms) of the ablations and of the table by epochs."""
    epochs: float
    learning_rate: str
    batch: str
    bpp: str
    """Of the compared files."""
    loss: dict[str, str]
    """Of a model, where it is not l2: its authors'."""


SCALES = {
    "quick": Scale(
        clip="bunny-quarter",
        sizes={"0.75M": "47k", "1.5M": "94k"},
        ablated="1.5M",
        epochs=12,
        learning_rate="5e-3",
        batch="1",
        bpp="0.10",
        loss={"snerv": "wavelet", "snerv-t": "wavelet"},
    ),
    "full": Scale(
        clip="bunny",
        sizes={"0.35M": "0.35M", "0.75M": "0.75M", "1.5M": "1.5M", "3M": "3.05M"},
        ablated="1.5M",
        epochs=300,
        learning_rate="1e-3",
        batch="1",
        bpp="0.06",
        loss={"snerv": "wavelet", "snerv-t": "wavelet"},
    ),
}
"""A quarter of each side leaves a sixteenth of the pixels, so `quick` has a sixteenth of the parameters."""


def rows(scale: Scale) -> list[Row]:
    """All fits of a scale, table by table."""
    return [*_sizes(scale), *_epochs(scale), *_ablations(scale), *_compression(scale)]


def _float_options(scale: Scale, model: str, size: str) -> tuple[str, ...]:
    """A network of a size, fitted as the papers do, in a file that shows its float weights as they are."""
    parameters = scale.sizes[size]
    # Three bytes a value are more than 12 bits need: the search then makes steps finer, never coarser.
    room = str(round(3 * _count(parameters)))
    network = ("--parameters", parameters, "--size", room, *FLOAT)
    procedure = ("--learning-rate", scale.learning_rate, "--batch", scale.batch)
    return (*network, *procedure, "--loss", scale.loss.get(model, "l2"))


def _float_row(scale: Scale, table: str, name: str, model: str, size: str, *options: str) -> Row:
    words = ("--model", model, *_float_options(scale, model, size), *options)
    if "--epochs" not in options:
        words += ("--epochs", str(scale.epochs))
    return Row(table, name, words, PAPER_DB[model].get(size) if not options else None)


def _count(text: str) -> float:
    return float(text[:-1]) * {"k": 1e3, "M": 1e6}[text[-1]]


def _sizes(scale: Scale) -> Iterable[Row]:
    for size in scale.sizes:
        for model in PAPER_DB:
            yield _float_row(scale, "sizes", f"{model} {size}", model, size)


def _epochs(scale: Scale) -> Iterable[Row]:
    for model, factor in (("hnerv", 0.5), ("nerv", 2), ("hnerv", 2), ("snerv", 2)):
        epochs = f"{scale.epochs * factor:g}"
        yield _float_row(scale, "epochs", f"{model} {epochs}", model, scale.ablated, "--epochs", epochs)


def _ablations(scale: Scale) -> Iterable[Row]:
    """HNeRV, Tables 8 to 11; the paper's PSNR is that of 1.5M parameters."""
    paper = {
        "kernels=1-3": 35.02,
        "kernels=1-7": 35.07,
        "kernels=3-3": 33.09,
        "reduction=1": 34.96,
        "reduction=1.5": 34.98,
        "reduction=2": 34.32,
        "channels=8": 35.13,
        "channels=32": 35.08,
        "cells=2": 34.79,
        "cells=32": 35.12,
    }
    for option, paper_db in paper.items():
        row = _float_row(scale, "ablations", option, "hnerv", scale.ablated, "--model-option", option)
        yield Row(row.table, row.name, row.options, paper_db)


def _compression(scale: Scale) -> Iterable[Row]:
    """Files of equal size: the papers' pipelines, the supermasks of one decoder, and rate-trained fits."""
    common = ("--bpp", scale.bpp, "--epochs", str(scale.epochs))
    papers = (*common, "--preset", "paper", "--batch", scale.batch, "--learning-rate", scale.learning_rate)
    yield Row("compression", "nerv dense", ("--model", "nerv", *papers, "--prune", "0"))
    yield Row("compression", "nerv sparse 10 %", ("--model", "nerv", *papers, "--prune", "0.1"))
    yield Row("compression", "nerv sparse 40 %", ("--model", "nerv", *papers, "--prune", "0.4"))
    mask = ("--model", "supermask", *common, "--model-option", "decoder=nerv")
    yield Row("compression", "supermask nerv learned", mask)
    yield Row("compression", "supermask nerv fixed", (*mask, "--model-option", "scales=fixed"))
    for densities in ("0.5", "0.6,0.2", "0.7,0.4,0.2,0.1"):
        name = f"supermask nerv N={densities.count(',') + 1}"
        yield Row("compression", name, (*mask, "--model-option", f"densities={densities}"))
    yield Row("compression", "supermask hnerv learned", ("--model", "supermask", *common))
    yield Row("compression", "hnerv paper", ("--model", "hnerv", *papers))
    for model in ("nerv", "hnerv", "snerv"):
        yield Row("compression", f"{model} trained for rate", ("--model", model, *common))


def task_rows(scale: Scale) -> list[Row]:
    """The tasks; the row's options are those of the fits, `benchmarks.tasks` adds the others."""
    wanted = [("interpolation", model) for model in PAPER_DB]
    wanted += [("inpainting", "hnerv"), ("inpainting", "snerv"), ("denoising", "hnerv")]
    return [
        Row("tasks", f"{task} {model}", _float_options(scale, model, scale.ablated)) for task, model in wanted
    ]


def run_task(row: Row, sample: tasks.Sample, scale: Scale, folder: Path) -> list[dict[str, Any]]:
    """The figures of one task, a line each; denoising has one for each noise and length of the fit."""
    task, model = row.name.split()
    run = tasks.Run(model, scale.epochs, folder / f"paper-{task}-{model}", row.options)
    run.folder.mkdir(exist_ok=True)
    if task == "interpolation":
        return [tasks.interpolation(sample, run)]
    return [tasks.inpainting(sample, run)] if task == "inpainting" else tasks.denoising(sample, run)


def fit(row: Row, clip: str, folder: Path, device: str) -> dict[str, Any]:
    """Encode one row to a real file; its figures are those of the file's bytes, decoded again."""
    part = BENCHMARK_CLIPS[clip]
    output = folder / f"paper-{row.key.replace('/', '-').replace(' ', '-').replace('%', '')}.inrv"
    command = [sys.executable, "-m", "inrcodec", "encode", part.path, "-o", str(output), "--no-audio"]
    command += part.options
    command += [*row.options, "--device", device, "-y", "-q", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    reported = json.loads(done.stdout)
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
    """One block a table: ours beside the paper's."""
    table = ""
    for row in order:
        figures = results.get(row.key)
        if figures is None:
            continue
        if row.table != table:
            table = row.table
            print(f"\n{table:26} {'values':>8} {'bytes':>8} {'PSNR':>6} {'float':>6} {'paper':>6} {'s':>6}")
        if "lines" in figures:
            print("\n".join(tasks.line(figure) for figure in figures["lines"]))
            continue
        paper = "" if row.paper_db is None else f"{row.paper_db:.2f}"
        print(
            f"{row.name:26} {figures['parameter_count']:8} {figures['file_bytes']:8} "
            f"{figures['psnr_db']:6.2f} {figures['float_psnr_db']:6.2f} {paper:>6} {figures['seconds']:6.0f}"
        )


def measure(row: Row, scale: Scale, sample: tasks.Sample, folder: Path, device: str) -> dict[str, Any]:
    """One row of any table, as it is stored."""
    if row.table != "tasks":
        return fit(row, scale.clip, folder, device)
    lines = run_task(row, sample, scale, folder)
    return {"table": row.table, "name": row.name, "options": list(row.options), "lines": lines}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="quick")
    parser.add_argument("--only", action="append", metavar="TABLE", help="sizes, epochs, ablations, ...")
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, which share the cores")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path, required=True, help="results; rows that it holds are kept")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    every = [*rows(scale), *task_rows(scale)]
    wanted = [row for row in every if not options.only or row.table in options.only]
    results: dict[str, dict[str, Any]] = {}
    if options.json.exists():
        kept = json.loads(options.json.read_text())["results"]
        results = {f"{figures['table']}/{figures['name']}": figures for figures in kept}
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // options.jobs))
    part = BENCHMARK_CLIPS[scale.clip]
    sample = tasks.lossless(read_clip(part.path, part.source), options.out / f"{scale.clip}.mkv")
    with ThreadPoolExecutor(options.jobs) as pool:
        running = {
            pool.submit(measure, row, scale, sample, options.out, options.device): row
            for row in wanted
            if results.get(row.key, {}).get("options") != list(row.options)
        }
        for done in as_completed(running):
            results[running[done].key] = done.result()
            print(f"{running[done].key} is done", file=sys.stderr, flush=True)
            write_report(options.json, "benchmarks.paper", list(results.values()), scale=options.scale)
    print_tables(results, every)


if __name__ == "__main__":
    main()
