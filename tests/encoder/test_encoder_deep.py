"""Encodes of 10 bits: levels between those of 8 bits, from the source to every kind of output."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from command_line import inrc

import inrcodec
from bitstream import ContentLight, MasteringDisplay, load
from inrcodec.cli.file_lines import report_lines
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.images import png_bytes
from inrcodec.video.pixel_planes import frame_of

pytestmark = pytest.mark.usefixtures("hurried_module")
WIDTH, HEIGHT, COUNT = 640, 16, 2
OPTIONS: dict[str, Any] = {"device": "cpu", "overwrite": True}
PQ, BT2020, LIMITED = 16, 9, 1
MASTERING = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
)


def write_ramp(path: Path, codec: str = "ffv1", height: int = HEIGHT, **options: str) -> str:
    """A slow ramp of luma in PQ, whose neighbours differ by less than a level of 8 bits."""
    tags = {"colorspace": BT2020, "color_range": LIMITED, "color_trc": PQ, "color_primaries": BT2020}
    luma = np.rint(np.linspace(64, 940, WIDTH))[None].repeat(height, 0).astype(np.uint16)
    grey = [np.full((height // 2, WIDTH // 2), 512, np.uint16) for _ in range(2)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, height, "yuv420p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for time in range(COUNT):
            frame = frame_of([luma, *grey], "yuv420p10le")
            frame.pts = time
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ramp as `a.mkv`, and coded by `inrc` as `a.inrv`."""
    folder = tmp_path_factory.mktemp("deep")
    source = write_ramp(folder / "a.mkv")
    inrcodec.encode(source, folder / "a.inrv", bpp=2, epochs=4, **OPTIONS)
    return folder


def test_a_gradient_of_10_bits_has_no_bands(folder: Path) -> None:
    header = load((folder / "a.inrv").read_bytes()).header
    assert header.bit_depth == 10
    with inrcodec.open(folder / "a.inrv", "cpu") as video:
        frames = video[:]
        assert frames.dtype == video[0].dtype == video[0:0].dtype == np.uint16
        tensor = video.tensor()
        assert tensor.dtype == torch.uint16
        assert np.array_equal(tensor.numpy(), frames.transpose(0, 3, 1, 2))
        assert video.at(0.5).dtype == np.uint16
    assert frames.max() > 1000
    assert len(np.unique(frames)) > 500
    steps = np.abs(np.diff(frames.astype(int), axis=2))
    assert np.percentile(steps, 99) < 4
    found = evaluate(folder / "a.mkv", folder / "a.inrv", device="cpu", measures=["psnr", "yuv"]).values
    assert found["psnr"].min() > 58 and found["psnr_y"].min() > 58


def test_a_network_tells_levels_of_10_bits_apart(folder: Path) -> None:
    """Twice the levels of 8 bits, so that no 8-bit step is left in between; the fit itself is short."""
    result = inrcodec.encode(folder / "a.mkv", folder / "n.inrv", model="nerv", bpp=6, epochs=6, **OPTIONS)
    with inrcodec.open(folder / "n.inrv", "cpu") as video:
        assert video.dtype == torch.float32
        frames = video[:]
    assert frames.dtype == np.uint16
    assert len(np.unique(frames % 4)) == 4
    assert result.psnr_db == pytest.approx(
        evaluate(folder / "a.mkv", folder / "n.inrv", device="cpu", measures=["psnr"]).values["psnr"].mean(),
        abs=0.01,
    )


def test_bit_depth_8_reduces(folder: Path) -> None:
    settings = EncodeSettings(source=SourceSettings(bit_depth=8), bpp=1, epochs=2, **OPTIONS)
    inrcodec.encode(folder / "a.mkv", folder / "r.inrv", settings)
    header = load((folder / "r.inrv").read_bytes()).header
    assert header.bit_depth == 8 and header.part is not None and header.part.bit_depth == 8
    with inrcodec.open(folder / "r.inrv", "cpu") as video:
        assert video[0].dtype == np.uint8 and video.tensor().dtype == torch.uint8
    # The file says that its source was reduced.
    assert evaluate(folder / "a.mkv", folder / "r.inrv", device="cpu").values["psnr"].mean() > 40


