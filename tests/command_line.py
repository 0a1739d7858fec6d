"""Runs `inrc` in a separate process, and names the folders and clips that tests read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click

from inrcodec.cli.main import commands

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "own-family"
GOLDEN = ROOT / "tests" / "golden"
CARPHONE = str(ROOT / "benchmarks" / "clips" / "carphone.mp4")
SMALL = ["--frames", "0:3", "--scale", "32x24", "--bpp", "4", "--epochs", "1", "--device", "cpu"]


def inrc(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run `inrc` in a process whose streams are not terminals."""
    command = [sys.executable, "-m", "inrcodec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, env=environment(), timeout=120)


def installed_example(folder: Path) -> Path:
    """Make `folder` a place of installed packages with the example of docs/own-family.md, and return it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copy(EXAMPLE / "inrc_wave.py", folder)
    info = folder / f"inrc_wave-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    rows = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(rows))
    return folder


def context_of(name: str, arguments: list[str]) -> click.Context:
    """Context of a command line that is parsed but not run.

    It has a parent like a real one: click keeps the help option of the first context of a command, and the
    names of that option come from the group.
    """
    group = click.Context(commands, info_name="inrc", **commands.context_settings)
    return commands.commands[name].make_context(name, arguments, parent=group)


def environment(**more: str) -> dict[str, str]:
    """Environment for a process that runs this checkout on one thread and turns warnings into errors."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "OMP_NUM_THREADS": "1",
        **more,
    }


def only_line(output: bytes) -> str:
    """Return an error message; assert that it is one line and the only output."""
    text = output.decode()
    assert text.startswith("inrc: error: ")
    assert text.count("\n") == 1
    return text
