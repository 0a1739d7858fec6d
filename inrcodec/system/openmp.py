"""Settings of OpenMP, which runs torch's threads and reads its environment once, when torch is loaded."""

from __future__ import annotations

import os
import sys


def sleep_at_barriers() -> None:
    """Let threads sleep while they wait for each other, unless the environment says otherwise.

    By default they spin for about 10 ms on cores that other processes need, which then hold up the thread
    that is waited for. On two cores, two workers of two threads took 111 s when spinning and 17 s when
    sleeping, for the same bytes.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def use_threads(count: int) -> None:
    """Let torch use `count` threads in this process, whether it is loaded already or later."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
