"""Writing: files keep colours, timing and shape, and are written completely or not at all."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_samples import Frames, Notes, gradient, plain_rgb

from benchmarks.inputs.colours import LUMA_WEIGHTS
from bitstream.header import ColorTags
from inrcodec.errors import OutputError, UsageError
from inrcodec.settings.source import SourceSettings
from inrcodec.video import VideoProperties, check_target, open_writer, read_clip
from inrcodec.video.conversion import to_pixel_format
from inrcodec.video.output_clock import OutputClock

ALL = SourceSettings()


def properties(frames: Frames, **changes: object) -> VideoProperties:
    fields: dict[str, object] = {
        "width": frames.shape[2],
        "height": frames.shape[1],
        "frame_count": len(frames),
        "frame_rate": Fraction(25),
        "time_base": Fraction(1, 12800),
    }
    return VideoProperties(**(fields | changes))  # type: ignore[arg-type]


def write_all(
    path: Path, frames: Frames, codec: str | None = None, crf: int | None = None, **changes: object
) -> None:
    with open_writer(str(path), properties(frames, **changes), codec, crf) as writer:
        for frame in frames:
            writer.write(frame)


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm", "a.y4m"])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (17, 13), (1, 1)])
def test_a_round_trip_looks_the_same(tmp_path: Path, name: str, width: int, height: int) -> None:
    frames = gradient(width, height, 5)
    write_all(tmp_path / name, frames, frame_rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    clip = read_clip(str(tmp_path / name), ALL)
    assert clip.frames.shape == frames.shape
    assert clip.properties.frame_rate == Fraction(30000, 1001)
    assert np.abs(clip.frames.astype(int) - frames).mean() < 3
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("codec", ["libx264", "hevc", "vp9", "av1", "ffv1"])
def test_codecs(tmp_path: Path, codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    frames = gradient(64, 64, 3)
    write_all(tmp_path / "a.mkv", frames, codec)
    difference = np.abs(plain_rgb(tmp_path / "a.mkv").astype(int) - frames)
    assert difference.mean() < (0.01 if codec == "ffv1" else 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("matrix", [0, 1, 2, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_survive_under_every_tag(tmp_path: Path, matrix: int, full_range: bool) -> None:
    frames = gradient(128, 96, 2)
    color = ColorTags(primaries=1, transfer=13, matrix=matrix, full_range=full_range)
    write_all(tmp_path / "a.mp4", frames, crf=0, color=color)
    clip = read_clip(str(tmp_path / "a.mp4"), ALL)
    difference = clip.frames.astype(int) - frames
    assert np.abs(difference).mean() < 1
    assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 0.1
    # An RGB source has no matrix, so it is written and tagged as limited BT.709.
    expected = color if matrix else ColorTags(1, 13, 1, False)
    assert clip.properties.color == expected


def exact_yuv(color: tuple[int, int, int], matrix: int, full_range: bool) -> list[float]:
    """Y, Cb, Cr of an RGB colour, unrounded (ITU-T H.273, equations 32 to 45)."""
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    red, green, blue = (value / 255 for value in color)
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = (blue - luma) / (2 * (1 - of_blue)), (red - luma) / (2 * (1 - of_red))
    if full_range:
        return [255 * luma, *(128 + 255 * value for value in chroma)]
    return [16 + 219 * luma, *(128 + 224 * value for value in chroma)]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_samples_are_those_of_the_exact_formula(pixel_format: str, matrix: int, full_range: bool) -> None:
    tags = ColorTags(primaries=1, transfer=1, matrix=matrix, full_range=full_range)
    levels = (0, 1, 63, 128, 200, 254, 255)
    for color in [(red, green, blue) for red in levels for green in levels for blue in levels]:
        picture = to_pixel_format(np.full((16, 16, 3), color, np.uint8), pixel_format, tags)
        for plane, exact in zip(picture.planes, exact_yuv(color, matrix, full_range), strict=True):
            samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            assert np.abs(samples[:, : plane.width] - min(exact, 255.0)).max() < 0.6, color


def test_a_grey_video_is_as_bright_as_it_should_be(tmp_path: Path) -> None:
    for grey in (1, 64, 128, 200, 254):
        write_all(tmp_path / f"{grey}.mp4", np.full((2, 32, 32, 3), grey, np.uint8))
        with av.open(str(tmp_path / f"{grey}.mp4")) as container:
            for frame in container.decode(video=0):
                assert np.abs(frame.to_ndarray()[:32].astype(int) - (16 + 219 * grey / 255)).max() <= 1


def test_aspect_ratio_and_timing_survive(tmp_path: Path) -> None:
    frames = gradient(32, 32, 4)
    write_all(
        tmp_path / "a.mp4",
        frames,
        frame_rate=Fraction(24000, 1001),
        time_base=Fraction(1, 24000),
        sample_aspect_ratio=Fraction(128, 117),
    )
    kept = read_clip(str(tmp_path / "a.mp4"), ALL).properties
    assert kept.frame_rate == Fraction(24000, 1001)
    assert kept.time_base == Fraction(1, 24000)
    assert kept.sample_aspect_ratio == Fraction(128, 117)


def test_a_lost_aspect_ratio_is_noted(tmp_path: Path, notes: Notes) -> None:
    frames = gradient(32, 32)
    described = properties(frames, sample_aspect_ratio=Fraction(4, 3))
    for name, expected in (("a.mp4", 0), ("a.webm", 1)):
        notes.lines.clear()
        with open_writer(str(tmp_path / name), described, progress=notes) as writer:
            writer.write(frames[0])
        assert len(notes.lines) == expected


def test_a_coarse_time_base_does_not_make_frames_jitter() -> None:
    frames = gradient(2, 2)
    coarse = properties(frames, frame_rate=Fraction(30000, 1001), time_base=Fraction(1, 1000))
    clocks = OutputClock(coarse), OutputClock(properties(frames))
    assert [clock.time_base for clock in clocks] == [Fraction(1001, 30000), Fraction(1, 12800)]
    assert [clock.timestamp(3) for clock in clocks] == [3, 3 * 512]


BEYOND = 2**32 - 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "shots"])
@pytest.mark.parametrize(
    "changes",
    [
        {"frame_rate": Fraction(BEYOND)},
        {"frame_rate": Fraction(1, BEYOND)},
        {"sample_aspect_ratio": Fraction(BEYOND, BEYOND - 1)},
        {"frame_rate": Fraction(1, 2**31 - 1), "time_base": Fraction(1, 2**31 - 1)},
    ],
)
def test_what_ffmpeg_cannot_hold_is_an_output_error(
    tmp_path: Path, name: str, changes: dict[str, Fraction]
) -> None:
    frames = gradient(16, 16, 4)
    if name == "shots" and "frame_rate" in changes:  # Images have no frame rate.
        write_all(tmp_path / name, frames, **changes)
        return
    with pytest.raises(OutputError, match=r"exceeds FFmpeg's limit \(2\^31-1\)"):
        write_all(tmp_path / name, frames, **changes)
    assert names_in(tmp_path) == []


def test_a_time_base_that_ffmpeg_cannot_hold_is_replaced(tmp_path: Path) -> None:
    write_all(tmp_path / "a.mp4", gradient(16, 16, 4), time_base=Fraction(1, BEYOND))
    assert read_clip(str(tmp_path / "a.mp4"), ALL).properties.frame_rate == 25


@pytest.mark.parametrize(("target", "first"), [("shots", "00000.png"), ("f%03d.png", "f000.png")])
def test_images(tmp_path: Path, target: str, first: str) -> None:
    frames = gradient(9, 7, 12)
    write_all(tmp_path / target, frames)
    folder = tmp_path / target if target == "shots" else tmp_path
    assert len(names_in(folder)) == 12
    assert names_in(folder)[0] == first
    assert np.array_equal(read_clip(str(tmp_path / target), ALL).frames, frames)
    with pytest.raises(UsageError, match="exists already"):
        check_target(str(tmp_path / target))
    with open_writer(str(tmp_path / target), properties(frames), overwrite=True, first_number=11) as writer:
        writer.write(frames[5])
        writer.write(frames[6])
        assert np.array_equal(read_clip(str(tmp_path / target), ALL).frames, frames)
    # Only the written images are replaced.
    expected = np.concatenate([frames[:11], frames[5:7]])
    assert np.array_equal(read_clip(str(tmp_path / target), ALL).frames, expected)


def test_standard_output_is_y4m(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    frames = gradient(5, 3, 2)
    with open_writer("-", properties(frames)) as writer:
        for frame in frames:
            writer.write(frame)
    written = raw.getvalue()
    assert written.startswith(b"YUV4MPEG2 W5 H3 F25:1 Ip A1:1 C444 XCOLORRANGE=LIMITED\nFRAME\n")
    assert len(written) == written.index(b"\n") + 1 + 2 * (6 + 5 * 3 * 3)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), OSError(5, "no")])
@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "shots", "%d.png"])
def test_a_failure_leaves_nothing(tmp_path: Path, name: str, error: BaseException) -> None:
    frames = gradient(32, 32)
    with (
        pytest.raises((type(error), OutputError)),
        open_writer(str(tmp_path / name), properties(frames)) as writer,
    ):
        writer.write(frames[0])
        raise error
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "codec", "crf", "message"),
    [
        ("a.avi", None, None, "cannot write .avi"),
        ("%d.jpg", None, None, "images are written as .png"),
        ("missing/a.mp4", None, None, "does not exist"),
        ("missing/shots/", None, None, "does not exist"),
        ("a.mp4", "nonsense", None, "no encoder"),
        ("a.mp4", "aac", None, "does not encode video"),
        ("a.mp4", "mpeg4", None, "is not supported"),
        ("a.webm", "h264", None, "cannot hold"),
        ("a.mkv", "ffv1", 10, "does not apply"),
        ("a.mp4", None, 64, "out of range"),
        ("a.y4m", None, 10, "are for video files"),
        ("-", "h264", None, "are for video files"),
        (os.devnull + "/a.mp4", None, None, "does not exist"),
    ],
)
def test_targets_that_cannot_be(
    tmp_path: Path, target: str, codec: str | None, crf: int | None, message: str
) -> None:
    place = target if target == "-" else str(tmp_path / target)
    with pytest.raises(UsageError, match=message):
        check_target(place, codec, crf)
    frames = gradient(16, 16)
    with pytest.raises(UsageError, match=message), open_writer(place, properties(frames), codec, crf):
        pass
    assert names_in(tmp_path) == []


def test_an_encoder_that_refuses_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a.mkv"):
        # Frames this small are below the minimum of x265.
        write_all(tmp_path / "a.mkv", gradient(3, 3), "hevc")
    assert names_in(tmp_path) == []


def test_a_full_disk(small_disk: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (40, 128, 128, 3), dtype=np.uint8)
    for name in ("a.mp4", "a.mkv", "a.y4m", "shots"):
        with pytest.raises(OutputError, match="No space left on device") as caught:
            write_all(small_disk / name, frames)
        assert "\n" not in str(caught.value)
        assert names_in(small_disk) == []
    with suppress(OutputError):
        write_all(small_disk / "b.webm", frames)
    assert [name for name in names_in(small_disk) if name.startswith(".")] == []
