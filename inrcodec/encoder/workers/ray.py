"""Codes segments as tasks on a Ray cluster, which schedules them, transfers data and retries failures.

driver: job -> object store -> task on some node: fit ... -> object store -> driver: outcome

Nodes need this package, but not the source, because frames are sent to them. If a worker or node dies, Ray
restarts its task on another. Only this module imports ray.
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
"""Interval for checking signals and the size of the cluster while no segment ends."""
_QUIET = {
    # Users did not consent to usage reports.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}


@dataclass(eq=False)
class RayWorkers:
    """Runs a task for each segment, as many in parallel as fit on the cluster.

    A task takes one GPU if `device` is cuda, or `auto` and the cluster has GPUs; otherwise `threads` CPUs.
    If `address` is None, the cluster is that of RAY_ADDRESS, or else a new one on this machine, which ends
    with the work; `ray://host:port` uses Ray's client. Entering raises `InrcError` if the cluster cannot be
    reached, or lacks the GPU or the CPUs for a task.
    """

    address: str | None
    device: str
    threads: int
    reports: ClassVar[bool] = False
    _uses_gpu: bool = field(init=False, default=False)
    _tasks: dict[Any, SegmentKey] = field(init=False, default_factory=dict)
    """Running tasks, by the reference to their result."""

    @property
    def count(self) -> int:
        """Number of tasks that fit now; at least 1, because an autoscaler may wait for a first task."""
        total = _ray().cluster_resources()
        room = total.get("GPU", 0.0) if self._uses_gpu else total.get("CPU", 0.0) / self.threads
        return max(1, int(room))

    @property
    def description(self) -> str:
        """Description of the device that fits segments."""
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
            hint = " (if it requires a token, set RAY_AUTH_MODE)" if self.address else ""
            raise InrcError(f"no Ray cluster {where}: {error}{hint}") from error
        finally:
            if handler is not None:
                # Ray's own handler exits with another code, and without saying how to resume.
                signal.signal(signal.SIGTERM, handler)
        ray = _ray()
        largest = max((one["Resources"].get("CPU", 0.0) for one in ray.nodes() if one["Alive"]), default=0.0)
        has_gpu = ray.cluster_resources().get("GPU", 0.0) >= 1
        self._uses_gpu = self.device.startswith("cuda") or (self.device == "auto" and has_gpu)
        if self._uses_gpu and not has_gpu:
            ray.shutdown()
            raise InrcError(f"--device {self.device}: the Ray cluster {where} has no GPU")
        if not self._uses_gpu and largest < self.threads:
            # Ray would silently wait forever for a larger node.
            ray.shutdown()
            raise InrcError(
                f"no node of the Ray cluster {where} has {self.threads} CPUs; set OMP_NUM_THREADS="
                f"{max(1, int(largest))}"
            )
        return self

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `job.Workers`."""
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
                # Nodes keep no checkpoints, so the key of this encode's folder stays here.
                sent = replace(job, folder=replace(job.folder, key=b""))
                # A signal handler that raises inside Ray's calls would cause a SystemError.
                with DeferredSignals():
                    self._tasks[task.remote(sent, self._uses_gpu, __version__)] = job.key
            with DeferredSignals():
                ready, _ = ray.wait(list(self._tasks), timeout=POLL_SECONDS) if self._tasks else ([], [])
                outcomes = [(one, _result(one, self._tasks[one])) for one in ready]
            for reference, outcome in outcomes:
                # Handling an earlier outcome may have cancelled this segment.
                key = self._tasks.pop(reference, None)
                if key is not None:
                    yield key, outcome

    def cancel(self, source: int) -> None:
        """See `job.Workers`."""
        for reference in [one for one, key in self._tasks.items() if key[0] == source]:
            _ray().cancel(reference, force=True)
            del self._tasks[reference]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster, which stops the tasks of this process; a cluster started here ends."""
        _ray().shutdown()


def _ray() -> Any:
    """The ray module, imported here because it is optional and slow to import; it is only partly typed."""
    import ray

    return ray


def _connect(address: str) -> None:
    """Join a cluster, with retries: Ray starts a server process for each client, which sometimes fails."""
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
    """Raise `OSError` if nothing listens at `ray://host:port`; Ray itself would wait half a minute."""
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
        return WorkerLost(f"segment {key[1] + 1}: Ray gave up after {MOST_RETRIES} retries: {first}")
    return outcome


def code_segment_task(job: SegmentJob, uses_gpu: bool, version: str) -> Outcome:
    """Code the segment on a node of the cluster; an error is returned as the outcome."""
    if version != __version__:
        return InrcError(f"a node of the Ray cluster has inrc {__version__}; install {version} there")
    import torch

    from inrcodec.encoder.workers.job import outcome_of, portable

    # Arrays in Ray's object store are read-only, which torch does not support.
    keep = None if job.clip.keep is None else np.array(job.clip.keep)
    own = replace(job, clip=replace(job.clip, frames=np.array(job.clip.frames), keep=keep))
    device = torch.device("cuda" if uses_gpu else "cpu")
    return portable(outcome_of(own, device, Silent(), saves=False))
