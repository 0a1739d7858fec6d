"""`inrc compare`: its output, its verdict, refusals, and rivals that are left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import moving_gradient, write_clip
from command_line import environment, only_line
from simulated_vmaf import write_ffmpeg

from inrcodec.cli.main import run
from inrcodec.errors import OutputError, UsageError
from inrcodec.progress import JobReport, Silent
from inrcodec.quality import bdrate
from inrcodec.quality.comparison import equal_bytes, flow
from inrcodec.quality.comparison import ordinary_codecs as rivalling
from inrcodec.quality.comparison import ours as our_side
from inrcodec.quality.comparison.compare import compare
from inrcodec.quality.comparison.equal_bytes import MOST_ENCODES, closest_stream
from inrcodec.quality.comparison.ordinary_codecs import MARGIN, decoded_pictures, rival_curve
from inrcodec.quality.comparison.result import further_tables
from inrcodec.quality.comparison.verdict import (
    BdRate,
    Comparison,
    Contender,
    compare_each,
    difference_db,
    verdict,
)
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.pages import ComparisonSettings
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.video import first_frames, read_clip, vmaf
from inrcodec.video import ordinary_codecs as rivals
from inrcodec.video.arrays import write_lossless
from inrcodec.video.ordinary_codecs import Rival, RivalFailed, decoded_frames, encode_stream, parse_rival
from inrcodec.video.xpsnr import has_xpsnr

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("hurried_module")]
QUICK = ["--epochs", "1", "--device", "cpu", "--against", "x264:ultrafast"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of 48x32."""
    return write_clip(tmp_path_factory.mktemp("compare") / "source.mp4", moving_gradient(48, 32, 6))


