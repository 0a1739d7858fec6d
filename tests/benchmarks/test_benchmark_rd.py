"""`benchmarks.rd`: BD-rates of known curves, rivals through PyAV, and sweeps that resume."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from codec_samples import moving_gradient, write_clip
from command_line import ROOT, environment

from benchmarks import rd, rivals
from benchmarks.bdrate import draw, standings
from benchmarks.record import DEVELOPMENT_CLIPS, BenchmarkClip, clip_of
from benchmarks.results_page.__main__ import page
from inrcodec.errors import UsageError
from inrcodec.quality.bdrate import Curve, bd_rate, compare_all
from inrcodec.quality.comparison.ordinary_codecs import rival_point
from inrcodec.video.ordinary_codecs import Frames, Rival, parse_rival, without_settings


def curve(factor: float, shift_db: float = 0.0) -> Curve:
    return [
        {"bpp": factor * 2.0**step, "psnr_db": 30 + 2.5 * step + shift_db, "ms_ssim": None}
        for step in range(5)
    ]


def test_half_the_rate_at_equal_quality_is_minus_fifty_percent() -> None:
    row = bd_rate(curve(0.1), curve(0.05), "psnr_db")
    assert row["percent"] == pytest.approx(-50)
    assert row["overlap"] == [30, 40] and row["points"] == [5, 5]


def test_the_overlap_is_what_both_curves_reach() -> None:
    assert bd_rate(curve(0.1), curve(0.1, 5.0), "psnr_db")["overlap"] == [35, 40]


def test_no_figure_without_overlap_or_with_three_points() -> None:
    apart = bd_rate(curve(0.1), curve(0.1, 20.0), "psnr_db")
    assert apart["percent"] is None and apart["overlap"] is None
    assert bd_rate(curve(0.1)[:3], curve(0.1), "psnr_db")["percent"] is None
    unmeasured = bd_rate(curve(0.1), curve(0.1), "ms_ssim")
    assert unmeasured["percent"] is None and unmeasured["overlap"] is None


def test_a_point_worse_than_a_smaller_one_is_left_out() -> None:
    failed = curve(0.05)
    failed[2]["psnr_db"] = 12.0
    row = bd_rate(curve(0.1), failed, "psnr_db")
    assert row["points"] == [5, 4] and row["percent"] == pytest.approx(-50)


@pytest.mark.parametrize(
    ("rival", "fine", "coarse"), [("x264:ultrafast", 18, 40), ("x265:ultrafast", 18, 40)]
)
def test_a_rival_decodes_what_it_encoded(rival: str, fine: int, coarse: int) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    frames = np.stack([np.stack([np.roll(ramp, 3 * time)] * 64) for time in range(5)])
    frames = np.stack([frames, frames[:, ::-1], 255 - frames], axis=-1)
    sizes, quality = [], []
    for crf in (fine, coarse):
        point = rival_point(parse_rival(rival), crf, frames)
        sizes.append(point["file_bytes"])
        quality.append(point["psnr_db"])
    assert sizes[0] > sizes[1] and quality[0] > quality[1] and quality[0] > 25


def test_settings_of_the_encoder_are_no_bytes_of_the_video() -> None:
    picture, settings = b"\x65picture", b"\x06x264 - core 164"
    assert without_settings(b"\0\0\0\1" + settings + b"\0\0\1" + picture) == b"\0\0\0\1" + picture


def test_unknown_rivals_are_refused() -> None:
    for text in ("vp8:good", "x264", "x264:"):
        with pytest.raises(UsageError, match="expected CODEC:PRESET"):
            parse_rival(text)


def test_an_interrupted_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def point(task: rd.Task, clip: BenchmarkClip, folder: Path) -> rd.Point:
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(task.setting)
        return {"bpp": float(task.setting), "psnr_db": 30.0, "ms_ssim": None}

    monkeypatch.setattr(rd, "our_point", point)
    report, words = (
        tmp_path / "rd.json",
        ["--model", "hnerv", "--epochs", "1", "--against", "", "--bpp", "1,2,3"],
    )
    command = ["rd", "carphone", *words, "--json", str(report), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(KeyboardInterrupt):
        rd.main()
    assert measured == ["1", "2"] and len(json.loads(report.read_text())["results"]) == 2
    measured.clear()
    rd.main()
    assert measured == ["3"]
    measured.clear()
    monkeypatch.setattr("sys.argv", [*command, "--seed", "7"])
    with pytest.raises(KeyboardInterrupt):
        rd.main()
    assert measured == ["1", "2"]


def test_dev_is_all_eight_clips_each_at_its_own_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["rd", "dev", "--clips", str(tmp_path), "--model", "inrc", "--epochs", "20", "--against", ""]
    monkeypatch.setattr("sys.argv", words)
    tasks = list(rd.tasks_of(*rd.parse_arguments()))
    assert list(dict.fromkeys(task.clip for task in tasks)) == list(DEVELOPMENT_CLIPS)
    assert len(tasks) == 4 * len(DEVELOPMENT_CLIPS) == 32
    assert [task.setting for task in tasks if task.clip == "signing"] == ["0.05", "0.1", "0.2", "0.4"]
    dog = clip_of("dog", tmp_path)
    assert dog.path == str(tmp_path / "dog.mp4")
    assert dog.options == ["--scale", "480x270", "--frames", "0:64"]
    assert Path(clip_of("carphone", tmp_path).path).is_file()


def test_dev_alone_has_our_model_and_three_rivals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rd", "dev", "--epochs", "20"])
    options, others = rd.parse_arguments()
    assert [rival.name for rival in options.against] == ["x264:medium", "x265:medium", "svtav1:6"]
    assert (options.model, options.jobs, others) == (["inrc"], 1, [])
    monkeypatch.setattr("sys.argv", ["rd", "carphone", "--epochs", "20"])
    assert len(rd.parse_arguments()[0].against) == 6


@pytest.mark.parametrize("words", [["--jobs", "2"], ["--jobs", "2", "--time", "5m"], ["--jobs", "0"]])
def test_several_jobs_take_epochs(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rd", "carphone", *words])
    with pytest.raises(SystemExit):
        rd.parse_arguments()
    assert "--jobs above 1 takes --epochs" in capsys.readouterr().err


FRAMES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
MEDIUM = parse_rival("x264:medium")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rate factors that were measured, with made-up points."""
    found: list[int] = []

    def point(rival: Rival, crf: int, frames: Frames) -> rd.Point:
        found.append(crf)
        return {"bpp": 1 / crf, "psnr_db": 60.0 - crf, "ms_ssim": None}

    monkeypatch.setattr(rivals, "rival_point", point)
    return found


