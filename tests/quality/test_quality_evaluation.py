"""`inrc eval`: metrics against independent implementations, and the command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import Frames, moving_gradient, write_clip
from command_line import only_line
from flip_reference import flip
from skimage.io import imsave  # type: ignore[import-untyped]
from skimage.metrics import (  # type: ignore[import-untyped]
    peak_signal_noise_ratio,
    structural_similarity,
)

import inrcodec
from inrcodec.cli.main import run
from inrcodec.quality import frame_metrics
from inrcodec.quality.evaluation import evaluate
from inrcodec.quality.frame_metrics import MEASURES, measure_frame
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.pages import METRICS
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.planes import Picture

pytestmark = pytest.mark.end_to_end

ALL = tuple(MEASURES)


def pair(height: int = 120, width: int = 176) -> tuple[Frames, Frames]:
    """A frame with edges and smooth parts, and a noisy, blurred, darker copy."""
    random = np.random.default_rng(0)
    frame = moving_gradient(width, height, 1)[0]
    frame[20:60, 30:90] = random.integers(0, 256, 3)
    noisy = 0.9 * (frame.astype(float) + np.roll(frame, 1, 1)) / 2 + random.normal(0, 8, frame.shape)
    return frame, noisy.round().clip(0, 255).astype(np.uint8)


def test_psnr_and_ssim_are_those_of_another_library() -> None:
    reference, decoded = pair()
    found = measure_frame(Picture(reference), Picture(decoded), ("psnr", "ssim"))
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, decoded), abs=1e-9)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = structural_similarity(reference, decoded, channel_axis=2, **options)
    assert found["ssim"] == pytest.approx(expected, abs=1e-4)


def test_ms_ssim_is_the_product_of_its_scales() -> None:
    reference, decoded = (frame.astype(float) for frame in pair(176, 208))
    weights, product = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), np.ones(3)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for scale, weight in enumerate(weights):
        for colour in range(3):
            one, other = reference[..., colour], decoded[..., colour]
            if scale == len(weights) - 1:
                value = structural_similarity(one, other, **options)
            else:
                value = contrast_similarity(one, other)
            product[colour] *= value**weight
        if scale < len(weights) - 1:
            reference, decoded = (halved(frame) for frame in (reference, decoded))
    found = measure_frame(*map(Picture, pair(176, 208)), ("ms-ssim",))["ms_ssim"]
    assert found == pytest.approx(product.mean(), abs=1e-4)


def halved(frame: Any) -> Any:
    return (frame[::2, ::2] + frame[1::2, ::2] + frame[::2, 1::2] + frame[1::2, 1::2]) / 4


def contrast_similarity(one: Any, other: Any) -> float:
    """The contrast-structure factor of SSIM, averaged over all windows inside the frame."""
    from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

    def mean(values: Any) -> Any:
        return gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]

    first, second = mean(one), mean(other)
    covariance = mean(one * other) - first * second
    variances = mean(one * one) - first**2 + mean(other * other) - second**2
    small = (0.03 * 255) ** 2
    return float(((2 * covariance + small) / (variances + small)).mean())


def test_flip_is_what_its_paper_describes() -> None:
    reference, decoded = pair()
    found = frame_metrics.flip_map(reference, decoded)
    np.testing.assert_allclose(found, flip(reference, decoded), atol=2e-3, rtol=0)
    assert measure_frame(Picture(reference), Picture(decoded), ("flip",))["flip"] == pytest.approx(
        found.mean(), abs=1e-6
    )
    assert measure_frame(Picture(reference), Picture(reference), ("flip",))["flip"] == pytest.approx(
        0, abs=1e-6
    )


def test_psnr_of_yuv_is_of_bt709_at_limited_range() -> None:
    """Uses flat frames, whose codes follow from the formula."""
    first, second = np.full((2, 10, 14, 3), 128, np.uint8)
    second[:] = (240, 30, 20)
    found = measure_frame(Picture(first), Picture(second), ("yuv",))

    def codes(colour: Any) -> Any:
        red, green, blue = (value / 255 for value in colour)
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748

    for name, one, other in zip("yuv", codes((128,) * 3), codes((240, 30, 20)), strict=True):
        # Codes are rounded, so each difference is off by up to 1.
        least, most = abs(one - other) - 1, abs(one - other) + 1
        value = found[f"psnr_{name}"]
        assert value is not None
        assert 20 * np.log10(255 / most) <= value <= 20 * np.log10(255 / max(least, 0.5))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source, and an `.inrv` file encoded from it."""
    folder = tmp_path_factory.mktemp("videos")
    source = write_clip(folder / "source.mp4", moving_gradient(48, 32, 5))
    settings = EncodeSettings(device="cpu", epochs=1, size_bytes=2500)
    inrcodec.encode(str(source), str(folder / "file.inrv"), settings)
    return source, folder / "file.inrv"


def test_an_evaluation_has_a_value_for_each_frame(videos: tuple[Path, Path]) -> None:
    source, file = map(str, videos)
    found = evaluate(source, file, device="cpu")
    # MS-SSIM is missing: frames of 32 rows are too small for it.
    assert {*found.values} == {"psnr", "psnr_y", "psnr_u", "psnr_v", "ssim", "flip"}
    assert all(values.shape == (5,) for values in found.values.values())
    with inrcodec.open(file, "cpu") as video:
        expected = [
            peak_signal_noise_ratio(one, other) for one, other in zip(read(source), video, strict=True)
        ]
    np.testing.assert_allclose(found.values["psnr"], expected, atol=1e-9)
    (psnr, *_, flipped) = found.summaries()
    assert (psnr.metric.name, flipped.metric.name) == ("psnr", "flip")
    assert psnr.mean == pytest.approx(np.mean(expected))
    assert (psnr.worst, psnr.worst_frame) == (min(expected), int(np.argmin(expected)))
    assert psnr.worst <= psnr.worst_in_hundred <= psnr.mean
    assert flipped.worst >= flipped.worst_in_hundred >= flipped.mean > 0
    assert found.bpp == pytest.approx(8 * Path(file).stat().st_size / (48 * 32 * 5))