def test_the_command_compares_real_files(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, kept = tmp_path / "page.html", tmp_path / "kept"
    options = [*QUICK, "--bpp", "3,4", "--keep", str(kept), "--frames", "1:5", "--json"]
    assert run(["compare", str(clip), "-o", str(output), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["width"], found["height"], found["first_frame"], found["frames"]) == (48, 32, 1, 4)
    assert found["page_bytes"] == output.stat().st_size
    ours, rival = found["contenders"]
    assert (ours["name"], rival["name"]) == ("inrc", "x264:ultrafast")
    for point in ours["points"]:
        # Kept files have the reported size, which does not exceed the size asked for.
        asked = float(point["setting"].split()[0])
        assert (kept / point["file"]).stat().st_size == point["file_bytes"] <= asked * 48 * 32 * 4 / 8
    assert sorted(path.name for path in kept.iterdir()) == sorted(one["file"] for one in ours["points"])
    for point in (*ours["points"], *rival["points"]):
        assert point["bpp"] == pytest.approx(8 * point["file_bytes"] / (48 * 32 * 4))
        assert 10 < point["psnr_p1_db"] <= point["psnr_db"] < 100 and point["seconds"] > 0
    (row,) = found["comparisons"]
    assert row["bd_rate_psnr_percent"] is None
    assert row["times_as_long"] == pytest.approx(ours["mean_seconds"] / rival["mean_seconds"])
    assert found["verdict"].startswith("On this clip inrc ") and "x264 ultrafast" in found["verdict"]
    page = output.read_text()
    assert [side["file"] for side in found["equal_bytes"]] == [point["file"] for point in ours["points"]]
    for side, point in zip(found["equal_bytes"], ours["points"], strict=True):
        mine, other = side["streams"]
        assert (mine["file_bytes"], mine["psnr_db"]) == (point["file_bytes"], point["psnr_db"])
        assert 0 < other["file_bytes"] <= mine["file_bytes"]
        assert set(side["frames"]) <= {"worst", "middle"} and side["frames"]["worst"] in range(4)
        assert mine["frames_psnr_db"]["worst"] == pytest.approx(point["psnr_p1_db"], abs=0.5)
        for stream in (mine, other):
            name = f"{stream['name']}, {stream['file_bytes']:,} bytes"
            for value in stream["frames_psnr_db"].values():
                assert f'data-name="{name}"' in page and f"PSNR {value:.2f} dB" in page
    assert "<h2>At equal bytes</h2>" in page
    assert found["verdict"] in page and "<h2>Verdict</h2>" in page and "<h2>Rate and distortion</h2>" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "page.html"]


@pytest.mark.skipif(not has_xpsnr(), reason="this FFmpeg has no xpsnr")
def test_further_metrics_are_measured_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "source.mp4", moving_gradient(64, 48, 4))
    program = write_ffmpeg(tmp_path / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    vmaf.vmaf_program.cache_clear()
    words = ["compare", str(clip), "-o", str(tmp_path / "page.html"), "--epochs", "0.3", "--device", "cpu"]
    words += ["--against", "x264:ultrafast", "--bpp", "3,4", "--keep", str(tmp_path / "kept")]
    try:
        assert run([*words, "--metric", "xpsnr", "--metric", "vmaf", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        ours, rival = found["contenders"]
        for point in (*ours["points"], *rival["points"]):
            assert 0 < point["vmaf"] <= 100
            assert all(10 < point[f"xpsnr_{name}"] <= 100 for name in "yuv")
        for curve in (ours["points"], rival["points"]):
            assert [one["vmaf"] for one in curve] == sorted(one["vmaf"] for one in curve)
        # Our file and a stream are measured as `inrc eval` measures them, against the source as it is stored.
        point = ours["points"][0]
        again = evaluate(str(clip), str(tmp_path / "kept" / point["file"]), measures=["vmaf", "xpsnr"])
        assert point["vmaf"] == pytest.approx(again.values["vmaf"].mean())
        assert point["xpsnr_y"] == pytest.approx(again.values["xpsnr_y"].mean())
        source, best = SourceSettings(), rival["points"][-1]
        frames = read_clip(str(clip), source).frames
        data = encode_stream(frames, parse_rival("x264:ultrafast"), best["crf"], Fraction(25))
        pictures = list(decoded_pictures(data, parse_rival("x264:ultrafast"), frames))
        write_lossless(pictures, tmp_path / "stream.mkv", Fraction(25))
        again = evaluate(str(clip), str(tmp_path / "stream.mkv"), measures=["vmaf", "xpsnr"])
        assert best["vmaf"] == pytest.approx(again.values["vmaf"].mean())
        assert best["xpsnr_u"] == pytest.approx(again.values["xpsnr_u"].mean())
    finally:
        vmaf.vmaf_program.cache_clear()
    (row,) = found["comparisons"]
    assert {"bd_rate_vmaf_percent", "overlap_vmaf", "bd_rate_xpsnr_y_percent", "overlap_xpsnr_y"} <= set(row)
    page = (tmp_path / "page.html").read_text()
    assert "BD-rates by XPSNR of Y and VMAF" in page and "samples that the source stores" in page


def test_a_further_metric_that_is_missing_is_refused_at_once(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inrcodec.quality.frame_metrics.vmaf_program", lambda: None)
    assert run(["compare", str(clip), "-o", str(tmp_path / "page.html"), "--metric", "vmaf"]) == 2
    line = only_line(capsys.readouterr().err.encode())
    assert "vmaf needs an ffmpeg that has libvmaf" in line and os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="metrics: expected xpsnr, vmaf, each once, found flip"):
        ComparisonSettings(metrics=["flip"])


class _Jobs(Silent):
    """Keeps the reports of the whole job."""

    def __init__(self) -> None:
        self.jobs: list[JobReport] = []

    def job(self, report: JobReport) -> None:
        self.jobs.append(report)


def test_one_bar_covers_rivals_all_models_and_measuring(clip: Path, tmp_path: Path) -> None:
    told = _Jobs()
    settings = ComparisonSettings(
        models=("inrc", "nerv"),
        bpps=(6.0,),
        epochs=0.3,
        against=("x264:ultrafast",),
        device="cpu",
        title="Both",
    )
    made = compare(clip, tmp_path / "page.html", settings, told)
    fractions = [job.fraction for job in told.jobs]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0)
    assert [name for name in dict.fromkeys(job.place for job in told.jobs) if name] == [
        *("inrc", "nerv"),
        *("file 1 of 2", "file 2 of 2"),
    ]
    # A fit says how good it is before it ends.
    assert any(job.psnr_db is not None for job in told.jobs if job.doing.startswith("searching nodes"))
    assert len(made.contenders) == 3 and "<h1>Both</h1>" in (tmp_path / "page.html").read_text()


def row(anchor: str, percent: float | None, difference: float | None, times: float) -> Comparison:
    return Comparison("inrc", anchor, BdRate(percent, None), BdRate(None, None), difference, times)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [row("x265:medium", 12.3, -0.5, 40.4)],
            "On this clip inrc needs 12 % more bits than x265 medium for the same PSNR and takes 40 times as "
            "long to encode.",
        ),
        (
            [
                row("x264:medium", -20.0, 1.0, 1234.0),
                row("x265:slow", 0.3, 0.1, 9.96),
                row("svtav1:6", 63.0, -2, 0.5),
            ],
            "On this clip inrc needs 20 % fewer bits than x264 medium, as many bits as x265 slow and 63 % "
            "more than SVT-AV1 6 for the same PSNR and takes 1,234, 10 and 0.5 times as long to encode.",
        ),
        (
            [
                row("x264:fast", None, -1.25, 30),
                row("x265:fast", 5.0, None, 20),
                row("svtav1:6", None, None, 2),
            ],
            "On this clip inrc needs 5 % more bits than x265 fast for the same PSNR, is 1.25 dB below x264 "
            "fast at the same bits, has no rate in common with SVT-AV1 6 and takes 20, 30 and 2 times as "
            "long to encode.",
        ),
    ],
)
def test_the_verdict_says_what_the_figures_say(rows: list[Comparison], expected: str) -> None:
    assert verdict(rows) == expected


