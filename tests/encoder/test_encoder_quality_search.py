"""`--psnr` and `--vmaf`: the smallest file that reaches them, targets out of reach, interrupted searches."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from codec_samples import mean_psnr_db, moving_gradient, read_frames, write_clip
from command_line import CARPHONE, inrc, only_line
from numpy.typing import NDArray
from simulated_vmaf import write_ffmpeg
from test_encoder_resume import stop_when

import inrcodec
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect
from inrcodec.encoder import encode as encoding
from inrcodec.encoder.quality_search import encode_to_quality
from inrcodec.encoder.result import EncodeResult
from inrcodec.encoder.size_search import PSNR_SCALE
from inrcodec.errors import InrcError, TargetUnreachable, UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import vmaf

pytestmark = pytest.mark.end_to_end

TINY = ["--model", "hnerv", "--frames", "0:4", "--scale", "32x24", "--device", "cpu"]
ASKED = EncodeSettings(model="hnerv", device="cpu", epochs=12, psnr_db=16)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 4))


class Encodes:
    """The real encode, which records its settings and is interrupted before call number `stop_before`."""

    def __init__(self, stop_before: int = -1) -> None:
        self.asked: list[EncodeSettings] = []
        self.deadlines: list[Deadline] = []
        self._stop_before = stop_before

    def __call__(
        self, source: str, output: str, settings: EncodeSettings, progress: Progress, deadline: Deadline
    ) -> EncodeResult:
        if len(self.asked) == self._stop_before:
            raise KeyboardInterrupt
        self.asked.append(settings)
        self.deadlines.append(deadline)
        return encoding.encode(source, output, settings, progress, deadline)


def test_the_smallest_file_that_reaches_the_target_is_kept(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    done = inrc(
        "encode",
        clip,
        "-o",
        output,
        "--model",
        "hnerv",
        "--psnr",
        "16",
        "--epochs",
        "12",
        "--device",
        "cpu",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    result, text = json.loads(done.stdout), done.stderr.decode()
    with inrcodec.open(str(output), device="cpu") as video:
        decoded = mean_psnr_db(read_frames(clip), video[:])
    assert decoded >= 16
    assert result["psnr_db"] == pytest.approx(decoded, abs=1e-3)
    assert inspect(str(output)).psnr_db == pytest.approx(decoded, abs=1e-3)
    assert (result["psnr_target_db"], result["file_bytes"]) == (16, output.stat().st_size)
    assert f"{decoded:.2f} dB, target 16 dB" in text
    assert "clip.mp4, fit 1: 4 frames of 48x32 -> at most" in text
    fits = [
        (int(size), float(psnr))
        for size, psnr in re.findall(
            r"note: fit \d+: (\d+) bytes, (.*) dB", text.replace(",", "").replace("bytes ", "bytes, ")
        )
    ]
    assert len(fits) > 1
    assert output.stat().st_size == min(size for size, psnr in fits if psnr >= 16)
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_a_target_that_is_not_reached_is_never_met_silently(tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    words = ["encode", CARPHONE, "-o", output, "-q", *TINY, "--psnr", "60", "--epochs", "2"]
    done = inrc(*words, "--parameters", "3k")
    assert (done.returncode, done.stdout) == (3, b"")
    line, found = only_line(done.stderr), inspect(str(output))
    reached = found.psnr_db
    assert reached is not None and reached < 60
    assert f"no fit reached 60 dB; {output} is the best one, {found.file_bytes} bytes at" in line
    advised = float(line.rstrip().rpartition("--psnr ")[2])
    assert reached - 0.01 <= advised <= reached
    assert "more --epochs or --time" in line and "--parameters" in line
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_the_smallest_file_may_be_better_than_what_was_asked_for(clip: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    class Notes(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    output = str(tmp_path / "a.inrv")
    result = inrcodec.encode(str(clip), output, replace(ASKED, psnr_db=5, epochs=3), Notes())
    assert result.psnr_db > 5 + PSNR_SCALE.close
    assert notes[-1] == f"{output} is the smallest file that this hnerv can make"
    with pytest.raises(TargetUnreachable):
        smaller = EncodeSettings(model="hnerv", device="cpu", size_bytes=result.target_bytes - 1)
        inrcodec.encode(str(clip), str(tmp_path / "b.inrv"), smaller)


def test_time_is_that_of_the_whole_search(clip: Path, tmp_path: Path) -> None:
    started, encodes = time.monotonic(), Encodes()
    asked, whole = replace(ASKED, epochs=None, time_seconds=6.0, psnr_db=90), Deadline(6.0, started)
    with pytest.raises(TargetUnreachable, match="give more time_seconds"):
        encode_to_quality(str(clip), str(tmp_path / "a.inrv"), asked, Silent(), encodes, whole)
    assert len(encodes.deadlines) >= 2
    for one in encodes.deadlines:
        assert one.ends <= started + 6


def test_too_little_time_is_told(clip: Path, tmp_path: Path) -> None:
    asked = replace(ASKED, epochs=None, time_seconds=0.1)
    with pytest.raises(TargetUnreachable, match="time_seconds is too short"):
        inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked)
    assert not (tmp_path / "a.inrv").exists()


def test_long_fits_are_preceded_by_trials(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.encoder.quality_search.LEAST_TRIAL_STEPS", 30)
    encodes = Encodes(stop_before=3)
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(
            str(clip), str(tmp_path / "a.inrv"), replace(ASKED, epochs=60, psnr_db=40), Silent(), encodes
        )
    assert [one.epochs for one in encodes.asked] == [10, 10, 10]
    # The first encode fails and names the least reachable size. The second uses it, the third a larger one.
    _, least, larger = (one.size_bytes or 0 for one in encodes.asked)
    assert larger > least


def test_a_search_that_was_stopped_goes_on(clip: Path, tmp_path: Path) -> None:
    whole, first, second = Encodes(), Encodes(stop_before=2), Encodes()
    asked, output, other = replace(ASKED, epochs=3, psnr_db=40), tmp_path / "a.inrv", tmp_path / "b.inrv"
    with pytest.raises(TargetUnreachable):
        encode_to_quality(str(clip), str(other), asked, Silent(), whole)
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(str(clip), str(output), asked, Silent(), first)
    assert not output.exists()
    with pytest.raises(UsageError, match="an unfinished encode with another psnr_db; repeat its command"):
        encode_to_quality(str(clip), str(output), replace(asked, psnr_db=30), Silent(), second)
    with pytest.raises(UsageError, match="an unfinished encode with another"):
        inrcodec.encode(str(clip), str(output), replace(asked, psnr_db=None, bpp=8))
    with pytest.raises(TargetUnreachable):
        encode_to_quality(str(clip), str(output), asked, Silent(), second)
    assert [one.size_bytes for one in first.asked + second.asked] == [one.size_bytes for one in whole.asked]
    assert output.read_bytes() == other.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "b.inrv"]


def test_a_network_that_leaves_bits_over_is_not_the_largest(clip: Path, tmp_path: Path) -> None:
    """The smallest supermask does not fill its file, but the search continues with larger ones."""
    encodes = Encodes(stop_before=3)
    asked = replace(ASKED, model="supermask", epochs=10, psnr_db=30)
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(str(clip), str(tmp_path / "a.inrv"), asked, Silent(), encodes)
    first, second = (one.size_bytes or 0 for one in encodes.asked[-2:])
    assert second > first


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_stops_a_search_within_a_fit(clip: Path, tmp_path: Path, number: signal.Signals) -> None:
    whole, output = tmp_path / "a.inrv", tmp_path / "b.inrv"
    asked = ["--model", "hnerv", "--psnr", "16", "--epochs", f"{ASKED.epochs}", "--device", "cpu"]
    asked += ["--checkpoint", "0.02s"]
    words = [sys.executable, "-m", "inrcodec", "encode", str(clip), "-o", str(output), *asked]
    inrcodec.encode(str(clip), str(whole), ASKED)
    code, text = stop_when(words, lambda: any(tmp_path.glob("b.inrv.resume/fit-*/segment-0.fit")), number)
    if number is signal.SIGINT:
        assert code == 130
        assert "the same command resumes it" in text
    assert not output.exists()
    done = inrc(*words[3:])
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "b.inrv"]


def test_another_encode_may_throw_a_search_away(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(str(clip), str(output), ASKED, Silent(), Encodes(stop_before=1))
    nested = tmp_path / "a.inrv.resume" / "fit-1.inrv.resume"
    nested.mkdir()
    (nested / "state.json").write_text("{}")
    inrcodec.encode(
        str(clip), str(output), EncodeSettings(model="hnerv", device="cpu", epochs=1, bpp=8, overwrite=True)
    )
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_several_sources_are_searched_one_by_one(clip: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    done = inrc(
        "encode", clip, missing, "-o", f"{tmp_path}/out/", "--model", "hnerv", "--psnr", "12",
        "--epochs", "10", "--json", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 2
    found, failed = json.loads(done.stdout)["files"]
    assert found["result"]["psnr_db"] >= 12
    assert failed["error"] == f"{missing} does not exist"


def test_a_target_is_one_of_three() -> None:
    done = inrc("encode", "in.mp4", "-o", "a.inrv", "--psnr", "30", "--bpp", "0.1")
    assert done.returncode == 2
    assert "--bpp and --psnr exclude each other" in only_line(done.stderr)
    assert inrc("encode", "in.mp4", "-o", "a.inrv", "--psnr", "-3").returncode == 2


@pytest.fixture
def ffmpeg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An ffmpeg with libvmaf, the first on PATH."""
    program = write_ffmpeg(tmp_path_factory.mktemp("programs") / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    vmaf.vmaf_program.cache_clear()
    yield program
    vmaf.vmaf_program.cache_clear()


@pytest.fixture
def no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(vmaf, "find_spec", lambda name: None)
    vmaf.vmaf_program.cache_clear()
    yield
    vmaf.vmaf_program.cache_clear()


def test_the_smallest_file_of_a_vmaf_is_found(clip: Path, tmp_path: Path, ffmpeg: Path) -> None:
    output = tmp_path / "a.inrv"
    words = ["encode", clip, "-o", output, "--frames", "1:4", "--scale", "32x24", "--epochs", "3"]
    done = inrc(*words, "--device", "cpu", "--vmaf", "99.8", "--json")
    assert done.returncode == 0, done.stderr
    result, text = json.loads(done.stdout), done.stderr.decode()
    # `inrc eval` measures the same on the file.
    found = evaluate(str(clip), str(output), measures=["vmaf"], device="cpu").values["vmaf"].mean()
    assert result["vmaf"] == pytest.approx(found) and found >= 99.8
    assert (result["vmaf_target"], result["psnr_target_db"]) == (99.8, None)
    assert result["file_bytes"] == output.stat().st_size
    assert f"VMAF {found:.2f}, target 99.8; {result['psnr_db']:.2f} dB" in text
    fits = [
        (int(size.replace(",", "")), float(value))
        for size, value in re.findall(r"note: fit \d+: ([\d,]+) bytes, VMAF ([\d.]+)", text)
    ]
    assert result["file_bytes"] == min(size for size, value in fits if value >= 99.8)
    assert len({size for size, _ in fits}) == len(fits) > 1
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_a_vmaf_out_of_reach_leaves_the_best_file(clip: Path, tmp_path: Path, ffmpeg: Path) -> None:
    output = tmp_path / "a.inrv"
    asked = EncodeSettings(model="hnerv", parameters=2000, device="cpu", epochs=2, vmaf=99.9)
    with pytest.raises(TargetUnreachable) as caught:
        inrcodec.encode(str(clip), str(output), asked)
    reached = evaluate(str(clip), str(output), measures=["vmaf"], device="cpu").values["vmaf"].mean()
    said, advised = str(caught.value), float(str(caught.value).rpartition("vmaf=")[2])
    assert f"no fit reached VMAF 99.9; {output} is the best one" in said
    assert f"bytes at VMAF {advised:.2f}: give more epochs or time_seconds" in said
    assert reached - 0.01 <= advised <= reached < 99.9


def test_a_search_that_was_stopped_while_measuring_goes_on(
    clip: Path, tmp_path: Path, ffmpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fit before it is not lost, and `time_seconds` leaves room for measuring."""
    asked, output = replace(ASKED, epochs=3, psnr_db=None, vmaf=40.0), tmp_path / "a.inrv"
    whole, first, second = Encodes(), Encodes(), Encodes()
    with pytest.raises(TargetUnreachable):
        encode_to_quality(str(clip), str(tmp_path / "b.inrv"), replace(asked, vmaf=99), Silent(), whole)
    with monkeypatch.context() as failing:
        program = ffmpeg.read_text()
        failing.setattr("inrcodec.encoder.searched_metric.Vmaf.scores", _raise)
        with pytest.raises(InrcError, match="VMAF: ffmpeg failed: killed"):
            encode_to_quality(str(clip), str(output), replace(asked, vmaf=99), Silent(), first)
    assert ffmpeg.read_text() == program and not output.exists()
    with pytest.raises(UsageError, match="an unfinished encode with another vmaf; repeat its command"):
        encode_to_quality(str(clip), str(output), asked, Silent(), second)
    with pytest.raises(TargetUnreachable):
        encode_to_quality(str(clip), str(output), replace(asked, vmaf=99), Silent(), second)
    sizes = [[one.size_bytes for one in encodes.asked] for encodes in (first, second, whole)]
    assert sizes[0] + sizes[1] == sizes[2]
    assert output.read_bytes() == (tmp_path / "b.inrv").read_bytes()


def _raise(*_: object) -> list[float]:
    raise InrcError("VMAF: ffmpeg failed: killed")


def test_without_libvmaf_one_line_refuses_at_once(clip: Path, tmp_path: Path, no_ffmpeg: None) -> None:
    taken: list[int] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        taken.append(1)
        yield np.zeros((24, 32, 3), np.uint8)

    line = "--vmaf needs an ffmpeg that has libvmaf, on PATH or by: pip install imageio-ffmpeg"
    with pytest.raises(UsageError, match=f"^{line.lstrip('-')}$"):
        inrcodec.encode(frames(), str(tmp_path / "a.inrv"), vmaf=93)
    assert not taken and os.listdir(tmp_path) == []
    done = inrc("encode", clip, "missing.mp4", "-o", f"{tmp_path}/new/", "--vmaf", "93")
    assert (done.returncode, only_line(done.stderr)) == (2, f"inrc: error: {line}\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--psnr", "30"], "--psnr and --vmaf exclude each other"),
        (["--bpp", "1"], "--bpp and --vmaf exclude each other"),
        (["--ladder", "1,2"], "--ladder and --vmaf exclude each other"),
        (["--resume-from", "b.inrv"], "--vmaf searches for a network, --resume-from keeps one"),
        (["--mask", "a.png"], "--vmaf measures whole frames, and --mask leaves a part of them out"),
        (["--dry-run"], "--vmaf cannot be predicted"),
        (["--vmaf", "101"], "--vmaf: expected at most 100, found 101"),
    ],
)
def test_what_a_vmaf_excludes_is_one_line(
    words: list[str], line: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["encode", str(clip), "-o", str(tmp_path / "a.inrv"), "--vmaf", "93", *words]) == 2
    assert line in only_line(capsys.readouterr().err.encode())
