"""The library takes `pathlib.Path` wherever it takes a path, for sources, outputs and settings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from codec_samples import moving_gradient, write_clip
from command_line import GOLDEN

import inrcodec
from inrcodec import ComparisonSettings, DecodeSettings, EncodeSettings, ExportSettings, ReportSettings
from inrcodec.video.images import replace_picture

pytestmark = pytest.mark.end_to_end

CHEAP = EncodeSettings(model="hnerv", preset="draft", epochs=1, bpp=8.0, device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("paths") / "in.mp4", moving_gradient(32, 24, 3))


def test_encodes_and_what_reads_them(clip: Path, tmp_path: Path) -> None:
    result = inrcodec.encode(clip, tmp_path / "a.inrv", CHEAP)
    assert inrcodec.info(tmp_path / "a.inrv").path == str(tmp_path / "a.inrv")
    assert inrcodec.verify(tmp_path / "a.inrv").file_bytes == result.file_bytes
    assert inrcodec.decode(tmp_path / "a.inrv", tmp_path / "a.mp4").frames == 3
    assert inrcodec.decode(tmp_path / "a.inrv", tmp_path / "%d.png", DecodeSettings()).frames == 3
    found = inrcodec.evaluate(clip, tmp_path / "a.inrv", measures=["psnr"], device="cpu")
    assert np.isclose(found.values["psnr"].mean(), result.psnr_db)
    found.write_csv(tmp_path / "a.csv", overwrite=False)
    assert (tmp_path / "a.csv").read_text().count("\n") == 4
    again = inrcodec.evaluate(clip, tmp_path / "a.mp4", measures=["psnr"], device="cpu")
    assert again.file_bytes == (tmp_path / "a.mp4").stat().st_size
    log = tmp_path / "a.json"
    log.write_text(json.dumps({**result.as_dict(), "output": "a.inrv"}))
    settings = ReportSettings(logs=[log], device="cpu")
    made = inrcodec.write_report(clip, [tmp_path / "a.inrv"], tmp_path / "a.html", settings)
    assert Path(made.output).read_text().startswith("<!DOCTYPE html>")
    json.dumps([result.as_dict(), found.as_dict(), made.as_dict()])


def test_files_in_the_settings_of_an_encode(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.fit.training.meter.REPORT_SECONDS", 0.0)
    mask, preview = tmp_path / "mask.png", tmp_path / "preview.png"
    holes = np.zeros((24, 32, 3), np.uint8)
    holes[4:9, 5:11] = 255
    replace_picture(str(mask), holes, "")
    settings = dataclasses.replace(CHEAP, mask=mask, preview=preview)
    assert inrcodec.encode(clip, tmp_path / "a.inrv", settings).masked_share == pytest.approx(30 / 768)
    assert preview.is_file()
    settings = EncodeSettings(resume_from=tmp_path / "a.inrv", epochs=1, device="cpu", mask=mask)
    assert inrcodec.encode(clip, tmp_path / "b.inrv", settings).frames == 3


def test_a_ladder(clip: Path, tmp_path: Path) -> None:
    rungs = inrcodec.encode_ladder(clip, tmp_path / "a.inrv", [8, 10], dataclasses.replace(CHEAP, bpp=None))
    assert len(rungs) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a-8bpp.inrv", "a-10bpp.inrv"}


def test_a_comparison(clip: Path, tmp_path: Path) -> None:
    settings = ComparisonSettings(
        bpps=(16, 20),
        models=["hnerv"],
        epochs=1,
        against=["x264:ultrafast"],
        keep=tmp_path / "keep",
        device="cpu",
    )
    made = inrcodec.compare(clip, tmp_path / "a.html", settings)
    assert (tmp_path / "a.html").is_file() and len([*(tmp_path / "keep").iterdir()]) == 2
    json.dumps(made.as_dict())


def test_an_export(tmp_path: Path) -> None:
    inrcodec.export(GOLDEN / "hnerv.inrv", tmp_path / "out")
    settings = ExportSettings(web=True, runtime=tmp_path / "missing", overwrite=True)
    with pytest.raises(inrcodec.UsageError, match="missing"):
        inrcodec.export(GOLDEN / "hnerv.inrv", tmp_path / "out", settings)
