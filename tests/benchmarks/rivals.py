"""Rivals for tests of `in_turn`: without torch, so that their processes start at once."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.speed.turns import Turn


def recorded(name: str, file: Path) -> Turn:
    """A turn that appends its name and process to `file` and returns the number of entries."""

    def take() -> float:
        with file.open("a") as order:
            order.write(f"{name}{os.getpid()} ")
        return float(len(file.read_text().split()))

    return take


def absent() -> Turn:
    raise FileNotFoundError("no such checkout")
