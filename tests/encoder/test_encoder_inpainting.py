"""Inpainting: masked pixels affect neither the file nor its figures, and the decoder fills them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import TRAINED, Frames, mean_psnr_db, moving_gradient
from command_line import inrc, only_line
from numpy.typing import NDArray

import inrcodec
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect
from inrcodec.errors import UsageError
from inrcodec.fit.training.losses import loss_by_name, outside_holes
from inrcodec.metrics import psnr_db, psnr_per_frame_db
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import LOSSES
from inrcodec.video import Clip, VideoProperties, cut_holes, open_writer, read_clip
from inrcodec.video.images import png_bytes

pytestmark = pytest.mark.end_to_end

WIDTH, HEIGHT, COUNT = 61, 35, 5
FRAMES = moving_gradient(WIDTH, HEIGHT, COUNT)
BOX = (slice(8, 19), slice(20, 37))
FAST = EncodeSettings(bpp=4.0, epochs=2, device="cpu", preset="draft", overwrite=True)
VARIANTS = pytest.mark.parametrize(
    ("model", "options"),
    [
        *(
            pytest.param(
                family.name, {}, id=family.name, marks=[pytest.mark.slow] if family.name == "snerv-t" else []
            )
            for family in TRAINED
        ),
        pytest.param("supermask", {"decoder": "nerv"}, id="supermask-nerv"),
    ],
)


def properties(frames: Frames) -> VideoProperties:
    count, height, width, _ = frames.shape
    return VideoProperties(width, height, count, Fraction(25), Fraction(1, 25))


def write_lossless(path: Path, frames: Frames) -> Path:
    with open_writer(str(path), properties(frames), codec="ffv1", overwrite=True) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def box_mask(width: int = WIDTH, height: int = HEIGHT) -> Frames:
    """A black mask with a white `BOX`, (height, width, 3)."""
    mask = np.zeros((height, width, 3), np.uint8)
    mask[BOX] = 255
    return mask


def write_image(path: Path, image: Frames) -> Path:
    path.write_bytes(png_bytes(image))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lossless(tmp_path / "a.mkv", FRAMES)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return write_image(tmp_path / "mask.png", box_mask())


@VARIANTS
def test_nothing_of_a_hole_reaches_the_file(
    source: Path, mask: Path, tmp_path: Path, model: str, options: dict[str, str]
) -> None:
    damaged = FRAMES.copy()
    damaged[:, BOX[0], BOX[1]] = np.random.default_rng(1).integers(0, 256, (COUNT, 11, 17, 3), np.uint8)
    other = write_lossless(tmp_path / "b.mkv", damaged)
    asked = replace(FAST, model=model, model_options=options, mask=str(mask))

    def encoded(path: Path, settings: EncodeSettings) -> bytes:
        inrcodec.encode(str(path), str(tmp_path / "a.inrv"), settings)
        return (tmp_path / "a.inrv").read_bytes()

    assert encoded(source, asked) == encoded(other, asked)
    if model != "hnerv":
        return  # The rest does not depend on the family.
    structural = replace(asked, loss="l1+ssim", epochs=1)
    assert encoded(source, structural) == encoded(other, structural) != encoded(source, asked)
    assert encoded(source, replace(asked, mask=None)) != encoded(other, replace(asked, mask=None))


@VARIANTS
def test_figures_are_those_of_the_pixels_outside(
    source: Path, mask: Path, tmp_path: Path, model: str, options: dict[str, str]
) -> None:
    output = str(tmp_path / "a.inrv")
    asked = replace(FAST, model=model, model_options=options, mask=str(mask), bpp=None, size_bytes=5000)
    result = inrcodec.encode(str(source), output, asked)
    with inrcodec.open(output, "cpu") as video:
        decoded = video[:]
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[BOX] = False
    kept = FRAMES[:, outside][:, None], decoded[:, outside][:, None]
    assert result.psnr_db == pytest.approx(mean_psnr_db(*kept), abs=1e-3)
    assert result.psnr_db != pytest.approx(mean_psnr_db(FRAMES, decoded), abs=1e-3)
    assert result.masked_share == pytest.approx(11 * 17 / (WIDTH * HEIGHT))
    assert 0.97 * 5000 <= result.file_bytes <= 5000
    report = inspect(output)
    assert report.psnr_db == pytest.approx(result.psnr_db, abs=1e-3)
    assert report.metadata["mask"] == "PSNR counts unmasked pixels only"


def test_a_real_process_fills_a_hole_of_one_colour(tmp_path: Path) -> None:
    """The rest of the picture has one colour, so the network fills the hole with it."""
    frames = np.full((3, HEIGHT, WIDTH, 3), (40, 160, 90), np.uint8)
    frames[:, BOX[0], BOX[1]] = (255, 0, 255)
    source = write_lossless(tmp_path / "a.mkv", frames)
    mask = write_image(tmp_path / "mask.png", box_mask())
    output = tmp_path / "a.inrv"
    fit = ["--bpp", "4", "--epochs", "20", "--device", "cpu"]
    done = inrc("encode", source, "-o", output, "--mask", mask, "--json", *fit)
    assert done.returncode == 0, done.stderr
    assert b" dB over the 91.2% of pixels outside the mask (1st percentile" in done.stderr
    assert json.loads(done.stdout)["masked_share"] == pytest.approx(11 * 17 / (WIDTH * HEIGHT))
    assert b"mask     PSNR counts unmasked pixels only" in inrc("info", output).stdout
    with inrcodec.open(output, "cpu") as video:
        filled = video[1][BOX].reshape(-1, 3)
    assert np.abs(filled.mean(axis=0) - (40, 160, 90)).max() < 25


@pytest.mark.usefixtures("hurried")
def test_an_encode_without_a_mask_says_nothing_of_one(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    assert inrcodec.encode(str(source), str(output), FAST).masked_share == 0
    assert set(inspect(str(output)).metadata) == {"encoder"}


def clip_of(frames: Frames) -> Clip:
    return Clip(frames.copy(), properties(frames))


@pytest.mark.parametrize(("level", "is_hole"), [(0, False), (127, False), (128, True), (255, True)])
def test_white_begins_at_half(tmp_path: Path, level: int, is_hole: bool) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[3:5, 7] = level
    cut = cut_holes(clip_of(FRAMES), str(write_image(tmp_path / "m.png", image)), Silent())
    assert cut.keep is not None and cut.keep.shape == (1, HEIGHT, WIDTH)
    assert not cut.keep[0, 3:5, 7].any() if is_hole else cut.keep.all()
    assert cut.masked_share == pytest.approx(2 / (WIDTH * HEIGHT) if is_hole else 0)


def test_holes_are_filled_with_the_mean_of_the_rest(mask: Path) -> None:
    cut = cut_holes(clip_of(FRAMES), str(mask), Silent())
    outside = ~box_mask()[..., 0].astype(bool)
    assert np.array_equal(cut.frames[:, outside], FRAMES[:, outside])
    for filled, frame in zip(cut.frames, FRAMES, strict=True):
        assert (filled[BOX] == frame[outside].mean(axis=0).round()).all()


def moving_mask(count: int) -> Frames:
    frames = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    for index in range(count):
        frames[index, 2:9, 5 * index : 5 * index + 6] = 255
    return frames


def as_images(folder: Path, frames: Frames) -> Path:
    with open_writer(str(folder), properties(frames)) as writer:
        for frame in frames:
            writer.write(frame)
    return folder


@pytest.mark.parametrize("write", [write_lossless, as_images], ids=["video", "images"])
def test_a_mask_for_each_frame(source: Path, tmp_path: Path, write: Callable[[Path, Frames], Path]) -> None:
    name = "mask.mkv" if write is write_lossless else "masks"
    path = str(write(tmp_path / name, moving_mask(COUNT)))
    cut = cut_holes(read_clip(str(source), FAST.source), path, Silent())
    assert np.array_equal(cut.keep, moving_mask(COUNT)[..., 0] == 0)
    result = inrcodec.encode(str(source), str(tmp_path / "a.inrv"), replace(FAST, mask=path))
    assert result.masked_share == pytest.approx(42 / (WIDTH * HEIGHT))


def test_the_mask_is_that_of_the_frames_that_are_encoded(source: Path, tmp_path: Path) -> None:
    path = str(write_lossless(tmp_path / "m.mkv", moving_mask(2)[:, :20, :30]))
    selected = ["--frames", "1:5", "--every", "2", "--crop", "60x34", "--scale", "30x20"]
    encode = ["encode", str(source), "-o", str(tmp_path / "a.inrv"), "--mask", path, "-q"]
    fit = ["--bpp", "8", "--epochs", "1", "--device", "cpu"]
    assert run([*encode, *fit, *selected]) == 0
    assert inspect(str(tmp_path / "a.inrv")).header.frame_count == 2


def refused(source: Path, mask: Path, capfdbinary: pytest.CaptureFixture[bytes], *more: str) -> str:
    capfdbinary.readouterr()
    output = source.with_name("x.inrv")
    assert run(["encode", str(source), "-o", str(output), "--mask", str(mask), "-q", *more]) == 2
    assert not output.exists()
    return only_line(capfdbinary.readouterr().err)


def test_masks_that_do_not_fit(
    source: Path, mask: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    line = refused(source, write_image(tmp_path / "w.png", box_mask(60, 40)), capfdbinary)
    assert "w.png is 60x40" in line and "61x35" in line
    line = refused(source, mask, capfdbinary, "--scale", "30x20")
    assert "mask.png is 61x35" in line and "30x20" in line
    line = refused(source, write_lossless(tmp_path / "m.mkv", moving_mask(3)), capfdbinary)
    assert "m.mkv has 3 frames, but 5 are encoded" in line
    assert "does not exist" in refused(source, tmp_path / "none.png", capfdbinary)
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert "leaves nothing of frame 0" in refused(source, write_image(tmp_path / "f.png", white), capfdbinary)
    masks = moving_mask(COUNT)
    masks[3] = 255
    assert "frame 3" in refused(source, write_lossless(tmp_path / "f.mkv", masks), capfdbinary)
    before = mask.read_bytes()
    with pytest.raises(UsageError, match="input itself"):
        inrcodec.encode(str(source), str(mask), replace(FAST, mask=str(mask)))
    assert mask.read_bytes() == before


def test_a_mask_without_white_is_noted(source: Path, tmp_path: Path) -> None:
    path = write_image(tmp_path / "black.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))

    class Notes(Silent):
        lines: list[str] = []

        def note(self, message: str) -> None:
            self.lines.append(message)

    cut_holes(clip_of(FRAMES), str(path), Notes())
    assert "nothing to fill" in Notes.lines[0]


def test_the_loss_is_the_mean_over_kept_pixels() -> None:
    generator = torch.Generator().manual_seed(2)
    frames, rendered = (torch.rand(2, 3, 7, 5, generator=generator, requires_grad=True) for _ in range(2))
    keep = torch.rand(2, 7, 5, generator=generator) > 0.4
    shown, scale = outside_holes(rendered, frames, keep)
    loss = scale * torch.nn.functional.mse_loss(shown, frames)
    every = keep[:, None].expand_as(frames)
    torch.testing.assert_close(loss, ((rendered - frames)[every] ** 2).mean())
    loss.backward()  # type: ignore[no-untyped-call]
    assert rendered.grad is not None
    assert (rendered.grad[~every] == 0).all() and (rendered.grad[every] != 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"l1+ms-ssim"}))
def test_no_loss_sees_a_hole(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    frames, rendered = (torch.rand(1, 3, 32, 40, generator=generator) for _ in range(2))
    keep = torch.ones(1, 32, 40, dtype=torch.bool)
    keep[:, 8:20, 10:30] = False
    frames = torch.where(keep[:, None], frames, torch.tensor(0.5))
    alike = torch.where(keep[:, None], frames, rendered)
    shown, _ = outside_holes(alike, frames, keep)
    assert abs(loss_by_name(name)(shown, frames).item()) < 1e-6
    leaf = rendered.requires_grad_()
    shown, scale = outside_holes(leaf, frames, keep)
    (scale * loss_by_name(name)(shown, frames)).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert (leaf.grad[:, :, 8:20, 10:30] == 0).all() and leaf.grad.abs().sum() > 0


def test_psnr_of_kept_pixels() -> None:
    reference = np.zeros((2, 4, 4, 3), np.uint8)
    decoded = reference + np.array([1, 10], np.uint8)[:, None, None, None]
    decoded[:, 0, 0] = 255
    keep: NDArray[np.bool_] = np.ones((2, 4, 4), bool)
    keep[:, 0, 0] = False
    assert psnr_per_frame_db(reference, decoded, keep).tolist() == pytest.approx([48.1308, 28.1308], abs=1e-4)
    with pytest.raises(ValueError, match="at least one sample"):
        psnr_db(reference[0], decoded[0], np.zeros((4, 4), bool))
