"""`--preview`: shows the fit, does not change the file, and leaves nothing behind after a failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip

import inrcodec
from inrcodec.cli.main import run
from inrcodec.encoder.checks import check_preview
from inrcodec.encoder.encode import encode_all
from inrcodec.encoder.preview import PictureFile
from inrcodec.errors import InrcError, OutputError, TargetUnreachable, UsageError
from inrcodec.progress import FitReport, Picture, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.names import resume_folder

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("hurried_module")]
WIDTH, HEIGHT, COUNT = 48, 32, 5
MODELS = [
    *("inrc", "hnerv", "nerv", "supermask"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("snerv", "snerv-t")),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("preview") / "in.mp4", moving_gradient(WIDTH, HEIGHT, COUNT))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report every step and draw every report."""
    for name in ("inrcodec.fit.training.meter.REPORT_SECONDS", "inrcodec.fit.grids.report.REPORT_SECONDS"):
        monkeypatch.setattr(name, 0.0)
    monkeypatch.setattr("inrcodec.encoder.preview.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("inrcodec.encoder.preview.LARGEST_SHARE", float("inf"))


def asked(model: str = "hnerv", preview: Path | None = None, epochs: float = 2) -> EncodeSettings:
    path = None if preview is None else str(preview)
    # At this size `inrc` has a refining network.
    size = 16_000 if model == "inrc" else 4000
    return EncodeSettings(model=model, size_bytes=size, epochs=epochs, device="cpu", preview=path)


def halves(path: Path) -> tuple[Frames, Frames]:
    """Source and fit from a preview, (1, height, width, 3) each."""
    ((whole),) = (read_frames(path),)
    return whole[:, :, : whole.shape[2] // 2], whole[:, :, whole.shape[2] // 2 :]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("model", MODELS)
def test_the_picture_is_of_the_fit_and_the_file_as_without_it(clip: Path, tmp_path: Path, model: str) -> None:
    preview, outputs = tmp_path / "a.png", [tmp_path / "with.inrv", tmp_path / "without.inrv"]
    result = inrcodec.encode(str(clip), str(outputs[0]), asked(model, preview))
    inrcodec.encode(str(clip), str(outputs[1]), asked(model))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.png", "with.inrv", "without.inrv"]
    source, fit = halves(preview)
    assert source.shape == fit.shape == (1, HEIGHT, WIDTH, 3)
    middle = COUNT // 2
    assert np.array_equal(source[0], read_frames(clip)[middle])
    # The last picture shows the end of the fit.
    assert mean_psnr_db(source, fit) == pytest.approx(result.psnr_frames_db[middle], abs=3)


@pytest.mark.usefixtures("eager")
def test_a_picture_of_the_float_fit_of_the_papers(clip: Path, tmp_path: Path) -> None:
    preview = tmp_path / "a.png"
    settings = EncodeSettings(
        model="hnerv", preset="paper", size_bytes=9000, epochs=4, preview=str(preview), device="cpu"
    )
    inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), settings)
    assert mean_psnr_db(*halves(preview)) > 5


@pytest.mark.usefixtures("eager")
def test_of_several_segments_and_files_the_one_that_is_fitted_is_shown(clip: Path, tmp_path: Path) -> None:
    middles = [read_frames(clip)[at] for at in (1, 4)]
    shown: list[Frames] = []

    class Looks(Silent):
        def fit(self, report: FitReport) -> None:
            if (tmp_path / "a.png").exists():
                shown.append(halves(tmp_path / "a.png")[0][0])

    settings = EncodeSettings(
        model="hnerv", segment=3, size_bytes=6000, epochs=2, preview=str(tmp_path / "a.png"), device="cpu"
    )
    encode_all([(str(clip), str(tmp_path / f"{name}.inrv")) for name in "ab"], settings, Looks())
    # Two files of two segments each, fitted in turn.
    order = [[np.array_equal(one, middle) for middle in middles].index(True) for one in shown]
    assert [number for number, _ in groupby(order)] == [0, 1, 0, 1]


@pytest.mark.usefixtures("eager")
def test_ladders_and_searches_have_one_picture(clip: Path, tmp_path: Path) -> None:
    preview = tmp_path / "a.png"
    words = ["encode", str(clip), "-o", f"{tmp_path}/a.inrv", "--model", "hnerv", "--epochs", "1", "-q"]
    assert run([*words, "--preview", str(preview), "--ladder", "3,4"]) == 0
    assert preview.exists()
    again = [*words[:2], "-o", f"{tmp_path}/b.inrv", *words[4:], "--psnr", "8"]
    assert run([*again, "--preview", str(preview)]) == 2
    assert run([*again, "--preview", str(preview), "-y"]) == 0
    assert mean_psnr_db(*halves(preview)) > 5


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("model", ["hnerv", "inrc"])
def test_an_interrupted_encode_leaves_no_picture_and_goes_on(clip: Path, tmp_path: Path, model: str) -> None:
    class Stops(Silent):
        def fit(self, report: FitReport) -> None:
            self.stage("", 0, 0)

        def stage(self, name: str, done: int, total: int) -> None:
            if (tmp_path / "a.png").exists():
                raise KeyboardInterrupt

    output, settings = str(tmp_path / "a.inrv"), asked(model, tmp_path / "a.png", epochs=3)
    with pytest.raises(KeyboardInterrupt):
        inrcodec.encode(str(clip), output, settings, Stops())
    assert {name for name in os.listdir(tmp_path) if not name.endswith(".resume")} == set()
    # A resumed encode replaces the preview that `kill -9` left, but no other picture.
    resume_folder(output).mkdir(exist_ok=True)
    (tmp_path / "a.png").write_bytes(b"a photograph")
    with pytest.raises(UsageError, match="exists already"):
        inrcodec.encode(str(clip), output, settings)
    PictureFile(str(tmp_path / "a.png")).offer(still, pytest.fail)
    inrcodec.encode(str(clip), output, settings)
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "a.png"]
    assert halves(tmp_path / "a.png")[0].shape == (1, HEIGHT, WIDTH, 3)


