"""Codes segments in parallel in local processes; a process that dies is replaced, and its segment resumes.

parent: job -> pipe -> worker: fit ... -> pipe -> parent: reports, finally the outcome

A worker ends when its pipe closes, because the parent has ended, or at SIGTERM, after a fit has saved a
checkpoint. Only the parent handles Ctrl-C and SIGHUP. This module does not load torch, because a worker must
set its number of threads first.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from inrcodec.errors import WorkerLost
from inrcodec.progress import EncodePlan, FitReport, Picture, Silent
from inrcodec.system.openmp import sleep_at_barriers
from inrcodec.system.signals import HANG_UP

if TYPE_CHECKING:
    from inrcodec.encoder.workers.job import Outcome, ProgressOf, SegmentJob, SegmentKey


MOST_ATTEMPTS = 4
"""A segment is given up when its workers have died this often, for example for lack of memory."""
STOP_SECONDS = 30.0
"""Time for workers to save their last checkpoints before they are killed."""


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: SegmentJob | None = None


@dataclass(eq=False)
class LocalWorkers:
    """`count` processes, assigned to `devices` in turn, each with `threads` torch threads."""

    count: int
    devices: tuple[str, ...]
    threads: int
    description: str
    """See `job.Workers`."""
    reports: ClassVar[bool] = True
    _workers: list[_Worker | None] = field(init=False)
    _again: list[SegmentJob] = field(init=False, default_factory=list)
    """Jobs to repeat because their worker died."""
    _deaths: Counter[SegmentKey] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self._workers = [None] * self.count

    def __enter__(self) -> Self:
        return self

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `job.Workers`."""
        waiting = iter(jobs)
        while True:
            self._give_out(waiting)
            busy = [one for one in self._workers if one is not None and one.job is not None]
            if not busy and not self._again:
                return
            ready = wait([one.connection for one in busy])
            for one in busy:
                # Handling an earlier outcome may have cancelled this segment.
                if one.connection in ready and one.job is not None:
                    key, outcome = one.job.key, self._heard(one, one.job, progress_of)
                    if outcome is not None:
                        yield key, outcome

    def cancel(self, source: int) -> None:
        """See `job.Workers`."""
        self._again = [job for job in self._again if job.key[0] != source]
        for one in self._workers:
            if one is not None and one.job is not None and one.job.key[0] == source:
                one.process.kill()
                self._bury(one)

    def _give_out(self, waiting: Iterator[SegmentJob]) -> None:
        """Send a job to every idle worker, starting with jobs whose worker died."""
        given: list[tuple[_Worker, SegmentJob]] = []
        for place in range(self.count):
            one = self._workers[place]
            if one is not None and one.job is not None:
                continue
            job = self._again.pop(0) if self._again else next(waiting, None)
            if job is None:
                break
            one = self._workers[place] or self._start(place)
            self._workers[place], one.job = one, job
            given.append((one, job))
        # A worker receives its job only once it has loaded torch, so start all before sending to any.
        for one, job in given:
            # Reading the frames of a later segment may have cancelled this one. If the worker has died,
            # reading from its pipe will show it.
            with suppress(OSError):
                if one.job is job:
                    one.connection.send(job)

    def _heard(self, one: _Worker, job: SegmentJob, progress_of: ProgressOf) -> Outcome | None:
        """Handle the worker's next message: return an outcome, or pass a report on and return None."""
        try:
            kind, *values = one.connection.recv()
        except (EOFError, OSError):
            return self._after_death(one, job, progress_of)
        if kind == "outcome":
            one.job = None
            outcome: Outcome = values[0]
            return outcome
        getattr(progress_of(job.key), kind)(*values)
        return None

    def _after_death(self, one: _Worker, job: SegmentJob, progress_of: ProgressOf) -> Outcome | None:
        """Queue the job for another worker to resume at its checkpoint; give up after `MOST_ATTEMPTS`."""
        self._bury(one)
        code, name = one.process.exitcode or 0, f"segment {job.key[1] + 1}"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._deaths[job.key] += 1
        if self._deaths[job.key] >= MOST_ATTEMPTS:
            return WorkerLost(
                f"{name}: its worker died {MOST_ATTEMPTS} times, last with {how}; to save memory, use fewer "
                "--workers or shorter segments (--segment)"
            )
        progress_of(job.key).note(f"the worker of {name} died ({how}): another one takes over")
        self._again.append(job)
        return None

    def _bury(self, one: _Worker) -> None:
        one.process.join()
        one.connection.close()
        one.job = None
        self._workers[self._workers.index(one)] = None

    def _start(self, place: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        device = self.devices[place % len(self.devices)]
        process = context.Process(target=serve, args=(theirs, device, self.threads), daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all workers; running fits save a checkpoint first. A second Ctrl-C kills them."""
        workers = [one for one in self._workers if one is not None]
        try:
            for one in workers:
                one.process.terminate()
            end = time.monotonic() + STOP_SECONDS
            for one in workers:
                one.process.join(max(0.0, end - time.monotonic()))
        finally:
            for one in workers:
                one.process.kill()
                self._bury(one)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C and SIGHUP; a process started meanwhile inherits the mask, so it never receives them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started first, because its start would lift the mask.
    resource_tracker.ensure_running()
    held = {signal.SIGINT} if HANG_UP is None else {signal.SIGINT, HANG_UP}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def serve(connection: Connection, device: str, threads: int) -> None:
    """Run a worker process: code jobs from the pipe, one after another, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    sleep_at_barriers()
    import torch

    from inrcodec.encoder.workers.job import outcome_of, portable

    place, forward = torch.device(device), _Forward(connection)
    with suppress(EOFError, OSError):  # The parent has gone.
        while True:
            job: SegmentJob = connection.recv()
            outcome = outcome_of(job, place, forward)
            connection.send(("outcome", portable(outcome)))


class _Forward(Silent):
    """A `Progress` that sends the reports of a fit to the parent, which adds up the whole job."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _send(self, *message: Any) -> None:
        self._connection.send(message)

    def plan(self, plan: EncodePlan) -> None:
        self._send("plan", plan)

    def expect(self, seconds: float, epochs: float | None) -> None:
        self._send("expect", seconds, epochs)

    def fit(self, report: FitReport) -> None:
        if self._has_room():
            self._send("fit", report)

    def measured(self, psnr_db: float, bpp: float) -> None:
        if self._has_room():
            self._send("measured", psnr_db, bpp)

    def stage(self, name: str, done: int, total: int) -> None:
        if self._has_room():
            self._send("stage", name, done, total)

    def picture(self, draw: Callable[[], Picture]) -> None:
        """Do nothing: `--preview` excludes `--workers`."""

    def note(self, message: str) -> None:
        self._send("note", message)

    def detail(self, message: str) -> None:
        self._send("detail", message)

    def _has_room(self) -> bool:
        """Whether the pipe has room, so that a fit never waits for a parent that is busy reading frames."""
        return os.name != "posix" or bool(select.select([], [self._connection], [], 0)[1])
