"""Runs every `inrc` command of README and docs, with tiny files and cheap options instead of its own.

Commands that only differ from earlier ones by values, and those that start processes, are marked slow.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from documented_commands import SINKS, Line, documented_lines, make_stand_ins, outputs_of, parsed

from inrcodec.cli.main import run

pytestmark = pytest.mark.end_to_end


def _parameters() -> Iterator[Any]:
    """All commands; one that adds no word to those before it, or starts workers, is marked slow."""
    seen: set[tuple[str, ...]] = set()
    for name, line in documented_lines().items():
        given = [Path(word).suffix or word for word in line.cheap()]
        piped = [("standard input", one) for one in [line.standard_input] if one is not None]
        # The word before gives the meaning: the `-` of `-o -` is not a source.
        words = {(line.words[0], *pair) for pair in [*pairwise(given), *piped]}
        is_costly = words <= seen or "--workers" in line.words
        yield pytest.param(line, id=name, marks=[pytest.mark.slow] if is_costly else [])
        if not is_costly and line.skipped is None:
            seen |= words


LINES = list(_parameters())


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand-ins")
    make_stand_ins(folder)
    return folder


@pytest.fixture
def place(hurried: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bring(line: Line, stand_ins: Path, place: Path) -> None:
    """Copy the files that the command names, and create the folder of its output."""
    have = [str(path.relative_to(stand_ins)) for path in stand_ins.rglob("*") if path.is_file()]
    for word in line.inputs:
        for name in fnmatch.filter(have, re.sub(r"%\d*d", "*", word)):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stand_ins / name, place / name)
    if line.output is not None and not line.output.endswith("/"):
        (place / line.output).parent.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("line", LINES)
def test_what_is_documented_runs(
    line: Line,
    stand_ins: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    if line.skipped is not None:
        pytest.skip(line.skipped)
    bring(line, stand_ins, place)
    before = set(os.listdir(place))
    with ExitStack() as opened:
        if line.standard_input is not None:
            file = opened.enter_context(open(place / line.standard_input))
            monkeypatch.setattr("sys.stdin", file)
        code = run(line.cheap())
    captured = capfdbinary.readouterr()
    assert code == line.exit_code, captured.err.decode()
    made = outputs_of(line, place)
    for path in made:
        assert path.stat().st_size > 0, path
    if line.sink is not None:
        assert captured.out.startswith(SINKS[line.sink])
    elif not made:
        assert captured.out.strip()
    # No other file is left, not even a hidden one.
    roots = {path.relative_to(place).parts[0] for path in made}
    assert set(os.listdir(place)) - before <= roots


def test_lines_are_found_with_what_they_are_piped_from_and_to() -> None:
    lines = documented_lines().values()
    assert len(lines) > 50
    assert {line.words[0] for line in lines} >= {"encode", "decode", "info", "models", "verify", "eval"}
    assert {line.standard_input for line in lines} >= {"in.y4m", "out.inrv"}
    assert {line.sink for line in lines} >= {"ffplay"}


def test_options_are_replaced_and_the_rest_stays() -> None:
    line = parsed("cat a.y4m | inrc encode - -o b.inrv --time 1h --model nerv --bpp 0.1 -y".split())
    assert line is not None and (line.standard_input, line.output, line.exit_code) == ("a.y4m", "b.inrv", 0)
    asked = "encode - -o b.inrv --model nerv --size 3k -y --epochs 0.3 --device cpu"
    assert line.cheap() == asked.split()
    assert parsed("python -m benchmarks.rd carphone".split()) is None
    damaged = parsed("inrc info damaged.inrv --skip-damaged".split())
    assert damaged is not None and damaged.exit_code == 4


@pytest.mark.parametrize("wrong", ["inrc decode out.inrv -o out.xyz", "inrc encode missing.mp4 -o a.inrv"])
def test_a_line_that_fails_would_be_found(wrong: str, stand_ins: Path, place: Path) -> None:
    line = parsed(wrong.split())
    assert line is not None
    bring(line, stand_ins, place)
    assert run(line.cheap()) != 0
