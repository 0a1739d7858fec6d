"""Work of torch in several threads, each with a part of the cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import ParamSpec, TypeVar

import torch

MOST_WORKERS = 4
"""More frames than that are seldom independent of each other."""

P = ParamSpec("P")
T = TypeVar("T")


def _take(threads: int) -> None:
    """Have this many threads; asked for the number, torch keeps it for the thread that asks."""
    torch.set_num_threads(threads)
    torch.get_num_threads()


@cache
def _pool(threads: int) -> Executor:
    """Workers that share this many threads of torch, the only ones in the process that have fewer."""
    count = min(threads, MOST_WORKERS)
    pool = ThreadPoolExecutor(count, "frames", _take, (threads // count,))
    together = Barrier(count)
    for begun in [pool.submit(together.wait) for _ in range(count)]:
        begun.result()
    # What a thread sets for itself becomes the number of all threads that come after it.
    torch.set_num_threads(threads)
    return pool


class Workers:
    """Threads that share the cores of a CPU; on another device, or one core, the caller does all work itself.

    Two pieces side by side are faster than one after the other on two threads: much of a look-up or a copy
    runs on one thread, however many there are.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._device = device.type
        self._pool = _pool(threads) if threads > 1 else None

    @property
    def are_many(self) -> bool:
        return self._pool is not None

    def submit(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Begin `work`, after all that was submitted before, in the caller's modes of torch."""
        if self._pool is None:
            return done(work(*arguments, **named))
        has_gradients, is_inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        dtype, is_cast = torch.get_autocast_dtype(self._device), torch.is_autocast_enabled(self._device)

        def run() -> T:
            with (
                torch.inference_mode(is_inference),
                torch.set_grad_enabled(has_gradients),
                torch.autocast(self._device, dtype, enabled=is_cast),
            ):
                return work(*arguments, **named)

        return self._pool.submit(run)


def done(result: T) -> Future[T]:
    """A future that is over."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
