"""`--psnr`: the smallest file that reaches the target, targets out of reach, and interrupted searches."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from codec_samples import mean_psnr_db, moving_gradient, read_frames, write_clip
from command_line import CARPHONE, inrc, only_line
from test_encoder_resume import stop_when

import inrcodec
from inrcodec.decoder.info import inspect
from inrcodec.encoder import encode as encoding
from inrcodec.encoder.psnr_search import encode_to_psnr
from inrcodec.encoder.result import EncodeResult
from inrcodec.encoder.size_search import CLOSE_DB
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline

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
    assert result.psnr_db > 5 + CLOSE_DB
    assert notes[-1] == f"{output} is the smallest file that this hnerv can make"
    with pytest.raises(TargetUnreachable):
        smaller = EncodeSettings(model="hnerv", device="cpu", size_bytes=result.target_bytes - 1)
        inrcodec.encode(str(clip), str(tmp_path / "b.inrv"), smaller)


def test_time_is_that_of_the_whole_search(clip: Path, tmp_path: Path) -> None:
    started, encodes = time.monotonic(), Encodes()
    asked, whole = replace(ASKED, epochs=None, time_seconds=6.0, psnr_db=90), Deadline(6.0, started)
    with pytest.raises(TargetUnreachable, match="give more --time"):
        encode_to_psnr(str(clip), str(tmp_path / "a.inrv"), asked, Silent(), encodes, whole)
    assert len(encodes.deadlines) >= 2
    for one in encodes.deadlines:
        assert one.ends <= started + 6


def test_too_little_time_is_told(clip: Path, tmp_path: Path) -> None:
    asked = replace(ASKED, epochs=None, time_seconds=0.1)
    with pytest.raises(TargetUnreachable, match="--time is too short"):
        inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked)
    assert not (tmp_path / "a.inrv").exists()


def test_long_fits_are_preceded_by_trials(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.encoder.psnr_search.LEAST_TRIAL_STEPS", 30)
    encodes = Encodes(stop_before=3)
    with pytest.raises(KeyboardInterrupt):
        encode_to_psnr(
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
        encode_to_psnr(str(clip), str(other), asked, Silent(), whole)
    with pytest.raises(KeyboardInterrupt):
        encode_to_psnr(str(clip), str(output), asked, Silent(), first)
    assert not output.exists()
    with pytest.raises(UsageError, match="an unfinished encode with another psnr_db; repeat its command"):
        encode_to_psnr(str(clip), str(output), replace(asked, psnr_db=30), Silent(), second)
    with pytest.raises(UsageError, match="an unfinished encode with another"):
        inrcodec.encode(str(clip), str(output), replace(asked, psnr_db=None, bpp=8))
    with pytest.raises(TargetUnreachable):
        encode_to_psnr(str(clip), str(output), asked, Silent(), second)
    assert [one.size_bytes for one in first.asked + second.asked] == [one.size_bytes for one in whole.asked]
    assert output.read_bytes() == other.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "b.inrv"]


def test_a_network_that_leaves_bits_over_is_not_the_largest(clip: Path, tmp_path: Path) -> None:
    """The smallest supermask does not fill its file, but the search continues with larger ones."""
    encodes = Encodes(stop_before=3)
    asked = replace(ASKED, model="supermask", epochs=10, psnr_db=30)
    with pytest.raises(KeyboardInterrupt):
        encode_to_psnr(str(clip), str(tmp_path / "a.inrv"), asked, Silent(), encodes)
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
        encode_to_psnr(str(clip), str(output), ASKED, Silent(), Encodes(stop_before=1))
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
