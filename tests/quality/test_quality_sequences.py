"""XPSNR and VMAF: FFmpeg's own figures, or one line that says what is missing."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from command_line import inrc
from numpy.typing import NDArray

import bitstream
from inrcodec.cli.main import run
from inrcodec.errors import InrcError, UsageError
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.source import SourceSettings
from inrcodec.video import vmaf
from inrcodec.video.pixel_planes import frame_of
from inrcodec.video.planes import Picture
from inrcodec.video.xpsnr import has_xpsnr

Planes = list[NDArray[Any]]
HEIGHT, WIDTH, COUNT = 66, 96, 3
SAMPLE = Path(__file__).parents[2] / "samples" / "nerv.inrv"
PROGRAM = f"""#!{sys.executable}
import json, sys
if "-filters" in sys.argv:
    print(" .. libvmaf  VV->V  Calculate the VMAF")
    raise SystemExit
width, height = map(int, sys.argv[sys.argv.index("-s") + 1].split("x"))
size = 3 * width * height * (2 if "yuv444p10le" in sys.argv else 1)
frames = []
while data := sys.stdin.buffer.read(size):
    if data[0] == 1:
        print("the filter refuses it", file=sys.stderr)
        raise SystemExit(1)
    assert len(data) == size and "libvmaf" in sys.argv[sys.argv.index("-lavfi") + 1]
    half = size // 6
    frames.append({{"metrics": {{"vmaf": 100.0 if data[:half] == data[half : 2 * half] else 40.5}}}})
json.dump({{"frames": frames}}, open("vmaf.json", "w"))
"""
"""A program that takes what ffmpeg takes, and scores equal frames 100."""


def planes(seed: int, change: int = 0, depth: int = 8) -> Planes:
    random, kind = np.random.default_rng(seed), np.uint8 if depth == 8 else np.uint16
    scale = 1 << (depth - 8)
    luma = random.integers(60 * scale, 180 * scale, (HEIGHT, WIDTH)) + change
    chroma = [np.full((HEIGHT // 2, WIDTH // 2), 120 * scale + change) for _ in range(2)]
    return [plane.astype(kind) for plane in (luma, *chroma)]


def write(path: Path, frames: list[Planes], pixel_format: str = "yuv420p") -> str:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = frames[0][0].shape
        stream.pix_fmt = pixel_format
        for time, one in enumerate(frames):
            frame = frame_of(one, pixel_format)
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write(tmp_path / "a.mkv", [planes(seed) for seed in range(COUNT)])


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The same, but for the middle frame."""
    return write(tmp_path / "b.mkv", [planes(0), planes(1, 4), planes(2)])


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    vmaf.vmaf_program.cache_clear()
    yield program
    vmaf.vmaf_program.cache_clear()


@pytest.mark.skipif(not has_xpsnr(), reason="this FFmpeg has no xpsnr")
def test_xpsnr_is_that_of_the_filter(source: str, other: str) -> None:
    same = evaluate(source, source, measures=["xpsnr"]).values
    assert all((same[f"xpsnr_{name}"] == 100).all() for name in "yuv")
    found = evaluate(source, other, measures=["xpsnr", "psnr"]).values
    assert set(found) == {"psnr", "xpsnr_y", "xpsnr_u", "xpsnr_v"}
    assert found["xpsnr_y"][0] == found["xpsnr_y"][2] == 100
    # Noise hides errors, so that the weighted figure is above the plain one, 20 log10(255 / 4).
    assert 36 < found["xpsnr_y"][1] < 60
    # The filter of FFmpeg itself, which pairs the frames of both files by their times.
    with av.open(source) as first, av.open(other) as second:
        graph = av.filter.Graph()
        inputs = [graph.add_buffer(template=one.streams.video[0]) for one in (first, second)]
        filtering, sink = graph.add("xpsnr"), graph.add("buffersink")
        for place, one in enumerate(inputs):
            one.link_to(filtering, 0, place)
        filtering.link_to(sink)
        graph.configure()
        for number, pair in enumerate(zip(first.decode(video=0), second.decode(video=0), strict=True)):
            for entry, frame in zip(inputs, pair, strict=True):
                entry.push(frame)
            measured: Any = sink.pull()
            value = float(measured.metadata["lavfi.xpsnr.xpsnr.y"])
            assert found["xpsnr_y"][number] == pytest.approx(min(100.0, value), abs=1e-6)


@pytest.mark.skipif(not has_xpsnr(), reason="this FFmpeg has no xpsnr")
def test_xpsnr_counts_levels_of_10_bits(tmp_path: Path) -> None:
    """The same error in levels is a quarter as large with 10 bits."""
    found = {}
    for depth, name in ((8, "yuv420p"), (10, "yuv420p10le")):
        first = write(tmp_path / f"{depth}-a.mkv", [planes(0, 0, depth)], name)
        second = write(tmp_path / f"{depth}-b.mkv", [planes(0, 4, depth)], name)
        found[depth] = evaluate(first, second, measures=["xpsnr"]).values["xpsnr_u"][0]
    assert found[10] - found[8] == pytest.approx(20 * np.log10(1023 / 255), abs=0.2)


def test_xpsnr_of_10_bits_is_refused_where_the_filter_is_wrong(tmp_path: Path) -> None:
    cut = [[planes(0, 0, 10)[0][:, :90], *(plane[:, :45] for plane in planes(0, 0, 10)[1:])]]
    source = write(tmp_path / "a.mkv", cut, "yuv420p10le")
    with pytest.raises(UsageError, match="wrong for 10 bits and 90 columns"):
        evaluate(source, source, measures=["xpsnr"])
    reduced = evaluate(source, source, SourceSettings(bit_depth=8), measures=["xpsnr"]).values
    # The reference is rounded once, and the decoded video by way of 10 bits.
    assert (reduced["xpsnr_y"] > 55).all()


