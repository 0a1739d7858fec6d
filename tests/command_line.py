"""A real `inrc` in a process of its own, and the places that tests read from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
CARPHONE = str(ROOT / "benchmarks" / "clips" / "carphone.mp4")
SMALL = ["--frames", "0:3", "--scale", "32x24", "--bpp", "4", "--epochs", "1", "--device", "cpu"]


def inrc(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """A real `inrc`, its streams no terminals."""
    command = [sys.executable, "-m", "inrcodec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, env=environment(), timeout=120)


def environment(**more: str) -> dict[str, str]:
    """The variables of a process that runs this checkout on one thread and fails at a warning."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "OMP_NUM_THREADS": "1",
        **more,
    }


def only_line(output: bytes) -> str:
    """The one line of an error, which must be all that was said."""
    text = output.decode()
    assert text.startswith("inrc: error: ")
    assert text.count("\n") == 1
    return text
