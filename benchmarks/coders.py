"""Speed and compression of every symbol coder on one core: `python -m benchmarks.coders [--json FILE]`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import write_report
from bitstream.coders import CODERS, SymbolCoder, encode_smallest

TARGET_SYMBOLS_PER_SECOND = 20e6


def tensors(count: int) -> dict[str, NDArray[np.int32]]:
    """Random tensors of about `count` symbols, each suited to the coder that its name starts with."""
    generator = np.random.default_rng(1)
    rows = 64
    scales = np.exp2(generator.normal(1.5, 1.0, (rows, 1)))
    return {
        "uniform": generator.integers(-128, 128, count).astype(np.int32),
        "packed": generator.integers(0, 1 << 16, count).astype(np.int32),
        "packed 5 bits": generator.integers(0, 32, count).astype(np.int32),
        "categorical": np.rint(generator.standard_t(3, count) * 4).clip(-60, 60).astype(np.int32),
        "laplace": np.rint(generator.laplace(0, 4, count)).astype(np.int32),
        "laplace rows": np.rint(generator.laplace(0, 1, (rows, count // rows)) * scales).astype(np.int32),
        "gaussian": np.rint(generator.normal(0, 30, count)).astype(np.int32),
        "levels": generator.choice(4, size=count, p=(0.4, 0.3, 0.2, 0.1)).astype(np.int32),
    }


def best_seconds(action: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` runs, which other processes disturbed least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(name: str, symbols: NDArray[np.int32], repeats: int) -> dict[str, Any]:
    """Figures of the coder that the tensor's name starts with; raises `RuntimeError` if decoding fails."""
    coder: SymbolCoder = next(coder for coder in CODERS.values() if coder.name == name.split()[0])
    payload = coder.encode(symbols)
    if not np.array_equal(coder.decode(payload, symbols.size), symbols.ravel()):
        raise RuntimeError(f"{coder.name} decoded symbols that differ from the encoded ones")
    encode_seconds = best_seconds(lambda: coder.encode(symbols), repeats)
    decode_seconds = best_seconds(lambda: coder.decode(payload, symbols.size), repeats)
    cost_seconds = best_seconds(lambda: coder.cost_bits(symbols), repeats)
    choice_seconds = best_seconds(lambda: encode_smallest(symbols), repeats)
    return {
        "tensor": name,
        "coder": coder.name,
        "symbols": symbols.size,
        "bits_per_symbol": 8 * len(payload) / symbols.size,
        "encode_symbols_per_second": symbols.size / encode_seconds,
        "decode_symbols_per_second": symbols.size / decode_seconds,
        "cost_seconds": cost_seconds,
        "encode_smallest_seconds": choice_seconds,
    }


def main(arguments: Iterable[str] | None = None) -> int:
    """Measure all coders, print a table and write JSON on request; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coders", description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--symbols", type=int, default=1_500_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(None if arguments is None else list(arguments))

    print(f"{'tensor':14} {'bits/symbol':>11} {'encode':>9} {'decode':>9} {'cost':>8} {'smallest':>9}")
    print(f"{'':14} {'':>11} {'M/s':>9} {'M/s':>9} {'ms':>8} {'ms':>9}")
    rows = []
    for name, symbols in tensors(options.symbols).items():
        row = measure(name, symbols, options.repeats)
        rows.append(row)
        speeds = [row["encode_symbols_per_second"], row["decode_symbols_per_second"]]
        slow = min(speeds) < TARGET_SYMBOLS_PER_SECOND
        print(
            f"{name:14} {row['bits_per_symbol']:11.3f} {speeds[0] / 1e6:9.1f} {speeds[1] / 1e6:9.1f} "
            f"{1e3 * row['cost_seconds']:8.2f} {1e3 * row['encode_smallest_seconds']:9.1f}"
            + ("  below the target" if slow else "")
        )
    if options.json is not None:
        target = TARGET_SYMBOLS_PER_SECOND
        write_report(options.json, "benchmarks.coders", rows, cores_used=1, target_symbols_per_second=target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
