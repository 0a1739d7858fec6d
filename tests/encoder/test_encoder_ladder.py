"""`--ladder`: one command writes files of several sizes."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from codec_samples import moving_gradient, write_clip
from command_line import inrc, only_line

import inrcodec
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_ladder, rung_path
from inrcodec.system.deadline import Deadline

pytestmark = pytest.mark.end_to_end

SETTINGS = EncodeSettings(model="hnerv", device="cpu", epochs=2)
QUICK = ["--model", "hnerv", "--epochs", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 4))


def test_rungs_are_read_and_named() -> None:
    assert parse_ladder("0.03, 0.06,12") == (0.03, 0.06, 12)
    assert rung_path("a/out.inrv", 0.03) == "a/out-0.03bpp.inrv"
    assert rung_path("a/out.inrv", 20) == "a/out-20bpp.inrv"
    assert rung_path("out_%v.inrv", 0.125) == "out_0.125.inrv"
    assert rung_path("%v/out", 1.5) == "%v/out-1.5bpp"


@pytest.mark.parametrize("text", ["", "0.03,", "0", "-1", "0.03,nan", "1;2", "0.06,0.060", "1e3", "high"])
def test_no_ladders(text: str) -> None:
    with pytest.raises(ValueError, match="ladder"):
        parse_ladder(text)


def test_a_command_writes_a_file_for_each_size(clip: Path, tmp_path: Path) -> None:
    words = ["encode", clip, "-o", tmp_path / "out.inrv", "--ladder", "8,12,16", *QUICK]
    done = inrc(*words, "--json")
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)["files"]
    paths = [tmp_path / f"out-{bpp}bpp.inrv" for bpp in (8, 12, 16)]
    assert [row["output"] for row in files] == list(map(str, paths))
    for path, row, bpp in zip(paths, files, (8, 12, 16), strict=True):
        assert row["result"]["file_bytes"] == path.stat().st_size
        assert 0.97 * bpp <= row["result"]["bpp"] <= bpp
        assert inspect(str(path)).psnr_db == pytest.approx(row["result"]["psnr_db"], abs=1e-3)
    table = done.stderr.decode().splitlines()[-3:]
    assert [line.split()[0] for line in table] == list(map(str, paths))
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in paths)
    # A rung equals the file that an encode of its size alone makes.
    alone = tmp_path / "alone.inrv"
    inrcodec.encode(str(clip), str(alone), replace(SETTINGS, bpp=12))
    assert alone.read_bytes() == paths[1].read_bytes()
    again = inrc(*words)
    assert again.returncode == 2
    assert f"{paths[0]} exists already; -y replaces it" in only_line(again.stderr)


def test_several_sources_have_a_ladder_each(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", moving_gradient(48, 32, 4))
    done = inrc("encode", clip, other, "-o", f"{tmp_path}/out/", "--ladder", "8,12", "-q", *QUICK)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = [f"{name}-{bpp}bpp.inrv" for name in ("clip", "other") for bpp in (12, 8)]
    assert sorted(os.listdir(tmp_path / "out")) == expected


def test_a_rung_that_fails_leaves_the_others_alone(clip: Path, tmp_path: Path) -> None:
    words = ["encode", clip, "-o", tmp_path / "out.inrv", "--ladder", "0.1,8", "--json", *QUICK]
    done = inrc(*words)
    assert done.returncode == 3
    failed, made = json.loads(done.stdout)["files"]
    assert failed["exit_code"] == 3 and "the smallest reachable is --size" in failed["error"]
    assert made["result"]["bpp"] <= 8
    assert os.listdir(tmp_path) == ["out-8bpp.inrv"]


def test_a_ladder_that_was_stopped_goes_on(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rungs that a stopped ladder finished are kept unchanged."""
    words = ["encode", str(clip), "-o", str(tmp_path / "out.inrv"), "--ladder", "8,12", *QUICK]
    assert run(words) == 0
    finished, other = tmp_path / "out-8bpp.inrv", tmp_path / "out-12bpp.inrv"
    before, other_data = finished.stat(), other.read_bytes()
    other.unlink()
    (tmp_path / "out-12bpp.inrv.resume").mkdir()
    capsys.readouterr()
    assert run(words) == 0
    assert finished.stat().st_mtime_ns == before.st_mtime_ns
    assert other.read_bytes() == other_data
    assert f"{finished}   exists already" in capsys.readouterr().err


def test_the_library_has_ladders_too(clip: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "out_%v.inrv")
    small, large = inrcodec.encode_ladder(str(clip), output, [8, 12], SETTINGS)
    assert small.file_bytes == os.path.getsize(tmp_path / "out_8.inrv")
    assert large.file_bytes == os.path.getsize(tmp_path / "out_12.inrv")
    with pytest.raises(UsageError, match="out_8.inrv exists already"):
        inrcodec.encode_ladder(str(clip), output, [4, 8], SETTINGS)
    with pytest.raises(TargetUnreachable):
        inrcodec.encode_ladder(str(clip), output, [0.1], SETTINGS)


def test_time_is_shared_by_the_rungs(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inrcodec.encoder import ladder

    asked: list[EncodeSettings] = []
    deadlines: list[Deadline] = []
    real = ladder.encode_all

    def encode_all(requests, settings, progress, ended, deadline):  # type: ignore[no-untyped-def]
        asked.append(settings)
        deadlines.append(deadline)
        return real(requests, settings, progress, ended, deadline)

    monkeypatch.setattr(ladder, "encode_all", encode_all)
    started = time.monotonic()
    timed = EncodeSettings(model="hnerv", device="cpu", time_seconds=4.5)
    whole = Deadline(4.5, started)
    inrcodec.encode_ladder(str(clip), str(tmp_path / "out.inrv"), [8, 12, 16], timed, deadline=whole)
    assert [one.bpp for one in asked] == [8, 12, 16]
    # A third of what is left when it begins, however busy the machine is.
    assert deadlines[0].seconds == pytest.approx((whole.ends - deadlines[0].started) / 3, abs=0.01)
    for one in deadlines:
        assert one.ends <= whole.ends + 1e-3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in.mp4", "--ladder", "1,2", "--bpp", "1"], "--ladder and --bpp exclude each other"),
        (["in.mp4", "--ladder", "1,2", "--size", "1k"], "--ladder and --size exclude each other"),
        (["in.mp4", "--ladder", "1,2", "--psnr", "30"], "--ladder and --psnr exclude each other"),
        (["in.mp4", "--ladder", "1,x"], "'1,x' is not a ladder of bits per pixel"),
        (["in.mp4", "--ladder", "1,2"], "in.mp4 does not exist"),
        (["-", "--ladder", "1,2"], "reads its source several times"),
    ],
)
def test_what_is_no_ladder_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    done = inrc("encode", *words, "-o", tmp_path / "out.inrv")
    assert done.returncode == 2
    assert message in only_line(done.stderr)
    assert os.listdir(tmp_path) == []
