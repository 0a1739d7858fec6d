"""Segments as tasks of a Ray cluster. Ray schedules, carries frames and results, and retries what dies.

driver: job -> object store -> task on some node: fit ... -> object store -> driver: outcome

Nodes need this package, not the source: frames travel. A task whose worker or node dies is started
anew on another one, by Ray's own retries. The only user of ray.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import numpy as np

from inrcodec.errors import InrcError, WorkerLost
from inrcodec.progress import Silent
from inrcodec.system.signals import DeferredSignals
from inrcodec.version import __version__

if TYPE_CHECKING:
    from inrcodec.encoder.workers.job import Outcome, ProgressOf, SegmentJob, SegmentKey


MOST_RETRIES = 3
MOST_CONNECTIONS = 3
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.5
"""How often signals and the size of the cluster are looked at while no segment ends."""
_QUIET = {
    # Nobody asked for reports to the makers of Ray.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}


@dataclass(eq=False)
class RayWorkers:
    """A task for each segment, as many at once as the cluster has room for.

    A task takes `threads` CPUs, or one GPU: where `device` says cuda, or `auto` and the cluster has GPUs.
    `address` None is the cluster that RAY_ADDRESS names, or else a new one on this machine, which ends with
    the work; `ray://host:port` is reached by Ray's client. Entering raises `InrcError` when there is no such
    cluster, or no GPU.
    """

    address: str | None
    device: str
    threads: int
    reports: ClassVar[bool] = False
    _uses_gpu: bool = field(init=False, default=False)
    _tasks: dict[Any, SegmentKey] = field(init=False, default_factory=dict)
    """Those under way, by the reference of what they will return."""

    @property
    def count(self) -> int:
        """How many tasks there is room for now; 1 at least, which may be what an autoscaler waits for."""
        total = _ray().cluster_resources()
        room = total.get("GPU", 0.0) if self._uses_gpu else total.get("CPU", 0.0) / self.threads
        return max(1, int(room))

    @property
    def description(self) -> str:
        """What segments are fitted on, in the words that `device.describe_device` has for it here."""
        return "cuda of Ray" if self._uses_gpu else f"cpu ({self.threads} threads, {platform.machine()})"

    def __enter__(self) -> Self:
        os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM) if is_main else None
        where = self.address or os.environ.get("RAY_ADDRESS") or "local"
        try:
            _check_reachable(where)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _connect(where)
        except Exception as error:
            hint = " (does it want a token? see RAY_AUTH_MODE)" if self.address else ""
            raise InrcError(f"no Ray cluster {where}: {error}{hint}") from error
        finally:
            if handler is not None:
                # Ray would exit with another code, and without a word of how to resume.
                signal.signal(signal.SIGTERM, handler)
        ray = _ray()
        largest = max((one["Resources"].get("CPU", 0.0) for one in ray.nodes() if one["Alive"]), default=0.0)
        has_gpu = ray.cluster_resources().get("GPU", 0.0) >= 1
        self._uses_gpu = self.device.startswith("cuda") or (self.device == "auto" and has_gpu)
        if self._uses_gpu and not has_gpu:
            ray.shutdown()
            raise InrcError(f"--device {self.device}: the Ray cluster {where} has no GPU")
        if not self._uses_gpu and largest < self.threads:
            # Ray would wait for a larger node for ever, and say nothing.
            ray.shutdown()
            raise InrcError(
                f"no node of the Ray cluster {where} has {self.threads} CPUs; OMP_NUM_THREADS="
                f"{max(1, int(largest))} makes segments that fit"
            )
        return self

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `worker.Workers`."""
        ray = _ray()
        task = ray.remote(
            num_cpus=0 if self._uses_gpu else self.threads,
            num_gpus=1 if self._uses_gpu else 0,
            max_retries=MOST_RETRIES,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(self.threads)}},
        )(code_segment_task)
        waiting, has_more = iter(jobs), True
        while has_more or self._tasks:
            while has_more and len(self._tasks) < self.count:
                job = next(waiting, None)
                if job is None:
                    has_more = False
                    break
                # Inside Ray's own calls a handler that raises ends in a SystemError.
                with DeferredSignals():
                    self._tasks[task.remote(job, self._uses_gpu, __version__)] = job.key
            with DeferredSignals():
                ready, _ = ray.wait(list(self._tasks), timeout=POLL_SECONDS) if self._tasks else ([], [])
                outcomes = [(one, _result(one, self._tasks[one])) for one in ready]
            for reference, outcome in outcomes:
                # What came of one segment may have cancelled another.
                key = self._tasks.pop(reference, None)
                if key is not None:
                    yield key, outcome

    def cancel(self, source: int) -> None:
        """See `worker.Workers`."""
        for reference in [one for one, key in self._tasks.items() if key[0] == source]:
            _ray().cancel(reference, force=True)
            del self._tasks[reference]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster, which stops what this process has asked it to do; one of our own ends."""
        _ray().shutdown()


def _ray() -> Any:
    """The module, which is optional, slow to import, and only partly typed."""
    import ray

    return ray


def _connect(address: str) -> None:
    """Join a cluster; its server for clients, a process that it begins for each, does not always come up."""
    own = {"include_dashboard": False} if address == "local" else {}
    for attempt in range(MOST_CONNECTIONS):
        try:
            _ray().init(address, **own, **_SILENT)
        except ConnectionAbortedError:
            if attempt + 1 == MOST_CONNECTIONS:
                raise
        else:
            return


def _check_reachable(address: str) -> None:
    """Raise `OSError` when nobody listens at `ray://host:port`, for which Ray would wait half a minute."""
    url = urlsplit(address)
    if url.scheme == "ray" and url.hostname is not None and url.port is not None:
        socket.create_connection((url.hostname, url.port), CONNECT_SECONDS).close()


def _result(reference: Any, key: SegmentKey) -> Outcome:
    ray = _ray()
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return WorkerLost(f"segment {key[1] + 1}: a node of the Ray cluster failed: {error.cause}")
    except ray.exceptions.RayError as error:
        (first, *_) = str(error).strip().splitlines() or [type(error).__name__]
        return WorkerLost(f"segment {key[1] + 1}: given up by Ray after {MOST_RETRIES} retries: {first}")
    return outcome


def code_segment_task(job: SegmentJob, uses_gpu: bool, version: str) -> Outcome:
    """What a node does with a job; an error is its outcome too. Loads torch only here."""
    if version != __version__:
        return InrcError(f"a node of the Ray cluster has inrc {__version__}; install {version} there")
    import torch

    from inrcodec.encoder.workers.job import outcome_of, portable

    # Arrays in Ray's object store are read-only, which torch does not know.
    keep = None if job.clip.keep is None else np.array(job.clip.keep)
    own = replace(job, clip=replace(job.clip, frames=np.array(job.clip.frames), keep=keep))
    device = torch.device("cuda" if uses_gpu else "cpu")
    return portable(outcome_of(own, device, Silent(), saves=False))
