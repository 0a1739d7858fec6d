"""Encodes that are interrupted or killed and then resumed make the file of an uninterrupted encode."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from codec_samples import TWO_SEGMENTS, moving_gradient, write_clip
from command_line import environment

import inrcodec
from inrcodec.cli.main import run
from inrcodec.errors import UsageError
from inrcodec.progress import FitReport, Silent
from inrcodec.settings.encode import EncodeSettings

pytestmark = pytest.mark.end_to_end

ASKED = [*TWO_SEGMENTS, "--checkpoint", "0.02s"]


def command(source: Path, output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "inrcodec", "encode", str(source), "-o", str(output), *ASKED, *more]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 12))


@pytest.fixture(scope="module")
def uninterrupted(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("whole") / "a.inrv"
    assert run(["encode", str(clip), "-o", str(output), *TWO_SEGMENTS, "-q"]) == 0
    assert os.listdir(output.parent) == ["a.inrv"]
    return output.read_bytes()


def stop_when(words: list[str], is_time: Callable[[], bool], number: signal.Signals) -> tuple[int, str]:
    """Start the command, send the signal as soon as `is_time`, and return exit code and stderr."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, env=environment())
    try:
        while not is_time():
            assert process.poll() is None, "the command ended before it could be stopped"
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        return process.returncode, said.decode()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_encode_makes_the_file_of_an_uninterrupted_one(
    clip: Path, uninterrupted: bytes, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output = tmp_path / "a.inrv"
    folder = tmp_path / "a.inrv.resume"
    words = command(clip, output)
    # Stopped once in the first segment's fit and once in the second's.
    first = stop_when(words, (folder / "segment-0.fit").exists, number)
    assert first[0] == code
    assert not output.exists()
    second = stop_when(words, (folder / "segment-1.fit").exists, number)
    assert second[0] == code
    assert "resuming: 0 of 2 segments are finished" in second[1]
    if number is not signal.SIGKILL:
        assert f"inrc encode {clip} -o {output} --model hnerv --size 9k" in second[1].splitlines()[-1]
    third = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)
    assert third.returncode == 0, third.stderr
    assert "resuming: 1 of 2 segments are finished" in third.stderr
    assert output.read_bytes() == uninterrupted
    assert os.listdir(tmp_path) == ["a.inrv"]


class StopsAt(Silent):
    """Interrupts a fit at a fraction of its length, as Ctrl-C does in the library."""

    def __init__(self, fraction: float) -> None:
        self.fraction, self.notes = fraction, list[str]()

    def fit(self, report: FitReport) -> None:
        if report.fraction >= self.fraction:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.parametrize(
    ("model", "preset", "seconds"),
    [
        ("hnerv", "draft", None),
        ("supermask", "draft", None),
        ("hnerv", "paper", None),
        ("nerv", "draft", 5.0),
    ],
)
def test_every_part_of_a_fit_is_put_back(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    preset: str,
    seconds: float | None,
) -> None:
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    epochs = 2 if seconds is None else None
    asked = EncodeSettings(
        model=model, preset=preset, epochs=epochs, time_seconds=seconds, size_bytes=9000, device="cpu",
        checkpoint_seconds=1e-6,
    )  # fmt: skip
    output, progress = tmp_path / "a.inrv", StopsAt(0.9)
    with pytest.raises(KeyboardInterrupt):
        inrcodec.encode(str(clip), str(output), asked, progress)
    started = time.monotonic()
    resumed = inrcodec.encode(
        str(clip), str(output), replace(asked, overwrite=True), progress := StopsAt(2.0)
    )
    took = time.monotonic() - started
    assert any("resuming" in note for note in progress.notes)
    if seconds is None:
        whole = inrcodec.encode(str(clip), str(tmp_path / "b.inrv"), asked)
        assert (resumed.steps, resumed.psnr_db) == (whole.steps, whole.psnr_db)
        assert output.read_bytes() == (tmp_path / "b.inrv").read_bytes()
    else:
        # A resumed encode only has the rest of the time, and reports the time of all its runs.
        assert took < resumed.seconds
        assert resumed.fit_seconds < seconds
    assert not (tmp_path / "a.inrv.resume").exists()


def folder_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.resume")


