"""The benchmark of GPUs, whose whole logic runs on a CPU with small networks."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rivals import in_this_process
from simulated_cuda import simulated_cuda

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import parts
from benchmarks.gpu.parts import OutOfTime, Place, measured, parts_of
from benchmarks.gpu.scales import FULL, TOY
from benchmarks.speed import training as speed_training
from inrcodec.fit.training.step_state import Batches
from inrcodec.models.registry import FAMILIES

pytestmark = pytest.mark.end_to_end


def run(patched: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    asked = ["--toy", "--device", "cpu", "--json", str(folder / "gpu.json"), "--out", str(folder), *words]
    patched.setattr(sys, "argv", ["benchmarks.gpu", *asked])
    return gpu.main()


def stored(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["part"]: row for row in json.loads((folder / "gpu.json").read_text())["results"]}


def test_every_part_runs_once_and_a_second_run_repeats_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hurried: None
) -> None:
    monkeypatch.setattr(speed_training, "in_turn", in_this_process)
    assert run(monkeypatch, tmp_path) == 0
    rows = stored(tmp_path)
    assert list(rows) == list(parts_of(TOY))
    table = capsys.readouterr().out
    for name, row in rows.items():
        assert row["part_seconds"] > 0 and f"\n{name}" in table
    assert rows["check inrc"]["is_same_file"] and rows["check hnerv"]["levels_from_cpu"] <= 1
    assert rows["fit"]["epochs"] == TOY.fit_epochs and rows["fit"]["psnr_db"] > 15
    for name, figure in (
        ("fit", "steps_per_second"),
        ("decode", "frames_per_second"),
        ("decode", "whole_frames_per_second"),
        ("race", "ratio"),
        ("steps hnerv", "steps_per_second"),
        ("inrc", "frames_per_second"),
    ):
        assert rows[name][figure] > 0

    def again(part: Any, place: Place) -> Any:
        raise AssertionError("a stored part is measured again")

    monkeypatch.setattr(gpu, "measured", again)
    assert run(monkeypatch, tmp_path) == 0
    assert capsys.readouterr().out == table


class _Brief(Place):
    """A place whose time ends with the first checkpoint."""

    @property
    def left(self) -> float:
        return -1.0 if any(self.folder.glob("*.resume/*.fit")) else 1.0


def test_the_fit_goes_on_where_a_run_without_time_left_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    monkeypatch.setattr(parts, "CHECKPOINT_SECONDS", 0.1)
    with pytest.raises(OutOfTime):
        parts.fit(_Brief(TOY, "cpu", tmp_path, 0.0))
    taken, take = list[Batches](), Batches.next
    monkeypatch.setattr(Batches, "next", lambda batches: (taken.append(batches), take(batches))[1])
    figures = parts.fit(Place(TOY, "cpu", tmp_path, time.monotonic() + 600))
    assert figures["epochs"] == TOY.fit_epochs
    assert 0 < len(taken) < TOY.fit_epochs * TOY.frames


class _Profile:
    """A profiler that saw one operation of the CPU, and eight kernels."""

    def __init__(self, activities: Any) -> None:
        self.activities = activities

    def __enter__(self) -> _Profile:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def events(self) -> list[Any]:
        return [SimpleNamespace(device_type=SimpleNamespace(name=name)) for name in ("CPU", *["CUDA"] * 8)]


def test_parts_run_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "profile", _Profile)
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)
    with simulated_cuda():
        place = Place(TOY, "cuda", tmp_path, time.monotonic() + 600)
        for name in ("fit", "decode", "steps hnerv"):
            figures = measured(parts_of(TOY)[name][1], place)
            assert figures["peak_gpu_bytes"] == 123
    assert figures["kernels_a_step"] == 8 / parts.PROFILED_STEPS


def test_errors_and_checks_that_fail_are_shown_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[Any] = [RuntimeError("out of memory"), {"is_same_file": False}, {"is_same_file": True}]

    def part(place: Place) -> Any:
        found = tries.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(gpu, "parts_of", lambda scale: {"check hnerv": (1.0, part)})
    assert [run(monkeypatch, tmp_path) for _ in range(3)] == [1, 1, 0]
    table = capsys.readouterr().out
    assert "error: RuntimeError: out of memory" in table
    assert "at least 1: NO" in table and "at least 1: yes" in table


def test_a_part_that_there_is_no_time_for_is_left_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        gpu, "parts_of", lambda scale: {"long": (50.0, lambda place: {}), "short": (1.0, lambda place: {})}
    )
    assert run(monkeypatch, tmp_path, "--seconds", "30") == 1
    assert list(stored(tmp_path)) == ["short"]
    assert "no time left for long" in capsys.readouterr().out
    assert run(monkeypatch, tmp_path) == 0


def test_the_whole_has_eight_minutes_and_all_families() -> None:
    every = parts_of(FULL)
    limits = [seconds for name, (seconds, _) in every.items() if name != "fit"]
    assert sum(limits) + 120 <= 480
    for family in FAMILIES:
        assert f"check {family.name}" in every
        assert f"steps {family.name}" in every or not family.is_trained


@pytest.mark.parametrize(
    ("value", "limit", "is_kept"),
    [(120.0, -120.0, True), (121.0, -120.0, False), (5.0, 5.0, True), (4.9, 5.0, False)],
)
def test_goals_are_at_least_or_at_most(value: float, limit: float, is_kept: bool) -> None:
    assert gpu.keeps(value, limit) is is_kept
