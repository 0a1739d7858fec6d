"""`benchmarks.xray`: bits and PSNR by level of a real file, through a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import CARPHONE, GOLDEN, ROOT, environment

import inrcodec
from benchmarks.record import BenchmarkClip
from benchmarks.results_page.__main__ import page
from benchmarks.xray import xray
from inrcodec.cli.main import run
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.settings.source import FrameRange, Size
from inrcodec.video import read_clip

pytestmark = pytest.mark.end_to_end

CLIP = BenchmarkClip(CARPHONE, scale=Size(64, 48), frames=FrameRange(0, 10))
SEGMENTS = ["--segment", "5"]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small `inrc` file of two segments."""
    path = tmp_path_factory.mktemp("encoded") / "small.inrv"
    words = ["--model", "inrc", "--bpp", "0.8", "--epochs", "1", "--device", "cpu"]
    command = ["encode", CARPHONE, "-o", str(path), "-q", *CLIP.options, *words, *SEGMENTS]
    assert run(command) == 0
    return path


def test_psnr_and_bits_of_each_level(encoded: Path) -> None:
    source = read_clip(CLIP.path, CLIP.source).frames
    result = xray(encoded, source)
    levels = result["levels"]
    assert [level["frames"] for level in levels] == [2, 2, 2, 4]
    assert sum(result["kinds"].values()) == pytest.approx(8 * encoded.stat().st_size)
    with inrcodec.open(encoded, "cpu", "float32") as video:
        shown_db = psnr_per_frame_db(source, video[:])
    assert sum(level["psnr_db"] * level["frames"] for level in levels) / 10 == pytest.approx(shown_db.mean())
    assert levels[0]["psnr_db"] == pytest.approx(np.mean(shown_db[[0, 5]]))
    assert levels[0]["prediction_psnr_db"] is None
    for level in levels[1:]:
        assert 10 < level["prediction_psnr_db"] < level["psnr_db"] + 0.5
    with pytest.raises(ValueError, match="frames, rows and columns"):
        xray(encoded, source[:3])
    with pytest.raises(ValueError, match="is not of the family inrc"):
        xray(GOLDEN / "hnerv.inrv", source)


def xray_command(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "benchmarks.xray", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), timeout=120)


def test_command_and_its_json(encoded: Path, tmp_path: Path) -> None:
    source, report = tmp_path / "source.mkv", tmp_path / "xray.json"
    assert run(["decode", str(encoded), "-o", str(source), "--crf", "0", "-q"]) == 0
    done = xray_command(source, encoded, "--json", report)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.count("\n") == 6 and "entropy models" in text
    (row,) = json.loads(report.read_text())["results"]
    assert [level["level"] for level in row["levels"]] == [0, 1, 2, 3]
    assert "## X-rays" in page(tmp_path)
    done = xray_command(source, GOLDEN / "hnerv.inrv")
    assert done.returncode == 2 and b"is not of the family inrc" in done.stderr
    done = xray_command(source, tmp_path / "missing.inrv")
    assert done.returncode == 2 and b"does not exist" in done.stderr
