"""Keeps the threads of this process at an ordinary priority."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TASKS = "/proc/self/task"


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Undo a real-time priority that threads of this process take in this context.

    SVT-AV1 run by root gives one to the thread that opens it, whose later threads inherit it, and to its own.
    Until they end, nothing else on the machine runs.
    """
    before = _policies()
    try:
        yield
    finally:
        for task, policy in _policies().items():
            # Only a privileged process may clear the flag.
            flag = policy & os.SCHED_RESET_ON_FORK
            if policy ^ flag in (os.SCHED_FIFO, os.SCHED_RR) and before.get(task) != policy:
                with suppress(OSError):  # The thread has ended.
                    os.sched_setscheduler(task, os.SCHED_OTHER | flag, os.sched_param(0))


def _policies() -> dict[int, int]:
    """Scheduling policy and flag of each thread of this process; empty where the system does not say."""
    found: dict[int, int] = {}
    if hasattr(os, "sched_getscheduler") and os.path.isdir(_TASKS):
        for name in os.listdir(_TASKS):
            with suppress(OSError):
                found[int(name)] = os.sched_getscheduler(int(name))
    return found
