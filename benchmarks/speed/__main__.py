"""How fast everything is: fitting, rendering, coding, whole decodes, start-up and memory, in one run.

    python -m benchmarks.speed FILE.inrv [--part training ...] [--authors DIR] [--json FILE] [--plot FILE.svg]

Training and rendering run ours and the plain reference (`authors.plain`) in turn, A B, B A, each in a process
of its own, and with them the authors' code where there is a checkout of haochen-rye/HNeRV. FILE.inrv
is what the default model makes of a clip; decodes are timed on it. The peak is what products of large
matrices reach on this machine, in the types of both, and what a copy of memory reaches: the plot's roofs.
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
    """Products a second times two, in the types that ours and the plain reference compute in, and bytes a
    second of a copy (read and written).

    A processor without units for bfloat16, where ours is float32 too, takes a minute for one such product.
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
    """The rows of a part."""
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
    """Whether that part gives the row anew. Races of other epochs stay."""
    kind = {"one-frame": "one frame", "entropy": "entropy coding"}.get(part, part)
    return bool(row["kind"] == kind and row.get("plain_epochs", epochs) == epochs)


def line(row: dict[str, Any], roofs: dict[str, float]) -> str:
    """A row of the table."""
    name = row.get("network") or row.get("command") or row.get("coder") or f"frame {row.get('frame')}"
    text = f"{row['kind']:14} {name:22}"
    if "ratio" in row:
        share = row["flops_per_second"] / roofs[row["precision"]]
        beside = f", the authors' code {row['authors_ratio']:.2f}" if "authors_ratio" in row else ""
        return (
            f"{text} {row['frames_per_second']:8.2f} frames/s, plain {row['plain_frames_per_second']:7.2f}:"
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
    rate = f", {row['frames_per_second']:.1f} frames/s" if "frames_per_second" in row else ""
    return f"{text} {row['seconds']:8.2f} s{rate}, {row['peak_bytes'] / 2**20:.0f} MiB"


def draw(rows: Rows, roofs: dict[str, float], path: Path) -> None:
    """The roofline: what is reached and what could be, by operations a byte that convolutions move."""
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
    axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="operations a second")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=50, help="of the plain fit that is to be reached")
    parser.add_argument("--authors", type=Path, help="checkout of haochen-rye/HNeRV, to run in turn too")
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
        # Other rows may stay from other runs.
        rows += [row | {"run": run} for row in found]
        for row in found:
            print(line(row, roofs), flush=True)
        if options.json:
            write_report(options.json, "benchmarks.speed", rows, peaks=roofs, threads=torch.get_num_threads())
    if options.plot:
        draw(rows, roofs, options.plot)


if __name__ == "__main__":
    main()
