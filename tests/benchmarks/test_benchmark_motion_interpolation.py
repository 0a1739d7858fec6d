"""The benchmark of interpolated frames: its figures match the file that it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import mean_psnr_db, moving_gradient, read_frames, write_clip

import inrcodec
from benchmarks import motion_interpolation
from benchmarks.record import BenchmarkClip
from inrcodec.cli.main import run

pytestmark = pytest.mark.end_to_end


def test_both_ways_are_measured_on_the_frames_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def inrc(*words: str | Path) -> dict[str, Any]:
        assert run([*map(str, words), "-y", "-q", "--json"]) == 0
        return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]

    monkeypatch.setattr(motion_interpolation, "inrc", inrc)
    clip = BenchmarkClip(str(write_clip(tmp_path / "a.mp4", moving_gradient(48, 32, 6))))
    options = ["--epochs", "1", "--device", "cpu"]
    row = motion_interpolation.measured("a", clip, 3.0, tmp_path, options)
    assert row["file_bytes"] == (tmp_path / "a-3.inrv").stat().st_size
    left_out = read_frames(Path(clip.path))[[1, 3]]
    with inrcodec.open(tmp_path / "a-3.inrv") as video:
        moved, coded = np.stack([video.at(0.5), video.at(1.5)]), video[:].astype(float)
    assert row["psnr_motion_db"] == pytest.approx(mean_psnr_db(left_out, moved), abs=0.05)
    blended = np.floor((coded[:-1] + coded[1:] + 1) / 2)
    assert row["psnr_blend_db"] == pytest.approx(mean_psnr_db(left_out, blended), abs=0.05)
    assert min(row["blend_seconds"], row["motion_seconds"]) > 0
    assert f"motion {row['psnr_motion_db']:.2f} dB" in motion_interpolation.line(row)
