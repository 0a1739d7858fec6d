"""`benchmarks.rd`: BD-rates of known curves, rivals through PyAV, and sweeps that resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rd
from benchmarks.bdrate import draw, line
from benchmarks.record import DEVELOPMENT_CLIPS, BenchmarkClip, clip_of
from inrcodec.errors import UsageError
from inrcodec.quality.bdrate import Curve, bd_rate, compare_all
from inrcodec.quality.comparison.ordinary_codecs import rival_point
from inrcodec.video.ordinary_codecs import parse_rival, without_settings


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


def test_the_mean_over_clips_names_the_worst() -> None:
    curves = {
        "good": {"x264:medium": curve(0.1), "inrc": curve(0.05)},
        "bad": {"x264:medium": curve(0.1), "inrc": curve(0.2)},
    }
    (row,) = rd.means(compare_all(curves))
    assert (row["clips"], row["worst_clip"], row["metric"]) == (2, "bad", "psnr_db")
    assert row["mean_percent"] == pytest.approx((-50 + 100) / 2)
    assert row["worst_percent"] == pytest.approx(100)


def test_lines_and_plot(tmp_path: Path) -> None:
    curves = {"bunny": {"x264:medium": curve(0.1), "hnerv": curve(0.05)}}
    (psnr, ms_ssim) = compare_all(curves)
    assert "hnerv" in line(psnr) and "-50.0 %  over 30 to 40" in line(psnr)
    assert "no BD-rate" in line(ms_ssim)
    draw(curves, tmp_path / "rd.svg")
    assert "</svg>" in (tmp_path / "rd.svg").read_text()
