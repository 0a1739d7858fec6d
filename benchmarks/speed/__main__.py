"""Speed and memory of fitting, rendering, coding, complete decodes and start-up, in one run.

    python -m benchmarks.speed FILE.inrv [--part training ...] [--authors DIR] [--json FILE] [--plot FILE.svg]

Training and rendering alternate between our network and the plain reference (`authors.plain`), A B, B A, each
in a separate process. With a checkout of haochen-rye/HNeRV, the authors' code takes turns too. Decodes are
timed on FILE.inrv, a clip encoded with the default model. The roofs of the plot are peaks measured on this
machine: products of large matrices in the types of both, and a memory copy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.authors.programs import Authors
from benchmarks.record import run_record, stored_results, write_report
from benchmarks.speed.convergence import convergence
from benchmarks.speed.networks import NETWORKS, Contenders
from benchmarks.speed.processes import decoding, encoding, entropy_coding, one_frame, start_up
from benchmarks.speed.training import rendering, training
from bitstream import probe
from inrcodec.system.device import choose_device, compute_dtype

PARTS = ("training", "rendering", "decode", "one-frame", "start-up", "entropy", "encode", "convergence")
SIDE = 2048
Rows = list[dict[str, Any]]


def peaks() -> dict[str, float]:
    """Peak operations per second by type of ours and of the plain reference, and bytes per second of a copy.

    A multiplication and an addition are two operations; a copied byte counts as read and as written. bfloat16
    is only measured if ours uses it: without units for it, a processor takes a minute for one such product.
    """
    found, device = {}, choose_device("auto")
    for dtype in dict.fromkeys((compute_dtype("auto", device), torch.float32)):
        one, other = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
        found[str(dtype).removeprefix("torch.")] = 2 * SIDE**3 / _best_seconds(partial(torch.mm, one, other))
    source = torch.zeros(1 << 26, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * source.nbytes / _best_seconds(lambda: target.copy_(source))
    return found


def _best_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measure(part: str, file: Path, rounds: int, epochs: int, checkout: Path | None) -> Rows:
    """Measure one of `PARTS` and return its rows."""
    if part in ("training", "rendering"):
        compared = training if part == "training" else rendering
        return [compared(Contenders.of(network, checkout), rounds) for network in NETWORKS]
    if part == "decode":
        header = probe(file).header
        with tempfile.TemporaryDirectory() as folder:
            return decoding(file, header.frame_count, header.width * header.height, Path(folder))
    if part == "encode":
        with tempfile.TemporaryDirectory() as folder:
            return encoding(Path(folder))
    if part == "convergence":
        return convergence(epochs)
    if part == "one-frame":
        return [one_frame(file, probe(file).header.frame_count)]
    return start_up(file) if part == "start-up" else entropy_coding()


def _is_of(part: str, epochs: int, row: dict[str, Any]) -> bool:
    """Whether measuring `part` replaces the row; races with other epochs stay."""
    kind = {"one-frame": "one frame", "entropy": "entropy coding"}.get(part, part)
    return bool(row["kind"] == kind and row.get("plain_epochs", epochs) == epochs)


def line(row: dict[str, Any], roofs: dict[str, float]) -> str:
    """Format a row as a line of text."""
    name = row.get("network") or row.get("command") or row.get("coder") or f"frame {row.get('frame')}"
    text = f"{row['kind']:14} {name:22}"
    if "ratio" in row:
        share = row["flops_per_second"] / roofs[row["precision"]]
        beside = f", the authors' code {row['authors_ratio']:.2f}" if "authors_ratio" in row else ""
        return (
            f"{text} {row['frames_per_second']:8.2f} fps, plain {row['plain_frames_per_second']:7.2f} fps:"
            f" {row['ratio']:5.2f} times as fast{beside}, {share:.0%} of the peak"
        )
    if "encoded_per_second" in row:
        encoded, decoded = row["encoded_per_second"] / 1e6, row["decoded_per_second"] / 1e6
        return f"{text} {encoded:8.1f} and {decoded:.1f} million symbols/s, encoded and decoded"
    if "first_seconds" in row:
        return f"{text} {row['first_seconds']:8.2f} s, the next {row['next_seconds']:.2f} s"
    if "times_as_fast" in row:
        plain = f"plain {row['plain']['seconds']:.0f} s for {row['plain']['psnr_db']:.2f} dB"
        if not row["is_reached"]:
            return f"{text} {row['seconds']:8.0f} s for {row['ours'][-1]['psnr_db']:.2f} dB only, {plain}"
        return f"{text} {row['seconds']:8.0f} s, {plain}: {row['times_as_fast']:.1f} times as fast"
    rate = f", {row['frames_per_second']:.1f} fps" if "frames_per_second" in row else ""
    return f"{text} {row['seconds']:8.2f} s{rate}, {row['peak_bytes'] / 2**20:.0f} MiB"


def draw(rows: Rows, roofs: dict[str, float], path: Path) -> None:
    """Plot the roofline: achieved and peak operations per second over operations per byte of convolutions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    ours = "bfloat16" if "bfloat16" in roofs else "float32"
    for name, dtype in (("ours", ours), ("plain", "float32")):
        size = getattr(torch, dtype).itemsize
        corner = roofs[dtype] / roofs["bytes"]
        colour = "C0" if name == "ours" else "C1"
        reached = [10.0, corner, 3000.0]
        roof = [min(roofs[dtype], intensity * roofs["bytes"]) for intensity in reached]
        axes.plot(reached, roof, "--", color=colour, label=f"roof, {dtype}")
        rate = "frames_per_second" if name == "ours" else "plain_frames_per_second"
        for kind, marker in (("training", "o"), ("rendering", "^")):
            chosen = [row for row in rows if row["kind"] == kind]
            intensities = [row["flops_a_frame"] / (size * row["values_a_frame"]) for row in chosen]
            speeds = [row[rate] * row["flops_a_frame"] for row in chosen]
            axes.plot(intensities, speeds, marker, color=colour, label=f"{kind}, {name}")
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="operations per second")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=50, help="epochs of the plain fit that ours races")
    parser.add_argument("--authors", type=Path, help="checkout of haochen-rye/HNeRV to compare with")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows, roofs = stored_results(options.json), peaks()
    run = run_record("benchmarks.speed") | {"peaks": roofs}
    if options.authors:
        run["authors"] = Authors(options.authors).digests()
    print(", ".join(f"{name} {value / 1e9:.0f} G/s" for name, value in roofs.items()))
    for part in options.part or PARTS:
        rows = [row for row in rows if not _is_of(part, options.epochs, row)]
        found = measure(part, options.file, options.rounds, options.epochs, options.authors)
        # Rows of earlier runs stay, so each row names its run.
        rows += [row | {"run": run} for row in found]
        for row in found:
            print(line(row, roofs), flush=True)
        if options.json:
            write_report(options.json, "benchmarks.speed", rows, peaks=roofs, threads=torch.get_num_threads())
    if options.plot:
        draw(rows, roofs, options.plot)


if __name__ == "__main__":
    main()
