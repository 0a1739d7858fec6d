"""Codes segments on one GPU in two processes: one codes symbols on the CPU while the other fits.

A fit of grids launches many small operations and codes its symbols several times, so that one process leaves
the GPU idle. Two threads of one process would wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from types import TracebackType
from typing import Self

import torch

from inrcodec.encoder.workers.job import Outcome, ProgressOf, SegmentJob, SegmentKey, Workers
from inrcodec.models.registry import family_of
from inrcodec.settings.encode import EncodeSettings

PROCESSES = 2
LEAST_MEMORY = 20 << 30
"""Bytes of a GPU that both fits of the longest segments fit in, and the contexts of both processes."""


def is_shared(settings: EncodeSettings, device: torch.device) -> bool:
    """Whether the segments of an encode on `device` share it."""
    if device.type != "cuda" or settings.preview is not None or family_of(settings).is_trained:
        return False
    return bool(torch.cuda.get_device_properties(device).total_memory >= LEAST_MEMORY)


@dataclass(eq=False)
class SharedGpu:
    """Two `processes` on a GPU, or this process `alone` if there is only one segment."""

    alone: Workers
    processes: Workers
    reports = True
    _cancelled: set[int] = field(init=False, default_factory=set)

    @property
    def count(self) -> int:
        return self.processes.count

    @property
    def description(self) -> str:
        return self.alone.description

    def run(
        self, jobs: Iterable[SegmentJob], progress_of: ProgressOf
    ) -> Iterator[tuple[SegmentKey, Outcome]]:
        """See `job.Workers`."""
        waiting, first = iter(jobs), list[SegmentJob]()
        while more := [*islice(waiting, PROCESSES - len(first))]:
            # Reading a segment may have shown that its source, which has the earlier one, is damaged.
            first = [job for job in (*first, *more) if job.key[0] not in self._cancelled]
        if len(first) < PROCESSES:
            yield from self.alone.run(chain(first, waiting), progress_of)
        else:
            yield from self.processes.run(chain(first, waiting), progress_of)

    def cancel(self, source: int) -> None:
        """See `job.Workers`."""
        self._cancelled.add(source)
        self.processes.cancel(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processes.__exit__(kind, error, trace)
