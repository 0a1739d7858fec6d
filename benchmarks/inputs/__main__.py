"""Runs every input file of `inputs.table` through `inrc encode` and `inrc decode` and checks the result.

    python -m benchmarks.inputs [--only WORD] [--json FILE]

Each file is made, encoded with a fit of a few steps, decoded to a video, and compared with PyAV's reading of
the source (see `inputs.checks`). Exits with 1 if anything differs from the table.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inputs.checks import differences, summary
from benchmarks.inputs.table import INPUT_FILES, InputFile
from benchmarks.record import write_report
from inrcodec.cli.main import run

TINY = ("--model", "hnerv", "--epochs", "0.2", "--size", "6k", "--device", "cpu")
ERROR, NOTE = "inrc: error: ", "inrc: note: "


@dataclass(frozen=True)
class Outcome:
    """Result of one input."""

    summary: str
    """Content of the .inrv, or the one-line error."""
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    """Differences from the table or from the source."""


def examine(case: InputFile, folder: Path) -> Outcome:
    """Make the input in the empty `folder`, encode it, decode it, and check the results."""
    path = folder / case.file
    case.make(path)
    before = sorted(os.listdir(folder))
    coded, decoded = folder / "coded.inrv", folder / case.output
    source = "-" if case.is_piped else str(path)
    with _standard_input(path if case.is_piped else None):
        code, lines = _run("encode", source, "-o", str(coded), *TINY, *case.options)
    lines = [line.replace(f"{folder}{os.sep}", "") for line in lines]
    notes = tuple(line.removeprefix(NOTE) for line in lines if line.startswith(NOTE))
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if code != 0 or case.refusal is not None:
        text = f"exit {code}: {' | '.join(errors)}"
        return Outcome(text, notes, tuple(_refusal_failures(case, code, errors, before, folder)))
    failures = [f"note: {line}" for line in _unexpected(case.notes, notes)]
    code, lines = _run("decode", str(coded), "-o", str(decoded), "--device", "cpu")
    if code != 0:
        return Outcome(lines[-1], notes, (*failures, f"decode failed with exit code {code}"))
    left = sorted(set(os.listdir(folder)) - {*before, coded.name, decoded.name})
    failures += [f"left behind: {name}" for name in left]
    failures += differences(case, path, coded, decoded)
    return Outcome(summary(coded), notes, tuple(failures))


def _run(*words: str) -> tuple[int, list[str]]:
    """Run a command in this process; returns its exit code and its lines on stderr."""
    with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()):
        code = run(words)
    return code, said.getvalue().splitlines()


@contextmanager
def _standard_input(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    kept = sys.stdin
    with open(path) as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = kept


def _refusal_failures(
    case: InputFile, code: int, errors: Sequence[str], before: Sequence[str], folder: Path
) -> Iterator[str]:
    expected, says = case.refusal or (0, "")
    if code != expected:
        yield f"exit code {code}, not {expected}"
    if case.refusal is not None and (len(errors) != 1 or says not in errors[0]):
        yield f"expected a one-line error with: {says}"
    if sorted(os.listdir(folder)) != before:
        yield f"left behind: {sorted(set(os.listdir(folder)) - set(before))}"


def _unexpected(expected: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    """One failure if the notes differ from those in the table."""
    if len(expected) != len(found) or not all(map(str.startswith, found, expected)):
        yield f"expected {list(expected)}, found {list(found)}"


def row(case: InputFile, outcome: Outcome) -> dict[str, Any]:
    """The result of one input as values for JSON."""
    return {
        "input": case.name,
        "file": case.file if not case.is_piped else f"- ({case.file})",
        "options": " ".join(case.options),
        "result": outcome.summary,
        "notes": list(outcome.notes),
        "failures": list(outcome.failures),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inputs", description=__doc__)
    parser.add_argument("--only", default="", help="only inputs whose name or file contains this word")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, started = [], time.monotonic()
    for case in INPUT_FILES:
        if options.only.lower() not in f"{case.name} {case.file}".lower():
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = row(case, examine(case, Path(folder)))
        rows.append(found)
        verdict = "" if not found["failures"] else f"  FAILED: {'; '.join(found['failures'])}"
        said = "".join(f"; {note}" for note in found["notes"])
        name = " ".join(filter(None, (found["file"], found["options"])))
        print(f"{found['input']:33} {name:24} {found['result']}{said}{verdict}", flush=True)
    failed = sum(bool(found["failures"]) for found in rows)
    print(f"{len(rows)} inputs, {failed} failed, {time.monotonic() - started:.0f} s")
    if options.json:
        write_report(options.json, "benchmarks.inputs", rows)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
