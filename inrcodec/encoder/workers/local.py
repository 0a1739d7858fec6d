"""Processes of this machine that code segments at once; one that dies is replaced, and its segment goes on.

parent: job -> pipe -> worker: fit ... -> pipe -> parent: reports, and at last the outcome

A worker ends when its parent has gone (its pipe says so) and at SIGTERM, when a fit saves a checkpoint first.
Ctrl-C is the parent's to act on. Nothing here loads torch: the worker sets its number of threads before.
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
from inrcodec.progress import EncodePlan, FitReport, Picture

if TYPE_CHECKING:
    from inrcodec.encoder.workers.job import Outcome, ProgressOf, SegmentJob, SegmentKey


MOST_ATTEMPTS = 4
"""A segment whose worker dies as often is given up: it asks for too much memory, say."""
STOP_SECONDS = 30.0
"""How long workers may take for their last checkpoints before they are killed."""


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: SegmentJob | None = None


@dataclass(eq=False)
class LocalWorkers:
    """`count` processes, on the `devices` in turn, each with `threads` threads of torch."""

    count: int
    devices: tuple[str, ...]
    threads: int
    description: str
    """What segments are fitted on, in words."""
    reports: ClassVar[bool] = True
    _workers: list[_Worker | None] = field(init=False)
    _again: list[SegmentJob] = field(init=False, default_factory=list)
    """Jobs whose worker died."""
    _deaths: Counter[SegmentKey] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self._workers = [None] * self.count

    def __enter__(self) -> Self:
        return self

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `worker.Workers`."""
        waiting = iter(jobs)
        while True:
            self._give_out(waiting)
            busy = [one for one in self._workers if one is not None and one.job is not None]
            if not busy and not self._again:
                return
            ready = wait([one.connection for one in busy])
            for one in busy:
                # What came of one segment may have cancelled another.
                if one.connection in ready and one.job is not None:
                    key, outcome = one.job.key, self._heard(one, one.job, progress_of)
                    if outcome is not None:
                        yield key, outcome

    def cancel(self, source: int) -> None:
        """See `worker.Workers`."""
        self._again = [job for job in self._again if job.key[0] != source]
        for one in self._workers:
            if one is not None and one.job is not None and one.job.key[0] == source:
                one.process.kill()
                self._bury(one)

    def _give_out(self, waiting: Iterator[SegmentJob]) -> None:
        """A job to everyone who has none, those first whose worker died."""
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
        # A job is received once torch is loaded, so all are started before any is waited for.
        for one, job in given:
            # Reading the frames of one segment may have cancelled another; a worker that died is found by
            # the pipe that it left behind.
            with suppress(OSError):
                if one.job is job:
                    one.connection.send(job)

    def _heard(self, one: _Worker, job: SegmentJob, progress_of: ProgressOf) -> Outcome | None:
        """The outcome that the worker's next message is, or else None."""
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
        """Put the job back, where another worker takes it up from its last checkpoint."""
        self._bury(one)
        code, name = one.process.exitcode or 0, f"segment {job.key[1] + 1}"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._deaths[job.key] += 1
        if self._deaths[job.key] >= MOST_ATTEMPTS:
            return WorkerLost(
                f"{name}: its worker died {MOST_ATTEMPTS} times, last by {how}; fewer --workers or shorter "
                "segments (--segment) need less memory"
            )
        progress_of(job.key).note(f"the worker of {name} died ({how}): another one goes on")
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
        """Stop all workers; fits that are under way save a checkpoint first. A second Ctrl-C kills them."""
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
    """Ctrl-C waits, and a process that is started meanwhile never sees it: the mask is inherited."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Its start would lift the mask.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def serve(connection: Connection, device: str, threads: int) -> None:
    """What a worker process does: jobs from the pipe, one after the other, until there is no pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # Threads that wait spin, unless they are told to sleep, on cores that other workers need: two workers of
    # two threads took 111 s so on two cores, and 17 s asleep, for the same bytes.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from inrcodec.encoder.workers.job import outcome_of, portable

    place, forward = torch.device(device), _Forward(connection)
    with suppress(EOFError, OSError):  # The parent has gone.
        while True:
            job: SegmentJob = connection.recv()
            outcome = outcome_of(job, place, forward)
            connection.send(("outcome", portable(outcome)))


class _Forward:
    """A `Progress` whose other end is the parent's."""

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

    def stage(self, name: str, done: int, total: int) -> None:
        if self._has_room():
            self._send("stage", name, done, total)

    def picture(self, draw: Callable[[], Picture]) -> None:
        """Nothing: `--preview` excludes `--workers`."""

    def note(self, message: str) -> None:
        self._send("note", message)

    def detail(self, message: str) -> None:
        self._send("detail", message)

    def _has_room(self) -> bool:
        """Whether the parent reads what it is sent; no fit waits for one that is busy reading frames."""
        return os.name != "posix" or bool(select.select([], [self._connection], [], 0)[1])