def read(path: str) -> Frames:
    return read_clip(path, SourceSettings()).frames


def test_a_video_is_itself(videos: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = map(str, videos)
    assert run(["eval", source, source, "--json", "-q"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metrics"]["psnr"]["values"] == [100.0] * 5
    assert result["metrics"]["ssim"]["mean"] == pytest.approx(1)
    assert result["metrics"]["flip"]["worst"] == pytest.approx(0, abs=1e-6)


def test_the_table_and_the_csv(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, file = map(str, videos)
    table = tmp_path / "table.csv"
    command = ["eval", source, file, "--csv", str(table), "--metric", "psnr", "--metric", "flip"]
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert "5 frames of 48x32" in shown
    assert ["PSNR dB" in shown, "FLIP" in shown, "SSIM" in shown] == [True, True, False]
    rows = [*csv.DictReader(table.read_text().splitlines())]
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3", "4"]
    found = evaluate(source, file, measures=("psnr", "flip"), device="cpu")
    assert [float(row["flip"]) for row in rows] == found.values["flip"].tolist()
    assert run(command) == 2
    assert "exists already" in only_line(capsys.readouterr().err.encode())
    assert run([*command, "-y", "-q"]) == 0


def test_parts_of_a_source(videos: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = videos
    part = SourceSettings(frames=FrameRange(1, 5), every=2, crop=Size(32, 16))
    file = tmp_path / "part.inrv"
    inrcodec.encode(
        str(source), str(file), EncodeSettings(device="cpu", epochs=1, size_bytes=2500, source=part)
    )
    found = evaluate(str(source), str(file), part, ("psnr",), "cpu")
    assert (found.width, found.height, found.frame_count) == (32, 16, 2)
    expected = read_clip(str(source), part).frames
    with inrcodec.open(file, "cpu") as video:
        values = [peak_signal_noise_ratio(*both) for both in zip(expected, video, strict=True)]
    np.testing.assert_allclose(found.values["psnr"], values, atol=1e-9)


@pytest.mark.parametrize(("width", "height", "count"), [(33, 17, 1), (2, 2, 2)])
def test_odd_sizes_images_and_our_own_files_on_either_side(
    tmp_path: Path, width: int, height: int, count: int
) -> None:
    frames = moving_gradient(width, height, count)
    source = write_clip(tmp_path / "a.mkv", frames)
    (tmp_path / "images").mkdir()
    for number, frame in enumerate(read(str(source))):
        imsave(tmp_path / f"images/{number:02}.png", frame, check_contrast=False)
    file = tmp_path / "a.inrv"
    inrcodec.encode(str(source), str(file), EncodeSettings(device="cpu", epochs=1, size_bytes=2500))
    images = str(tmp_path / "images")
    found = evaluate(images, str(file), measures=("psnr", "yuv"), device="cpu")
    other = evaluate(str(file), images, measures=("psnr", "yuv"), device="cpu")
    assert found.frame_count == count
    assert {name: values.tolist() for name, values in found.values.items()} == {
        name: values.tolist() for name, values in other.values.items()
    }
    assert (found.file_bytes, other.file_bytes) == (file.stat().st_size, None)


def test_the_names_of_the_command_line_are_those_that_there_are() -> None:
    assert METRICS == ALL


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["missing.mp4", "{file}"], 2, "does not exist"),
        (["{source}", "missing.inrv"], 2, "does not exist"),
        (["{source}", "-"], 2, "not from pipes"),
        (["{source}", "{file}", "--crop", "32x32"], 2, "frames of 32x32"),
        (["{source}", "{file}", "--frames", "0:3"], 2, "more than the 3 frames"),
        (["{source}", "{file}", "--every", "2"], 2, "more than the 3 frames"),
        (["{file}", "{source}", "--frames", "0:3"], 2, "parts of .inrv files cannot be compared"),
        (["{source}", "{file}", "--csv", "{file}"], 2, "ends with .csv"),
        (["{source}", "{file}", "--csv", "missing/a.csv"], 2, "missing"),
        (["{source}", "{file}", "--metric", "ms-ssim"], 2, "too small"),
        (["{source}", "{text}"], 1, "is not a video"),
        (["{source}", "{cut}"], 4, "cut off"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(
    videos: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    code: int,
    message: str,
) -> None:
    source, file = videos
    (tmp_path / "text.mp4").write_text("no video")
    shutil.copy(file, tmp_path / "cut.inrv")
    (tmp_path / "cut.inrv").write_bytes(file.read_bytes()[:-30])
    names = {
        "source": source,
        "file": file,
        "text": tmp_path / "text.mp4",
        "cut": tmp_path / "cut.inrv",
    }
    assert run(["eval", *(word.format(**names) for word in command)]) == code
    assert message in only_line(capsys.readouterr().err.encode())


def test_what_is_not_installed_is_left_out_with_a_note(
    videos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame_metrics, "find_spec", lambda name: None)
    source, file = map(str, videos)
    assert run(["eval", source, file]) == 0
    shown = capsys.readouterr()
    (note,) = shown.err.splitlines()
    assert note.startswith("inrc: note: ssim, ms-ssim, flip")
    assert ["PSNR of U" in shown.out, "FLIP" in shown.out] == [True, False]
    assert run(["eval", source, file, "--metric", "flip"]) == 2
    assert "inrc[metrics]" in only_line(capsys.readouterr().err.encode())