def interrupted(clip: Path, output: Path, asked: EncodeSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        inrcodec.encode(str(clip), str(output), asked, StopsAt(0.5))
    return folder_of(output)


DRAFT = EncodeSettings(
    model="hnerv", preset="draft", epochs=2, size_bytes=9000, device="cpu", checkpoint_seconds=1e-6
)


@pytest.mark.parametrize("change", ["seed", "source"])
def test_another_request_keeps_the_work_unless_it_is_told_to_overwrite(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    output = tmp_path / "a.inrv"
    folder = interrupted(clip, output, DRAFT, monkeypatch)
    source, asked = clip, DRAFT
    if change == "seed":
        asked = replace(DRAFT, seed=1)
    else:
        source = write_clip(tmp_path / "other.mp4", 255 - moving_gradient(48, 32, 12))
    held = sorted(os.listdir(folder))
    with pytest.raises(UsageError, match=f"another {change}.*overwrite=True"):
        inrcodec.encode(str(source), str(output), asked)
    assert sorted(os.listdir(folder)) == held
    progress = StopsAt(2.0)
    inrcodec.encode(str(source), str(output), replace(asked, overwrite=True), progress)
    assert any("starting again" in note for note in progress.notes)
    inrcodec.encode(str(source), str(tmp_path / "b.inrv"), asked)
    assert output.read_bytes() == (tmp_path / "b.inrv").read_bytes()


def test_segments_of_another_request_are_never_taken(
    clip: Path, uninterrupted: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.inrv"
    other = write_clip(tmp_path / "other.mp4", 255 - moving_gradient(48, 32, 12))
    stop_when(command(other, output), (folder_of(output) / "segment-0.json").exists, signal.SIGKILL)
    # Simulates a folder that cannot be cleared: its files stay beside the new request's state.
    monkeypatch.setattr("inrcodec.encoder.resume.Resumable.remove", lambda self: None)
    assert run(["encode", str(clip), "-o", str(output), *TWO_SEGMENTS, "-q", "-y"]) == 0
    assert output.read_bytes() == uninterrupted


def test_a_folder_of_somebody_else_is_left_alone(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    folder = folder_of(output)
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="thesis.txt, which inrc did not write"):
        inrcodec.encode(str(clip), str(output), replace(DRAFT, overwrite=True))
    assert os.listdir(folder) == ["thesis.txt"] and not output.exists()


def test_what_networks_do_not_depend_on_may_change(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.inrv"
    timed = replace(DRAFT, epochs=None, time_seconds=8.0)
    interrupted(clip, output, timed, monkeypatch)
    sources = replace(timed.source, audio=False)
    progress = StopsAt(2.0)
    asked = replace(timed, time_seconds=9.0, source=sources, workers="local:1", checkpoint_seconds=30.0)
    inrcodec.encode(str(clip), str(output), asked, progress)
    assert any("resuming" in note for note in progress.notes)


@pytest.mark.parametrize("damage", ["flipped", pytest.param("cut", marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_as_good_as_none(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    output = tmp_path / "a.inrv"
    fit = interrupted(clip, output, DRAFT, monkeypatch) / "segment-0.fit"
    data = bytearray(fit.read_bytes())
    data[len(data) // 2] ^= damage == "flipped"
    fit.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    progress = StopsAt(2.0)
    inrcodec.encode(str(clip), str(output), DRAFT, progress)
    assert any("is damaged" in note for note in progress.notes)
    inrcodec.encode(str(clip), str(tmp_path / "b.inrv"), DRAFT)
    assert output.read_bytes() == (tmp_path / "b.inrv").read_bytes()


def test_a_timed_encode_goes_on_however_much_time_an_interruption_took(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    output, progress = tmp_path / "a.inrv", StopsAt(0.6)
    timed = replace(DRAFT, model="nerv", epochs=None, time_seconds=5.0, segment=6, checkpoint_seconds=1e6)
    with pytest.raises(KeyboardInterrupt):
        inrcodec.encode(str(clip), str(output), timed, progress)
    assert sorted(path.name for path in folder_of(output).glob("segment-*")) == [
        "segment-0.inrv",
        "segment-0.json",
    ]
    state = json.loads((folder_of(output) / "state.json").read_text())
    (folder_of(output) / "state.json").write_text(json.dumps({**state, "used_seconds": 4.99}))
    inrcodec.encode(str(clip), str(output), timed, progress := StopsAt(2.0))
    assert "resuming: 1 of 2 segments are finished" in progress.notes


def test_an_output_whose_name_is_as_long_as_can_be(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / ("a" * 250 + ".inrv")
    inrcodec.encode(str(clip), str(output), DRAFT)
    assert os.listdir(tmp_path) == [output.name]


def test_the_folder_holds_json_files_and_tensors_only(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = interrupted(clip, tmp_path / "a.inrv", DRAFT, monkeypatch)
    assert sorted(os.listdir(folder)) == ["segment-0.fit", "state.json"]
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    assert state["used_seconds"] > 0
    content = (folder / "segment-0.fit").read_bytes()[hashlib.sha256().digest_size :]
    saved = torch.load(io.BytesIO(content), weights_only=True)
    assert 0.4 < saved["position"]["fraction"] < 0.6
    assert saved["parts"]["rate control"]["log_weight"].isfinite()


def test_a_folder_that_takes_no_checkpoint_costs_only_the_resume(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.inrv.resume").write_text("a file is in the way")
    progress = StopsAt(2.0)
    inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), DRAFT, progress)
    assert any("cannot be resumed: cannot write" in note for note in progress.notes)
    assert (tmp_path / "a.inrv").exists()