@pytest.mark.skipif(not has_xpsnr(), reason="this FFmpeg has no xpsnr")
def test_xpsnr_refuses_sizes_at_which_the_filter_fails(tmp_path: Path) -> None:
    """Below 2,025 pixels it divides by zero; a last row of blocks of one row has no weight."""

    def cut(name: str, height: int, width: int) -> str:
        luma, *chroma = planes(0)
        half = -(-height // 2), -(-width // 2)
        return write(
            tmp_path / name, [[luma[:height, :width], *(one[: half[0], : half[1]] for one in chroma)]]
        )

    small = cut("small.mkv", 32, 63)
    with pytest.raises(UsageError, match="cannot measure frames as small as 63x32"):
        evaluate(small, small, measures=["xpsnr"])
    odd = cut("odd.mkv", 65, 96)
    with pytest.raises(UsageError, match="wrong for 65 rows, which are one more than whole blocks of 4"):
        evaluate(odd, odd, measures=["xpsnr"])
    fitting = cut("fitting.mkv", 45, 45)
    with pytest.raises(UsageError, match="45 rows"):
        evaluate(fitting, fitting, measures=["xpsnr"])
    for height, width in ((46, 46), (63, 96), (66, 95)):
        source = cut(f"{height}x{width}.mkv", height, width)
        assert (evaluate(source, source, measures=["xpsnr"]).values["xpsnr_y"] == 100).all()


@pytest.mark.end_to_end
@pytest.mark.skipif(not has_xpsnr(), reason="this FFmpeg has no xpsnr")
@pytest.mark.parametrize("rate", [Fraction(1, (1 << 32) - 1), Fraction((1 << 32) - 1)])
def test_a_rate_that_ffmpeg_cannot_hold_is_measured_all_the_same(tmp_path: Path, rate: Fraction) -> None:
    """The filter would divide by a rate of 0, which ends the process."""
    stream = bitstream.load(SAMPLE.read_bytes())
    strange = replace(stream, header=replace(stream.header, frame_rate=rate, timestamps=None))
    (tmp_path / "a.inrv").write_bytes(bitstream.dump(strange))
    done = inrc("eval", "a.inrv", SAMPLE, "--metric", "xpsnr", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["xpsnr_y"]["mean"] == 100


@pytest.mark.parametrize("rate", [Fraction(1, (1 << 32) - 1), Fraction((1 << 32) - 1)])
def test_every_caller_of_vmaf_may_give_such_a_rate(
    ffmpeg: Path, monkeypatch: pytest.MonkeyPatch, rate: Fraction
) -> None:
    told: list[str] = []
    start = subprocess.Popen

    def started(command: list[str], **options: Any) -> Any:
        told.extend(command[place + 1] for place, word in enumerate(command) if word == "-r")
        return start(command, **options)

    monkeypatch.setattr("inrcodec.video.vmaf.subprocess.Popen", started)
    picture = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with vmaf.Vmaf(picture, picture, rate) as meter:
        meter.add(picture, picture)
        assert len(meter.scores()) == 1
    assert 1 <= Fraction(told[-1]) <= 1000


@pytest.mark.parametrize("depth", [8, 10])
def test_vmaf_is_what_the_program_says(tmp_path: Path, ffmpeg: Path, depth: int) -> None:
    name = "yuv420p" if depth == 8 else "yuv420p10le"
    first = write(tmp_path / "a.mkv", [planes(seed, 0, depth) for seed in range(COUNT)], name)
    second = write(tmp_path / "b.mkv", [planes(seed, seed % 2, depth) for seed in range(COUNT)], name)
    found = evaluate(first, second, measures=["vmaf"])
    assert found.values["vmaf"].tolist() == [100.0, 40.5, 100.0]
    assert vmaf.vmaf_program() == str(ffmpeg)


def test_a_program_that_fails_is_one_line(tmp_path: Path, ffmpeg: Path) -> None:
    black = [np.ones((HEIGHT, WIDTH), np.uint8), *(np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),) * 2]
    source = write(tmp_path / "a.mkv", COUNT * [black])
    with pytest.raises(InrcError, match="^VMAF: ffmpeg failed: the filter refuses it$"):
        evaluate(source, source, measures=["vmaf"])
    ffmpeg.write_text(ffmpeg.read_text().replace('open("vmaf.json", "w")', 'open("another", "w")'))
    source = write(tmp_path / "c.mkv", [planes(0)])
    with pytest.raises(InrcError, match="^VMAF: ffmpeg wrote no scores$"):
        evaluate(source, source, measures=["vmaf"])


def test_what_is_missing_is_one_line(
    source: str, other: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inrcodec.quality.frame_metrics.vmaf_program", lambda: None)
    assert run(["eval", source, other, "--metric", "vmaf"]) == 2
    assert capsys.readouterr().err == (
        "inrc: error: vmaf needs an ffmpeg that has libvmaf, on PATH or by: pip install imageio-ffmpeg\n"
    )
    monkeypatch.setattr("av.filter.filters_available", set())
    with pytest.raises(UsageError, match="xpsnr needs a PyAV whose FFmpeg has the filter xpsnr"):
        evaluate(source, other, measures=["xpsnr"])


def test_both_are_measured_on_request_only(source: str, other: str) -> None:
    assert not {"vmaf", "xpsnr_y"} & set(evaluate(source, other).values)
