"""Runs rivals in turn (A B C, C B A, A B C, ...), each in a separate process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack

Turn = Callable[[], float]
"""Does some work and returns its frames per second."""


def in_turn(rivals: Mapping[str, Callable[[], Turn]], rounds: int) -> dict[str, list[float]]:
    """Frames per second of each rival in each round, after one round that does not count.

    A rival is a picklable function that makes its turn in the process that runs it: memory that one rival
    keeps allocated must not help another.
    """
    with ExitStack() as processes:
        context = multiprocessing.get_context("spawn")
        turns = {name: processes.enter_context(ProcessPoolExecutor(1, context)) for name in rivals}
        for name, make in rivals.items():
            turns[name].submit(_begin, make).result()
        measured = [
            {name: turns[name].submit(_take).result() for name in [*rivals][:: -1 if number % 2 else 1]}
            for number in range(rounds + 1)
        ]
    return {name: [one[name] for one in measured[1:]] for name in rivals}


_turn_of_process: list[Turn] = []
"""Has one entry in the process of a rival."""


def _begin(make: Callable[[], Turn]) -> None:
    _turn_of_process.append(make())


def _take() -> float:
    return _turn_of_process[0]()