def test_rivals_are_measured_once(tmp_path: Path, measured: list[int]) -> None:
    file, digest = tmp_path / "new" / "rivals.json", rivals.digest_of(FRAMES)
    first = rivals.RivalPoints(file).point("a", MEDIUM, 23, FRAMES, digest)
    again = rivals.RivalPoints(file).point("another name", MEDIUM, 23, FRAMES.copy(), digest)
    assert first == again and measured == [23]
    assert first["processor"] and "libx264 of PyAV" in first["version"] and first["psnr_db"] == 37
    (row,) = json.loads(file.read_text())["points"]
    assert (row["clip"], row["rival"], row["crf"], row["frames_sha256"]) == ("a", "x264:medium", 23, digest)
    again["psnr_db"] = 0
    assert rivals.RivalPoints(file).point("a", MEDIUM, 23, FRAMES, digest) == first


def test_rivals_are_measured_again_for_other_frames_factors_and_versions(
    tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, digest = rivals.RivalPoints(tmp_path / "rivals.json"), rivals.digest_of(FRAMES)
    others = [digest, rivals.digest_of(FRAMES[:2]), rivals.digest_of(FRAMES.reshape(3, 32, 128, 3))]
    assert len({*others}) == 3
    for one in others:
        kept.point("a", MEDIUM, 23, FRAMES, one)
    kept.point("a", MEDIUM, 28, FRAMES, digest)
    kept.point("a", parse_rival("x264:fast"), 28, FRAMES, digest)
    assert measured == [23, 23, 23, 28, 28]
    monkeypatch.setattr("av.__version__", "99.0")
    kept.point("a", MEDIUM, 23, FRAMES, digest)
    assert len(measured) == 6
    monkeypatch.setattr(rivals, "MEASUREMENT", 2)
    kept.point("a", MEDIUM, 23, FRAMES, digest)
    assert len(measured) == 7


@pytest.mark.end_to_end
def test_two_jobs_in_a_real_sweep(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", moving_gradient(128, 112, 5))
    report, kept = tmp_path / "rd-small.json", tmp_path / "rivals" / "points.json"
    words = ["--epochs", "1", "--bpp", "0.3,0.6", "--against", "x264:ultrafast", "--device", "cpu"]
    command = [sys.executable, "-m", "benchmarks.rd", str(clip), "--jobs", "2", *words]
    command += ["--json", str(report), "--rivals", str(kept), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    assert b"against x264:ultrafast, worst first" in done.stdout
    rows = json.loads(report.read_text())["results"]
    ours = [row["point"] for row in rows if row["contender"] == "inrc"]
    assert [point["jobs"] for point in ours] == [2, 2]
    assert all("1 thread" in point["device"] for point in ours)
    assert all(row["point"]["seconds"] > 0 and row["point"]["decode_seconds"] > 0 for row in rows)
    assert len(json.loads(kept.read_text())["points"]) == len(rows) - 2 == 6
    assert "encode, s | decode, s" in page(tmp_path)


def test_the_mean_over_clips_names_the_worst() -> None:
    curves = {
        "good": {"x264:medium": curve(0.1), "inrc": curve(0.05)},
        "bad": {"x264:medium": curve(0.1), "inrc": curve(0.2)},
    }
    (row,) = rd.means(compare_all(curves))
    assert (row["clips"], row["worst_clip"], row["metric"]) == (2, "bad", "psnr_db")
    assert row["mean_percent"] == pytest.approx((-50 + 100) / 2)
    assert row["worst_percent"] == pytest.approx(100)


def test_standings_begin_with_the_worst_clip() -> None:
    slow = [{**point, "seconds": 12.5, "decode_seconds": 0.25} for point in curve(0.05)]
    curves = {
        "good": {"x264:medium": curve(0.1), "svtav1:6": curve(0.05), "inrc": slow},
        "bad": {"x264:medium": curve(0.1), "svtav1:6": curve(0.1, 20.0), "inrc": curve(0.2)},
    }
    lines = [*standings(curves, compare_all(curves))]
    assert len(lines) == 2 * 5
    assert "against x264:medium" in lines[0] and "against svtav1:6" in lines[5]
    assert [text.split()[0] for text in lines[2:5]] == ["bad", "good", "mean"]
    assert "+100.0 %" in lines[2] and "-50.0 %" in lines[3] and "+25.0 %" in lines[4]
    assert "30.00 to 40.00" in lines[3] and "12.50 /      -" in lines[3] and "0.25 /" in lines[3]
    # Without an overlap there is no figure and no mean.
    assert [text.split()[:2] for text in lines[7:9]] == [["bad", "none"], ["good", "+0.0"]]
    assert lines[9].split() == ["mean", "of", "2", "none", "none"]


def test_a_plot(tmp_path: Path) -> None:
    curves = {"bunny": {"x264:medium": curve(0.1), "hnerv": curve(0.05)}}
    draw(curves, tmp_path / "rd.svg")
    assert "</svg>" in (tmp_path / "rd.svg").read_text()
