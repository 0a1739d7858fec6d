"""Devices of workers, with mocked GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inrcodec.encoder.workers import local as local_workers
from inrcodec.encoder.workers.choice import ThisProcess, choose_workers
from inrcodec.encoder.workers.local import LocalWorkers
from inrcodec.encoder.workers.shared_gpu import LEAST_MEMORY, SharedGpu
from inrcodec.errors import UsageError
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings


def mock_gpus(patched: pytest.MonkeyPatch, count: int, current: int = 0) -> None:
    patched.setattr(torch.cuda, "is_available", lambda: count > 0)
    patched.setattr(torch.cuda, "device_count", lambda: count)
    patched.setattr(torch.cuda, "current_device", lambda: current)
    patched.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")


@pytest.mark.parametrize(
    ("device", "workers", "current", "expected"),
    [
        ("cuda", 4, 0, "0 1 2 3"),
        ("auto", 4, 0, "0 1 2 3"),
        ("auto", 2, 0, "0 1"),
        ("cuda", 6, 0, "0 1 2 3"),
        ("cuda", 3, 2, "2 0 1"),
        ("cuda:0", 4, 2, "0"),
        ("cuda:3", 4, 0, "3"),
    ],
)
def test_local_workers_share_all_gpus_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch, device: str, workers: int, current: int, expected: str
) -> None:
    mock_gpus(monkeypatch, 4, current)
    chosen = choose_workers(EncodeSettings(workers=f"local:{workers}", device=device), Silent())
    assert isinstance(chosen, LocalWorkers)
    assert chosen.devices == tuple(f"cuda:{index}" for index in expected.split())
    assert chosen.description == ", ".join(f"cuda:{index} (GPU {index})" for index in expected.split())
    assert chosen.count == workers


def test_devices_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    mock_gpus(monkeypatch, 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("auto", "cpu"):
        chosen = choose_workers(EncodeSettings(workers="local:2", device=device), Silent())
        assert isinstance(chosen, LocalWorkers) and chosen.devices == ("cpu",)
    with pytest.raises(UsageError, match="this machine has 0 CUDA devices"):
        choose_workers(EncodeSettings(workers="local:2", device="cuda"), Silent())
    mock_gpus(monkeypatch, 2)
    with pytest.raises(UsageError, match="no device cuda:2: this machine has 2 CUDA devices"):
        choose_workers(EncodeSettings(workers="local:2", device="cuda:2"), Silent())


def test_this_process_uses_the_current_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    mock_gpus(monkeypatch, 4, current=1)
    for device, index in (("auto", 1), ("cuda", 1), ("cuda:3", 3)):
        chosen = choose_workers(EncodeSettings(device=device), Silent())
        assert isinstance(chosen, ThisProcess) and chosen.device == torch.device("cuda", index)


@pytest.mark.parametrize(
    ("more", "memory", "is_shared"),
    [
        ({}, LEAST_MEMORY, True),
        ({"model": "hnerv"}, LEAST_MEMORY, False),
        ({"preview": "a.png"}, LEAST_MEMORY, False),
        ({"device": "cpu"}, LEAST_MEMORY, False),
        ({}, LEAST_MEMORY - 1, False),
        ({"workers": None}, LEAST_MEMORY, False),
    ],
)
def test_two_processes_share_a_large_gpu_for_grids(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], memory: int, is_shared: bool
) -> None:
    mock_gpus(monkeypatch, 2, current=1)
    found = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    asked = {"device": "cuda", "workers": "auto"} | more
    chosen = choose_workers(EncodeSettings(**asked), Silent())
    assert isinstance(chosen, SharedGpu) is is_shared
    if isinstance(chosen, SharedGpu):
        assert isinstance(chosen.processes, LocalWorkers) and chosen.count == 2
        assert chosen.processes.devices == ("cuda:1",) and chosen.description == "cuda:1 (GPU 1)"
    else:
        assert isinstance(chosen, ThisProcess)


@dataclass
class _Recorded:
    """Workers that record the keys of their jobs."""

    keys: list[tuple[int, int]] = field(default_factory=list)
    count = 2

    def run(self, jobs: Iterable[Any], progress_of: Any) -> Iterator[Any]:
        for job in jobs:
            self.keys.append(job.key)
            yield job.key, None

    def cancel(self, source: int) -> None:
        pass


def given_out(keys: list[tuple[int, int]], cancels: int | None = None) -> tuple[list[Any], list[Any]]:
    """The keys of the jobs of a shared GPU: of this process, and of both others.

    `cancels` is a source that is cancelled while the second job is read.
    """
    alone, processes = _Recorded(), _Recorded()
    shared = SharedGpu(alone, processes)  # type: ignore[arg-type]

    def jobs() -> Iterator[Any]:
        for number, key in enumerate(keys):
            if number == 1 and cancels is not None:
                shared.cancel(cancels)
            yield SimpleNamespace(key=key)

    assert len([*shared.run(jobs(), lambda key: Silent())]) == len(alone.keys) + len(processes.keys)
    return alone.keys, processes.keys


def test_only_one_segment_stays_in_this_process() -> None:
    assert given_out([(0, 0)]) == ([(0, 0)], [])
    assert given_out([(0, 0), (0, 1), (0, 2)]) == ([], [(0, 0), (0, 1), (0, 2)])
    assert given_out([]) == ([], [])


def test_a_segment_whose_source_fails_meanwhile_is_not_coded() -> None:
    assert given_out([(0, 0), (1, 0), (1, 1)], cancels=0) == ([], [(1, 0), (1, 1)])
    assert given_out([(0, 0), (1, 0)], cancels=0) == ([(1, 0)], [])
    assert given_out([(0, 0), (0, 1)], cancels=0) == ([], [])


@dataclass
class _Processes:
    """A context of `multiprocessing` that starts nothing and records the device of each worker."""

    devices: list[str] = field(default_factory=list)

    def Pipe(self) -> tuple[Any, Any]:
        return _Nothing(), _Nothing()

    def Process(self, target: Any, args: tuple[Any, str, int], daemon: bool) -> Any:
        self.devices.append(args[1])
        return _Nothing()


class _Nothing:
    """A process or connection whose methods do nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


def test_workers_are_dealt_out_over_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that replaces another uses its device."""
    started = _Processes()
    monkeypatch.setattr(local_workers.multiprocessing, "get_context", lambda kind: started)
    workers = LocalWorkers(5, ("cuda:0", "cuda:1", "cuda:2", "cuda:3"), 1, "")
    for place in range(5):
        workers._workers[place] = workers._start(place)
    assert started.devices == ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:0"]
    second = workers._workers[1]
    assert second is not None
    workers._bury(second)
    workers._start(1)
    assert started.devices[-1] == "cuda:1"
