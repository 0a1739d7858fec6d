"""The benchmark of presets: a process makes each file, stored rows stay, and the table has their means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from codec_samples import moving_gradient, write_clip

from benchmarks import presets
from benchmarks.record import BenchmarkClip
from benchmarks.results_page import costs

pytestmark = pytest.mark.end_to_end


def test_a_preset_is_measured_on_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = BenchmarkClip(str(write_clip(tmp_path / "a.mp4", moving_gradient(48, 32, 6))), bpps=(0.5, 1.5))
    monkeypatch.setattr(presets, "clip_of", lambda *_: clip)
    row = presets.measured("a", tmp_path, "draft", "inrc")
    assert 0.97 * 1.5 <= row["bpp"] <= 1.5
    assert row["psnr_db"] > 15 and row["cpu_seconds"] > 0
    assert presets.line(row).split()[:3] == ["a", "inrc", "draft"]


def test_what_is_stored_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [
        {
            "clip": "carphone",
            "model": "inrc",
            "preset": name,
            "psnr_db": 30.0,
            "file_bytes": 9,
            "cpu_seconds": 1,
        }
        for name in presets.PRESETS
    ]
    path = tmp_path / "presets.json"
    path.write_text(json.dumps({"results": kept}))
    monkeypatch.setattr(presets, "measured", None)
    presets.main(["carphone", "--json", str(path)])
    assert json.loads(path.read_text()) == {"results": kept}


def test_the_table_has_means_of_clips_with_every_preset() -> None:
    rows = [
        {"clip": clip, "preset": preset, "cpu_seconds": seconds, "psnr_db": psnr}
        for clip, preset, seconds, psnr in (
            ("one", "draft", 10.0, 30.0),
            ("one", "slow", 100.0, 31.0),
            ("two", "draft", 20.0, 40.0),
            ("two", "slow", 300.0, 40.5),
            ("three", "draft", 5.0, 20.0),
        )
    ]
    lines = [*costs.presets({"results": rows})]
    assert lines[0] == "| clip | draft, CPU s | draft, PSNR, dB | slow, CPU s | slow, PSNR, dB |"
    assert lines[2] == "| mean of 2 | 15.00 | 35.00 | 200.00 | 35.75 |"
    assert lines[5] == "| three | 5.00 | 20.00 |  |  |"
