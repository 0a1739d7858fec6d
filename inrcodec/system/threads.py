"""Work of torch in several threads, each with a part of the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
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
    """Python threads that share this many threads of torch; no other thread of the process has fewer."""
    count = min(threads, MOST_WORKERS)
    pool = ThreadPoolExecutor(count, "frames", _take, (threads // count,))
    together = Barrier(count)
    for begun in [pool.submit(together.wait) for _ in range(count)]:
        begun.result()
    # What a thread sets for itself becomes the number of all threads that come after it.
    torch.set_num_threads(threads)
    return pool


class Threads:
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

    def submit_after(
        self, earlier: Iterable[Future[Any]], work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> Future[T]:
        """Begin `work`, in the caller's modes of torch, once all of `earlier` are over, in vain or not.

        Until then it has no worker, so that none waits for another. What waits for cancelled work is
        cancelled too.
        """
        if self._pool is None:
            return done(work(*arguments, **named))
        has_gradients, is_inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        dtype, is_cast = torch.get_autocast_dtype(self._device), torch.is_autocast_enabled(self._device)

        def in_modes() -> T:
            with (
                torch.inference_mode(is_inference),
                torch.set_grad_enabled(has_gradients),
                torch.autocast(self._device, dtype, enabled=is_cast),
            ):
                return work(*arguments, **named)

        coming: Future[T] = Future()
        _Task(self._pool, earlier, coming, in_modes)()
        return coming


class _Task:
    """Work that waits for other work, which calls it when it is over.

    Once it has begun it holds nothing any more: a future holds for ever whom it has called, and an error the
    frames that it passed.
    """

    def __init__(
        self, pool: Executor, earlier: Iterable[Future[Any]], coming: Future[T], work: Callable[[], T]
    ) -> None:
        self._pool, self._earlier, self._held = pool, iter([*earlier]), [(coming, work)]

    def __call__(self, over: Future[Any] | None = None) -> None:
        """Wait for the next one, or begin; `over` is the one that was waited for."""
        while over is None or not over.cancelled():
            over = next(self._earlier, None)
            if over is None:
                self._begin()
                return
            if not over.done():
                over.add_done_callback(self)
                return
        self._earlier = iter(())
        self._held.pop()[0].cancel()

    def _begin(self) -> None:
        try:
            self._pool.submit(self._answer)
        except RuntimeError as error:  # The process ends: workers take nothing more.
            coming, _ = self._held.pop()
            if coming.set_running_or_notify_cancel():
                coming.set_exception(error)

    def _answer(self) -> None:
        """Give the future what the work comes to, or its error."""
        coming, work = self._held.pop()
        if not coming.set_running_or_notify_cancel():
            return
        try:
            coming.set_result(work())
        except BaseException as error:
            coming.set_exception(error)
            # The error holds this frame.
            del coming


def done(result: T) -> Future[T]:
    """A future that is over."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