def curve(factor: float, seconds: float) -> list[dict[str, Any]]:
    return [
        {"bpp": factor * 2.0**step, "psnr_db": 30 + 2.5 * step, "ms_ssim": None, "seconds": seconds}
        for step in range(4)
    ]


def test_comparisons_of_known_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    contenders = [Contender("inrc", curve(0.05, 60.0)), Contender("x264:medium", curve(0.1, 1.5))]
    (found,) = compare_each(contenders)
    assert found.psnr.percent == pytest.approx(-50) and found.psnr.overlap == (30, 37.5)
    assert found.ms_ssim == BdRate(None, None) and found.further == {}
    for one in contenders:
        for place in one.points:
            place["vmaf"] = 2 * place["psnr_db"]
    (found,) = compare_each(contenders)
    assert found.further["vmaf"].percent == pytest.approx(-50)
    assert found.further["vmaf"].overlap == (60, 75)
    (table,) = further_tables([found])
    assert table.head == ("against", "model", "BD-rate by VMAF", "range")
    assert table.rows == (("x264 medium", "inrc", "-50.0 %", "60.00 to 75.00"),)
    # Half the bits are one step of 2.5 dB; the point at 0.05 bpp is below the other's range.
    assert found.difference_db == pytest.approx(2.5) and found.times_as_long == pytest.approx(40)
    assert difference_db(curve(100, 1), curve(0.1, 1)) is None
    monkeypatch.setattr(bdrate, "find_spec", lambda name: None)
    (found,) = compare_each(contenders)
    assert found.psnr.percent is None and "2.50 dB above x264 medium" in verdict([found])


@pytest.mark.parametrize("bpps", [(0.03, 0.2), (1.0, 1.0)])
def test_rivals_bracket_the_rates(monkeypatch: pytest.MonkeyPatch, bpps: tuple[float, float]) -> None:
    def point(rival: Rival, crf: int, frames: object, rate: object, further: object) -> dict[str, float]:
        return {"bpp": 2 ** (-crf / 6) * 7}

    monkeypatch.setattr(rivalling, "rival_point", point)
    found = rival_curve(parse_rival("x265:medium"), np.zeros(0), bpps, Fraction(25), Silent())
    rates = [one["bpp"] for one in found]
    assert rates == sorted(rates) and len(set(rates)) == len(rates) >= 4
    assert rates[0] <= min(bpps) / MARGIN and max(bpps) * MARGIN <= rates[-1]


