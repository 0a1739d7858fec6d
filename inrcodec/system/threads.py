"""Runs work of torch in several threads that divide the cores among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from threading import Barrier, Lock
from typing import Any, ParamSpec, TypeVar

import torch

MOST_WORKERS = 4
"""Maximum number of workers; more frames are seldom independent of each other."""

_making = Lock()
_is_forked = False

P = ParamSpec("P")
T = TypeVar("T")


def _take(threads: int) -> None:
    """Set torch's threads for this thread; torch fixes the number for a thread only once it is queried."""
    torch.set_num_threads(threads)
    torch.get_num_threads()


def _after_fork() -> None:
    """Forget the threads of the parent, which a forked process does not have."""
    global _making, _is_forked
    _making, _is_forked = Lock(), True
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def one_thread_if_forked() -> None:
    """Make torch use one thread in a forked process, as the workers of a `DataLoader` do.

    OpenMP would wait for ever for threads of the parent.
    """
    if _is_forked and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


@cache
def _pool(threads: int) -> Executor:
    """A pool of Python threads that divide `threads` of torch among them; other Python threads keep all."""
    count = min(threads, MOST_WORKERS)
    pool = ThreadPoolExecutor(count, "frames", _take, (threads // count,))
    together = Barrier(count)
    for begun in [pool.submit(together.wait) for _ in range(count)]:
        begun.result()
    # The number that a thread sets for itself also becomes the default of later threads.
    torch.set_num_threads(threads)
    return pool


class Threads:
    """Threads that divide the cores of a CPU; on another device, or one core, the caller does all the work.

    On two cores, two pieces in parallel are faster than one after the other: much of a look-up or a copy runs
    on one thread, however many there are.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device.type
        # Making a pool changes the number for a moment.
        with _making:
            threads = torch.get_num_threads() if device.type == "cpu" else 1
            self._pool = _pool(threads) if threads > 1 else None

    @property
    def are_many(self) -> bool:
        return self._pool is not None

    def submit_after(
        self, earlier: Iterable[Future[Any]], work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> Future[T]:
        """Begin `work` in the caller's modes of torch once all `earlier` work has ended or failed.

        Until then it occupies no worker, so that no worker waits for another. Work that waits for cancelled
        work is cancelled too.
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
    """Work that waits for earlier work, whose futures call it when they are done.

    Once begun, it drops its references: a future keeps its callbacks for ever, and an error keeps the stack
    frames that it passed.
    """

    def __init__(
        self, pool: Executor, earlier: Iterable[Future[Any]], coming: Future[T], work: Callable[[], T]
    ) -> None:
        self._pool, self._earlier, self._held = pool, iter([*earlier]), [(coming, work)]

    def __call__(self, over: Future[Any] | None = None) -> None:
        """Wait for the next earlier future, or begin; `over` is the one that has just ended."""
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
        except RuntimeError as error:  # The process ends, and workers accept no more work.
            coming, _ = self._held.pop()
            if coming.set_running_or_notify_cancel():
                coming.set_exception(error)

    def _answer(self) -> None:
        """Run the work and set the result of the future, or its error."""
        coming, work = self._held.pop()
        if not coming.set_running_or_notify_cancel():
            return
        try:
            coming.set_result(work())
        except BaseException as error:
            coming.set_exception(error)
            # The error keeps this stack frame alive.
            del coming


def done(result: T) -> Future[T]:
    """A future that already has `result`."""
    future: Future[T] = Future()
    future.set_result(result)
    return future
