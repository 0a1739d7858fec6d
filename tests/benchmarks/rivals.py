"""Rivals for tests of `in_turn`: without torch, so that their processes start at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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


def in_this_process(rivals: Mapping[str, Callable[[], Turn]], rounds: int) -> dict[str, list[float]]:
    """Stand in for `in_turn`, which has a test of its own and starts a process for each rival."""
    turns = {name: make() for name, make in rivals.items()}
    return {name: [turn() for _ in range(rounds + 1)][1:] for name, turn in turns.items()}