@pytest.mark.parametrize("name", ["x264:ultrafast", "x265:ultrafast", "svtav1:12"])
def test_a_stream_comes_close_to_the_bytes_from_below(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rival, frames, rate = parse_rival(name), moving_gradient(96, 64, 6), Fraction(25)
    encoded: dict[float, int] = {}

    def encode(frames: Any, rival: Rival, crf: float, rate: Fraction) -> bytes:
        data = encode_stream(frames, rival, crf, rate)
        encoded[crf] = len(data)
        return data

    monkeypatch.setattr(equal_bytes, "encode_stream", encode)
    ends = [{"crf": crf, "file_bytes": len(encode(frames, rival, crf, rate))} for crf in (20, 44)]
    limit = sum(end["file_bytes"] for end in ends) // 2
    encoded.clear()
    found = closest_stream(rival, frames, rate, limit, ends)
    assert len(found.data) == max(size for size in encoded.values() if size <= limit)
    assert len(encoded) <= MOST_ENCODES
    finer = len(encode(frames, rival, found.crf - 1 / rival.encoder.crf_parts, rate))
    # Streams this small do not always grow with finer factors.
    assert len(found.data) >= 0.95 * limit or finer > limit
    assert len(list(decoded_pictures(found.data, rival, frames))) == len(frames)
    (smallest,) = ends[1:]
    coarsest = len(encode(frames, rival, rival.encoder.coarsest_crf, rate))
    with pytest.raises(RivalFailed, match=f"its smallest stream has {coarsest} bytes"):
        closest_stream(rival, frames, rate, coarsest - 1, [smallest])


@pytest.mark.parametrize("limit", [700, 5_000, 40_000, 10**9])
@pytest.mark.parametrize(("name", "worst_share"), [("x264:medium", 0.988), ("svtav1:6", 0.89)])
def test_the_search_for_equal_bytes_takes_few_encodes(
    name: str, worst_share: float, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes halve every six factors; a stream of a billion bytes does not exist."""
    encoded: list[float] = []

    def encode(frames: Any, rival: Rival, crf: float, rate: Fraction) -> bytes:
        encoded.append(crf)
        return bytes(round(200_000 * 2 ** (-crf / 6)))

    monkeypatch.setattr(equal_bytes, "encode_stream", encode)
    rival = parse_rival(name)
    known = [{"crf": crf, "file_bytes": round(200_000 * 2 ** (-crf / 6))} for crf in (18, 28, 38)]
    found = closest_stream(rival, np.zeros((1, 2, 2, 3), np.uint8), Fraction(25), limit, known)
    assert len(encoded) <= 4
    if limit == 10**9:
        assert found.crf == 1
    else:
        assert worst_share * limit <= len(found.data) <= limit


def test_the_worst_frame_and_the_middle_are_shown_once_each() -> None:
    def chosen(values: list[float]) -> dict[str, int]:
        return {one.title: one.index for one in equal_bytes._choose(np.array(values))}

    assert chosen([30, 31, 32, 29, 33]) == {"worst": 3, "middle": 2}
    assert chosen([30, 28, 32]) == {"worst": 1}
    assert chosen([30]) == {"only": 0}


def test_a_rival_that_cannot_be_so_small_is_noted(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(equal_bytes, "encode_stream", lambda *_: bytes(10**6))
    real = equal_bytes.closest_stream
    large = [{"crf": 30, "file_bytes": 10**6}]
    monkeypatch.setattr(equal_bytes, "closest_stream", lambda *given: real(*given[:-1], large))
    output = tmp_path / "page.html"
    assert run(["compare", str(clip), "-o", str(output), *QUICK, "--bpp", "4"]) == 0
    shown = capsys.readouterr()
    assert " bytes is left out: its smallest stream has 1,000,000 bytes" in shown.err
    assert "its smallest stream has 1,000,000 bytes." in output.read_text()


def test_rivals_take_frames_of_odd_sizes() -> None:
    frames = moving_gradient(65, 71, 3)
    rival = parse_rival("x264:medium")
    decoded = np.stack(list(decoded_frames(encode_stream(frames, rival, 10), rival, 71, 65)))
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 2


def test_a_missing_rival_is_noted(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Rival, "is_installed", property(lambda rival: rival.codec != "svtav1"))
    output = tmp_path / "page.html"
    options = ["--epochs", "1", "--device", "cpu", "--bpp", "4", "--against", "svtav1:8,x264:ultrafast"]
    assert run(["compare", str(clip), "-o", str(output), *options]) == 0
    shown = capsys.readouterr()
    assert "note: svtav1:8 is left out: this build of FFmpeg has no libsvtav1" in shown.err
    assert "x264 ultrafast" in shown.out and "On this clip inrc " in shown.out
    assert "svtav1:8 is left out" in output.read_text()
    command = ["compare", str(clip), "-o", str(output), "-y", "--against", "svtav1:8"]
    assert run(command) == 2
    assert "has no libsvtav1" in only_line(capsys.readouterr().err.encode())


def test_a_source_of_a_long_name_is_compared(tmp_path: Path) -> None:
    source = write_clip(tmp_path / f"{'é' * 125}.mp4", moving_gradient(48, 32, 2))
    kept = tmp_path / "kept"
    command = ["compare", str(source), "-o", str(tmp_path / "page.html"), "--keep", str(kept)]
    assert run([*command, *QUICK, "--bpp", "9", "-q"]) == 0
    (name,) = os.listdir(kept)
    assert name.startswith("éé") and name.endswith("-inrc-9bpp.inrv")


def test_a_rival_that_fails_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rival's stream is cut, so it cannot be decoded."""
    real = rivals.encode_stream

    def encode(frames: Any, rival: Rival, *more: Any) -> bytes:
        return real(frames, rival, *more)[:9] if rival.codec == "x265" else real(frames, rival, *more)

    monkeypatch.setattr(rivalling, "encode_stream", encode)
    words = ["--epochs", "1", "--device", "cpu", "--bpp", "6", "--against", "x265:ultrafast,x264:ultrafast"]
    source = write_clip(tmp_path / "a.mp4", moving_gradient(64, 64, 2))
    assert run(["compare", str(source), "-o", str(tmp_path / "page.html"), *words]) == 0
    assert "x265:ultrafast is left out: x265:ultrafast " in capsys.readouterr().err


def test_an_error_that_is_of_no_size_ends_a_comparison(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_side, "encode_rungs", lambda rungs, *_: [OutputError("no space") for _ in rungs])
    assert run(["compare", str(clip), "-o", str(tmp_path / "page.html"), *QUICK, "--bpp", "4", "-q"]) == 1
    assert os.listdir(tmp_path) == []


def test_of_a_long_video_the_first_seconds_are_compared(clip: Path) -> None:
    assert first_frames(str(clip), 0.1) == FrameRange(0, 2)
    assert first_frames(str(clip), 5.0) == FrameRange()
    notes: list[str] = []

    class Noted(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    chosen = flow._selected(str(clip), ComparisonSettings(first_seconds=0.12), Noted())
    assert chosen.frames == FrameRange(0, 3) and "the first 0.12 seconds" in notes[0]
    asked = ComparisonSettings(SourceSettings(FrameRange(0, 5)), first_seconds=0.1)
    assert flow._selected(str(clip), asked, Noted()).frames == FrameRange(0, 5)
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.mp4"], 2, "does not exist"),
        (["-"], 2, "several times"),
        (["{text}"], 1, "is not a video"),
        (["{clip}", "-o", "{page}"], 2, "exists already"),
        (["{clip}", "-o", "a.txt"], 2, "ends with .html"),
        (["{clip}", "--bpp", "0.1,0.1"], 2, "repeats a number"),
        (["{clip}", "--time", "5s"], 2, "--time and --epochs"),
        (["{clip}", "--against", "vp9:good"], 2, "expected CODEC:PRESET"),
        (["{clip}", "--against", "x264:quick"], 2, "presets of x264"),
        (["{clip}", "--against", ""], 2, "at least one"),
        (["{clip}", "--model", "nervous"], 2, "nervous"),
        (["{clip}", "--model", "inrc", "--preset", "paper"], 2, "--preset paper"),
        (["{clip}", "--keep", "{text}"], 2, "is not a folder"),
        (["{clip}", "--keep", "{there}"], 2, "exists already"),
        (["{clip}", "--frames", "50:60"], 1, "no frames in 50:60"),
        (["{clip}", "--bpp", "0.0001"], 3, ""),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/source-inrc-4bpp.inrv").write_bytes(b"kept")
    (tmp_path / "page.html").write_text("old")
    (tmp_path / "text.txt").write_text("no video")
    before = sorted(tmp_path.rglob("*"))
    places = {"clip": clip, "page": "page.html", "text": "text.txt", "there": "there"}
    given = [word.format(**places) for word in words]
    options = [] if "-o" in given else ["-o", "new.html"]
    options += [] if "--bpp" in given else ["--bpp", "4"]
    options += [] if "--against" in given else QUICK[-2:]
    assert run(["compare", *given, *options, *QUICK[:4], "-q"]) == code
    assert message in only_line(capsys.readouterr().err.encode())
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "page.html").read_text() == "old"


def test_ctrl_c_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    options = ["--time", "1h", "--bpp", "4", "--against", "x264:ultrafast", "--device", "cpu"]
    command = [sys.executable, "-m", "inrcodec", "compare", str(clip), "-o", str(tmp_path / "a.html")]
    folder = tmp_path / ".a.html.compare.partial"
    with subprocess.Popen([*command, *options], env=environment(), stderr=subprocess.PIPE) as running:
        for _ in range(600):
            if folder.is_dir() and os.listdir(folder):
                break
            time.sleep(0.05)
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.decode().splitlines()[-1] == "inrc: error: interrupted, nothing was written"
    assert list(tmp_path.iterdir()) == []


def test_help_loads_no_torch() -> None:
    ends = "sys.exit('torch' in sys.modules)"
    script = f"import sys; from inrcodec.cli.main import run; run(['compare', '--help']); {ends}"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0 and b"--against" in done.stdout