@pytest.mark.usefixtures("eager")
def test_no_picture_is_left_of_an_encode_that_fails(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert (tmp_path / "a.png").exists()
        raise InrcError("no space")

    monkeypatch.setattr("inrcodec.encoder.source.metadata_of", fail)
    with pytest.raises(InrcError, match="no space"):
        inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked("inrc", tmp_path / "a.png", epochs=3))
    assert not (tmp_path / "a.png").exists()


@pytest.mark.usefixtures("eager")
def test_a_picture_stays_as_long_as_there_is_an_output_of_it(clip: Path, tmp_path: Path) -> None:
    preview, output = tmp_path / "a.png", tmp_path / "a.inrv"
    missed = EncodeSettings(model="hnerv", psnr_db=90, epochs=1, device="cpu", preview=str(preview))
    with pytest.raises(TargetUnreachable, match="is the best one"):
        inrcodec.encode(str(clip), str(output), missed)
    assert output.exists() and preview.exists()
    # Two ladders: in one the last rung fails, in the other all do.
    words = ["encode", str(clip), "-o", f"{tmp_path}/b.inrv", "--model", "hnerv", "--epochs", "1", "-q"]
    picture = tmp_path / "b.png"
    assert run([*words, "--preview", str(picture), "--ladder", "4,0.01"]) == 3
    assert (tmp_path / "b-4bpp.inrv").exists() and picture.exists()
    assert run([*words[:2], "-o", f"{tmp_path}/c.inrv", *words[4:], "--preview", f"{tmp_path}/c.png",
                "--ladder", "0.02,0.01"]) == 3  # fmt: skip
    assert not (tmp_path / "c.png").exists()


def still() -> Picture:
    return Picture(np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 200, np.uint8))


def test_pictures_are_rarer_the_dearer_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, drawn = [100.0], list[float]()
    monkeypatch.setattr("inrcodec.encoder.preview.time.monotonic", lambda: now[0])
    file = PictureFile(str(tmp_path / "a.png"))

    def draw_in(seconds: float) -> Callable[[], Picture]:
        def draw() -> Picture:
            drawn.append(now[0])
            now[0] += seconds
            return still()

        return draw

    for _ in range(1000):
        file.offer(draw_in(0.5 if len(drawn) == 1 else 0.001), pytest.fail)
        now[0] += 0.25
    between = np.diff(drawn)
    assert between[0] == pytest.approx(3, abs=0.3)
    assert between[1] == pytest.approx(50.5, abs=0.3)
    assert between[2] == pytest.approx(3, abs=0.3)


def test_a_picture_that_cannot_be_written_does_not_end_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, frame: Frames, software: str) -> None:
        raise OutputError(f"cannot write {path}: no space left on device")

    monkeypatch.setattr("inrcodec.video.images.replace_picture", refuse)
    notes: list[str] = []
    file = PictureFile(str(tmp_path / "a.png"))
    for _ in range(3):
        file.offer(still, notes.append)
    assert notes == [f"no more previews: cannot write {tmp_path}/a.png: no space left on device"]


@pytest.mark.parametrize(
    ("preview", "options", "message"),
    [
        ("a.jpg", {}, "a name ending in .png"),
        ("a.png", {"workers": "local:2"}, "preview and workers"),
        ("there.png", {}, "exists already; overwrite=True replaces it"),
        ("no/a.png", {}, "does not exist"),
        ("images/7.png", {"overwrite": True}, "which the encode needs"),
        ("there.png", {"mask": "there.png", "overwrite": True}, "which the encode needs"),
        ("in.png", {"overwrite": True}, "which the encode needs"),
        ("in.012.png", {"overwrite": True}, "which the encode needs"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preview: str, options: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for name in ("there.png", "in.png"):
        (tmp_path / name).write_bytes(b"")
    sources = ["images", "in.png", "in.%03d.png"]
    settings = EncodeSettings(preview=preview, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        check_preview(settings, [(source, "out.inrv") for source in sources])


def test_a_refusal_is_one_line_before_any_work(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", str(clip), "-o", f"{tmp_path}/a.inrv", "--preview", "a.bmp"]
    assert run(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
