"""Work of torch in several threads, each with a part of the cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import torch

MOST_WORKERS = 4
"""More frames than that are seldom independent of each other."""

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Threads that share the cores of a CPU; on another device all work is done at once, by the caller.

    Two pieces side by side are faster than one after the other on two threads: much of a look-up or a copy
    runs on one thread, however many there are.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        count = min(threads, MOST_WORKERS)
        self._device = device
        self._pool = (
            ThreadPoolExecutor(count, "frames", torch.set_num_threads, (threads // count,))
            if count > 1
            else None
        )

    def submit(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Begin `work`, after all that was submitted before, in the caller's modes of torch."""
        device = self._device.type
        is_inference = torch.is_inference_mode_enabled()
        dtype, is_cast = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)

        def run() -> T:
            with torch.inference_mode(is_inference), torch.autocast(device, dtype, enabled=is_cast):
                return work(*arguments, **named)

        if self._pool is not None:
            return self._pool.submit(run)
        done: Future[T] = Future()
        done.set_result(work(*arguments, **named))
        return done
