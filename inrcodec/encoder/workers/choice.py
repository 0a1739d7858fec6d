"""Chooses the workers that fit segments: this process, local processes or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from inrcodec.encoder.workers.job import Outcome, ProgressOf, SegmentJob, SegmentKey, Workers, outcome_of
from inrcodec.encoder.workers.local import LocalWorkers
from inrcodec.encoder.workers.ray import RayWorkers
from inrcodec.encoder.workers.shared_gpu import PROCESSES, SharedGpu, is_shared
from inrcodec.progress import Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import AUTO_WORKERS, local_worker_count
from inrcodec.system.device import choose_device, describe_device, worker_devices


@dataclass(frozen=True)
class ThisProcess:
    """Codes one segment after another in this process."""

    device: torch.device
    count = 1
    reports = True

    @property
    def description(self) -> str:
        return describe_device(self.device)

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `job.Workers`."""
        for job in jobs:
            yield job.key, outcome_of(job, self.device, progress_of(job.key))

    def cancel(self, source: int) -> None:
        """Do nothing: no segment is being coded while the caller runs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def choose_workers(settings: EncodeSettings, progress: Progress) -> Workers:
    """The workers that `settings` request; raises `UsageError` for a missing device.

    Local workers share all GPUs, unless `settings.device` has the number of one. On a CPU, the bytes of a fit
    depend on torch's number of threads. Each worker has as many as this process, so that the file does not
    depend on the workers.
    """
    threads = torch.get_num_threads()
    if settings.workers is None:
        return ThisProcess(choose_device(settings.device))
    if settings.workers == AUTO_WORKERS:
        device = choose_device(settings.device)
        alone = ThisProcess(device)
        if not is_shared(settings, device):
            return alone
        return SharedGpu(alone, LocalWorkers(PROCESSES, (str(device),), threads, alone.description))
    count = local_worker_count(settings.workers)
    if count == 0:
        return RayWorkers(None if settings.workers == "ray" else settings.workers, settings.device, threads)
    devices = worker_devices(settings.device)[:count]
    cores = os.cpu_count() or 1
    if devices[0].type == "cpu" and count > 1 and count * threads > cores:
        progress.detail(
            f"{count} workers of {threads} threads share {cores} cores; with OMP_NUM_THREADS="
            f"{max(1, cores // count)} each has its own, but the file changes slightly"
        )
    described = ", ".join(describe_device(one) for one in devices)
    return LocalWorkers(count, tuple(str(one) for one in devices), threads, described)