def test_more_bits_than_the_source_has_are_no_reduction(folder: Path) -> None:
    """The file keeps the request, but nothing was reduced."""
    with av.open(str(folder / "shallow.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 32), 99, np.uint8), "yuv420p")))
        container.mux(stream.encode(None))
    settings = EncodeSettings(source=SourceSettings(bit_depth=10), bpp=20, epochs=1, **OPTIONS)
    inrcodec.encode(folder / "shallow.mkv", folder / "s.inrv", settings)
    said = report_lines(inrcodec.info(folder / "s.inrv"))
    assert any(" 8 bits, " in line for line in said)
    assert any("of at most 10 bits" in line for line in said) and not any("reduced" in line for line in said)


@pytest.mark.parametrize(
    ("name", "pixel_format"),
    [("b.mkv", "yuv420p10le"), ("b.y4m", "yuv444p10le"), ("b-%03d.png", "rgb48be")],
)
def test_outputs_have_10_bits(folder: Path, name: str, pixel_format: str) -> None:
    inrcodec.decode(folder / "a.inrv", folder / name, DecodeSettings(device="cpu", overwrite=True))
    first = folder / name.replace("%03d", "000")
    with av.open(str(first)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == pixel_format
    if name.endswith("png"):
        with inrcodec.open(folder / "a.inrv", "cpu") as video:
            assert first.read_bytes() == png_bytes(video[0])
    else:
        measured = evaluate(folder / "a.inrv", folder / name, device="cpu", measures=["psnr"]).values["psnr"]
        assert measured.min() > 50


def test_hdr10_comes_out_again(folder: Path) -> None:
    """The command line notes no loss."""
    options = {"x265-params": f"log-level=none:{MASTERING}", "crf": "1"}
    source, coded, output = write_ramp(folder / "hdr.mkv", "libx265", 64, **options), "h.inrv", "h.mp4"
    small = ["--bpp", "0.15", "--epochs", "1", "--device", "cpu"]
    done = inrc("encode", source, "-o", coded, "-y", *small, cwd=folder)
    assert done.returncode == 0
    assert b"light levels" not in done.stderr and b"8 bits" not in done.stderr
    header = load((folder / coded).read_bytes()).header
    display = MasteringDisplay(34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10_000_000, 50)
    assert (header.mastering_display, header.content_light) == (display, ContentLight(1000, 400))
    shown = inrc("info", coded, cwd=folder).stdout
    assert b"10 bits" in shown
    assert b"light    PQ, mastered at 0.005 to 1000 cd/m2, MaxCLL 1000, MaxFALL 400 cd/m2" in shown
    inrcodec.decode(folder / coded, folder / output, DecodeSettings(device="cpu", overwrite=True))
    with av.open(str(folder / output)) as container:
        # Players of Apple refuse FFmpeg's default, hev1.
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    again = read_clip(str(folder / output), SourceSettings()).properties
    assert (again.mastering_display, again.content_light) == (display, ContentLight(1000, 400))
    assert (again.bit_depth, again.color.transfer, again.color.primaries) == (10, PQ, BT2020)


def test_arrays_of_10_bits_are_encoded_as_they_are_read(folder: Path) -> None:
    with inrcodec.open(folder / "a.inrv", "cpu") as video:
        frames = video[:]
    inrcodec.encode(frames, folder / "again.inrv", bpp=2, epochs=2, **OPTIONS)
    with inrcodec.open(folder / "again.inrv", "cpu") as video:
        assert video.properties.bit_depth == 10
        assert np.abs(video[:].astype(int) - frames).mean() < 3
