"""Writes docs/results.md: every stored result as a table, with the command, machine and commit it came from.

    python -m benchmarks.results_page

The page is made of `benchmarks/results/*.json` alone: who measures anew runs this afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results_page import costs, tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Made by `python -m benchmarks.results_page` from the files in `benchmarks/results/`, and by nobody's hand.
PSNR is over RGB, the mean over frames, of the file decoded anew. What is told of all this is in the
[README](../README.md#results).
"""

Report = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A heading, the files below it, and how each file becomes lines."""

    title: str
    patterns: tuple[str, ...]
    lines: Callable[[Report], Iterable[str]]
    together: bool = False
    """One table for all files, each of which gives a row."""


PARTS = (
    Part("Rate against distortion", ("rd-*.json",), tables.rate_distortion),
    Part("Rate control", ("rate-control.json",), tables.rate_control),
    Part("Single files", ("bunny-*.json",), tables.single, together=True),
    Part("What the parts of inrc are worth", ("ablation.json",), tables.ablation),
    Part("The tables of the papers", ("paper-*.json",), tables.paper),
    Part("Frames between frames", ("interpolation-*.json",), tables.interpolation, together=True),
    Part("Decoding", ("decoding*.json",), costs.decoding, together=True),
    Part("Speed", ("speed*.json",), costs.speed),
    Part("Quality after equal time", ("equal-time*.json",), costs.equal_time),
    Part("Entropy coders", ("coders.json",), costs.coders),
    Part("Twenty minutes of video", ("long-clip.json",), costs.long_clip),
    Part("Bits among scenes", ("evenness.json",), tables.evenness),
    Part("Inputs", ("inputs.json",), tables.inputs),
    Part("Encodes that are stopped", ("soak.json",), tables.soak),
    Part("What segments and frames cost", ("scaling.json",), costs.scaling),
)


def origin(path: Path, report: Report) -> str:
    """The command, machine and commit of a file, as an item of a list."""
    machine = report["machine"]
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    torch = machine["packages"]["torch"]
    where = f"{machine['cores']} cores of {machine['processor']}{gpu}, torch {torch}"
    plot = path.with_suffix(".svg")
    curves = f" ([curves](../benchmarks/results/{plot.name}))" if plot.exists() else ""
    # Rows of several runs name their own.
    runs = [row.get("run", report) for row in report["results"]] or [report]
    said = dict.fromkeys(f"`{run['command']}`; commit {run['commit']}, {run['date']}" for run in runs)
    return f"- [{path.name}](../benchmarks/results/{path.name}){curves}: {'; '.join(said)}; {where}"


def part_lines(part: Part, paths: Sequence[Path]) -> list[str]:
    """The section of one part: tables, each followed by where it is from."""
    lines = ["", f"## {part.title}", ""]
    reports = [json.loads(path.read_text()) for path in paths]
    if part.together:
        merged = {**reports[0], "results": [row for report in reports for row in report["results"]]}
        lines += [*part.lines(merged), ""]
        return lines + [origin(path, report) for path, report in zip(paths, reports, strict=True)]
    for path, report in zip(paths, reports, strict=True):
        lines += [*part.lines(report), "", origin(path, report), ""]
    return lines[:-1]


def page(folder: Path = RESULTS) -> str:
    """The whole page. Files that no part knows are listed at its end."""
    lines, left = HEAD.splitlines(), set(folder.glob("*.json"))
    for part in PARTS:
        paths = sorted(path for path in left if any(path.match(pattern) for pattern in part.patterns))
        left -= set(paths)
        if paths:
            lines += part_lines(part, paths)
    if left:
        lines += ["", "## Other files", ""]
        lines += [origin(path, json.loads(path.read_text())) for path in sorted(left)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
