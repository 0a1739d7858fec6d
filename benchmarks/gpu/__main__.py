"""Checks and measures fits and decodes on a GPU, in at most eight minutes.

    python -m benchmarks.gpu --json FILE [--only fit] [--seconds 480] [--out FOLDER]

Checks that each family makes the same file twice, and that GPU and CPU decode the same frames within a level.
Measures the paper's fit of HNeRV on Bunny, decoding, training beside the plain reference, the steps of each
family, and `inrc`. Each part prints its figures when it is done and is stored in FILE. A run that is stopped,
or has no time left, continues when it is started again: parts that FILE has of this commit and device stay.
The exit code is 0 once all parts are done and all checks hold. `--toy` does the same with small networks on
any device, to test this program.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import OutOfTime, Place, measured, parts_of
from benchmarks.gpu.scales import FULL, TOY
from benchmarks.record import commit, stored_results, write_report
from inrcodec.system.device import choose_device, describe_device

CHECKS = {"is_same_file": 1.0, "are_same_frames": 1.0, "levels_from_cpu": -1.0}
"""Limits that every part must keep: at least this, or at most this without the sign if it is negative."""
BARS: Mapping[tuple[str, str], float] = {
    ("fit", "fit_seconds"): -120.0,
    ("fit", "float_psnr_db"): 35.19,
    ("decode", "frames_per_second"): 1000.0,
    ("race", "ratio"): 5.0,
}
"""Goals of the full scale, in the same form; a missed one is shown, and is no error."""


def keeps(value: float, limit: float) -> bool:
    """Whether a figure is at least `limit`, or at most -`limit` if that is negative."""
    return value >= limit if limit >= 0 else value <= -limit


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether a part was measured and its checks hold."""
    checked = all(keeps(float(row[name]), limit) for name, limit in CHECKS.items() if name in row)
    return "error" not in row and checked


def lines(row: Mapping[str, Any]) -> list[str]:
    """A row as lines of a table: part, figure, value, and the goal if there is one."""
    if "error" in row:
        return [f"{row['part']:18} error: {row['error']}"]
    made = []
    for name, value in row.items():
        if name in ("part", "device", "commit", "scale", "rounds") or value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        shown = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if is_number else str(value)
        limit = CHECKS.get(name, BARS.get((row["part"], name)) if row["scale"] == FULL.name else None)
        goal = ""
        if limit is not None:
            order = "at most" if limit < 0 else "at least"
            goal = f"{order} {abs(limit):g}: {'yes' if keeps(float(value), limit) else 'NO'}"
        made.append(f"{row['part']:18} {name:24} {shown:>16}  {goal}".rstrip())
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, help="results; existing parts are kept")
    parser.add_argument("--only", action="append", default=[], help="a part, such as 'fit' or 'check inrc'")
    parser.add_argument("--seconds", type=float, default=480.0, help="limit of this run")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true", help="small networks, on any device")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    device, scale = choose_device(options.device), TOY if options.toy else FULL
    tag = {"device": describe_device(device), "commit": commit(), "scale": scale.name}
    place = Place(scale, str(device), options.out, time.monotonic() + options.seconds)
    rows = {row["part"]: row for row in stored_results(options.json) if row.items() >= tag.items()}
    parts = parts_of(scale)
    wanted = [name for name in parts if not options.only or name in options.only]
    print(f"{tag['device']}, commit {tag['commit']}", flush=True)
    for name in wanted:
        seconds, part = parts[name]
        if not is_right(rows.get(name, {"error": "missing"})):
            if place.left < seconds:
                continue
            try:
                rows[name] = {"part": name, **tag, **measured(part, place)}
            except OutOfTime:
                continue
            except Exception as error:
                rows[name] = {"part": name, **tag, "error": f"{type(error).__name__}: {error}"}
            write_report(options.json, "benchmarks.gpu", list(rows.values()))
        print("\n".join(lines(rows[name])), flush=True)
    missing = [name for name in wanted if name not in rows]
    if missing:
        print(f"no time left for {', '.join(missing)}: the same command goes on")
    return 0 if all(is_right(rows.get(name, {"error": "missing"})) for name in wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
