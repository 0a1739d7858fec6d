"""Work of torch in several threads, each with a part of the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache, partial
from threading import Barrier
from typing import Any, ParamSpec, TypeVar

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
        return self.submit_after((), work, *arguments, **named)

    def submit_after(
        self, earlier: Iterable[Future[Any]], work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> Future[T]:
        """The same once all of `earlier` are over, however they end: no worker waits for another one."""
        if self._pool is None:
            return done(work(*arguments, **named))
        has_gradients, is_inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        dtype, is_cast = torch.get_autocast_dtype(self._device), torch.is_autocast_enabled(self._device)
        coming: Future[T] = Future()

        def run() -> None:
            if not coming.set_running_or_notify_cancel():
                return
            try:
                with (
                    torch.inference_mode(is_inference),
                    torch.set_grad_enabled(has_gradients),
                    torch.autocast(self._device, dtype, enabled=is_cast),
                ):
                    coming.set_result(work(*arguments, **named))
            except BaseException as error:  # Told to whoever asks for the result.
                coming.set_exception(error)

        _when_over(iter([*earlier]), partial(_begin, self._pool, run, coming))
        return coming


def _when_over(futures: Iterator[Future[Any]], begin: Callable[[], None]) -> None:
    """Call `begin` once the last of them is over: now, or from the thread that ends it."""
    for one in futures:
        if not one.done():
            one.add_done_callback(lambda _: _when_over(futures, begin))
            return
    begin()


def _begin(pool: Executor, run: Callable[[], None], coming: Future[Any]) -> None:
    try:
        pool.submit(run)
    except RuntimeError:  # The process ends, and nobody waits any more.
        coming.cancel()


def done(result: T) -> Future[T]:
    """A future that is over."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
