"""Notations of sizes, times, ranges and options: the usual ones are parsed, all others rejected."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.errors import UsageError
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import (
    duration_text,
    parse_bitrate,
    parse_crop,
    parse_device,
    parse_duration,
    parse_file_size,
    parse_frame_range,
    parse_frames,
    parse_model_options,
    parse_picture_size,
    parse_scale,
    parse_workers,
)
from inrcodec.settings.source import Crop, FrameRange, Size, TimeRange


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1", 1),
        ("812000", 812_000),
        ("800k", 800_000),
        ("1.5M", 1_500_000),
        ("2kB", 2000),
        ("1MiB", 1 << 20),
        ("0.5kib", 512),
    ],
)
def test_file_sizes(text: str, size_bytes: int) -> None:
    assert parse_file_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("3m", 180),
        ("1h30m", 5400),
        ("1h", 3600),
        ("1h1s", 3601),
        ("0.5m", 30),
        ("2.5", 2.5),
        ("1:30", 90),
        ("1:02:03.5", 3723.5),
        ("10min", 600),
        ("1 hour 30 minutes", 5400),
        ("45 sec", 45),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "start", "stop"), [(":", 0, None), ("3:", 3, None), (":5", 0, 5), ("2:7", 2, 7)]
)
def test_frame_ranges(text: str, start: int, stop: int | None) -> None:
    assert parse_frame_range(text) == FrameRange(start, stop)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s:3s", TimeRange(Fraction(1), Fraction(3))),
        ("1.5s:", TimeRange(Fraction(3, 2))),
        (":2m", TimeRange(Fraction(0), Fraction(120))),
        ("1:3", FrameRange(1, 3)),
    ],
)
def test_ranges_of_times_have_units(text: str, expected: FrameRange | TimeRange) -> None:
    assert parse_frames(text) == expected


@pytest.mark.parametrize("text", ["1s:3", "1s", "s:", "1s:2s:3s", "3s:1s", "1s:x"])
def test_no_ranges_of_times(text: str) -> None:
    with pytest.raises(ValueError, match="range of (frames|times)"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("640x320", Size(640, 320)),
        ("-1x180", Size(-1, 180)),
        ("640:-2", Size(640, -2)),
        ("50%", Fraction(1, 2)),
        ("12.5%", Fraction(1, 8)),
    ],
)
def test_scales(text: str, expected: Size | Fraction) -> None:
    assert parse_scale(text) == expected


@pytest.mark.parametrize("text", ["", "0%", "-1x-1", "-1x0", "-3x10", "x%", "640"])
def test_no_scales(text: str) -> None:
    with pytest.raises(ValueError, match="not a scale"):
        parse_scale(text)


def test_crops() -> None:
    assert parse_crop("64x48") == Size(64, 48)
    assert parse_crop("64x48+10+0") == Crop(64, 48, 10, 0)
    for text in ("64", "64x48+1", "64x48-1-1", "0x4+1+1"):
        with pytest.raises(ValueError, match="not a crop"):
            parse_crop(text)


@pytest.mark.parametrize(
    ("text", "bits"), [("200000", 2e5), ("200k", 2e5), ("1.5M", 1.5e6), ("2Mbps", 2e6), ("64kbit/s", 64e3)]
)
def test_bitrates(text: str, bits: float) -> None:
    assert parse_bitrate(text) == bits


@pytest.mark.parametrize("text", ["", "0", "-1k", "200kB", "fast"])
def test_no_bitrates(text: str) -> None:
    with pytest.raises(ValueError, match="not a bitrate"):
        parse_bitrate(text)


@pytest.mark.parametrize("text", ["", "x", "0", "0k", "-1", "1e3", "3q", "k", "nan", "1 k", "1..2", "0x10"])
def test_no_file_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a file size"):
        parse_file_size(text)


@pytest.mark.parametrize("text", ["", "0", "0s", "m", "3x", "30m1h", "1h1h", "-3", "inf", "1:60", "1:2:3:4"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "3", "a:b", "-1:2", "1:2:3", "5:5", "7:2", ":0"])
def test_no_frame_ranges(text: str) -> None:
    with pytest.raises(ValueError, match="range of frames"):
        parse_frame_range(text)


@pytest.mark.parametrize("text", ["", "640", "640x", "x480", "0x10", "10x0", "64*48", "-1x3"])
def test_no_picture_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_picture_size(text)


@given(st.integers(1, 10**12))
def test_whole_bytes(size_bytes: int) -> None:
    assert parse_file_size(str(size_bytes)) == size_bytes
    assert parse_file_size(f"{size_bytes}k") == 1000 * size_bytes


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_hours_minutes_seconds(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_pictures(width: int, height: int) -> None:
    assert parse_picture_size(f"{width}x{height}") == Size(width, height)


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_ranges(start: int, count: int) -> None:
    assert parse_frame_range(f"{start}:{start + count}") == FrameRange(start, start + count)


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    for parse in (parse_file_size, parse_duration, parse_frame_range, parse_picture_size, parse_device):
        try:
            value = parse(text)
        except ValueError as error:
            assert str(error)
        else:
            assert not isinstance(value, float) or 0 < value < math.inf


def test_devices() -> None:
    for name in ("auto", "cpu", "mps", "cuda", "cuda:1"):
        assert parse_device(name) == name
    assert [parse_device(name) for name in ("CUDA", "CPU ", "Cuda:1")] == ["cuda", "cpu", "cuda:1"]
    assert [parse_workers(text) for text in ("LOCAL:2", "Ray://Host:1")] == ["local:2", "ray://Host:1"]
    for name in ("gpu", "cuda:", "cuda:x", "c pu"):
        with pytest.raises(ValueError, match="not a device"):
            parse_device(name)


def test_model_options() -> None:
    assert parse_model_options(["width=40", "a=b=c", "empty="]) == {"width": "40", "a": "b=c", "empty": ""}
    for texts in (["width"], ["=3"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="model option"):
            parse_model_options(texts)


def test_contradictions() -> None:
    EncodeSettings()
    EncodeSettings(bpp=0.1, time_seconds=60)
    asked: dict[str, float]
    for asked, message in [
        (dict(bpp=0.1, size_bytes=100), "--bpp and --size exclude each other"),
        (dict(size_bytes=100, psnr_db=30), "--size and --psnr exclude each other"),
        (dict(psnr_db=math.nan), "--psnr: expected a positive number, found nan"),
        (dict(time_seconds=1, epochs=1), "--time and --epochs exclude each other"),
        (dict(bpp=0), "--bpp: expected a positive number, found 0"),
        (dict(size_bytes=-5), "--size: expected a positive number, found -5"),
        (dict(time_seconds=math.inf), "--time: expected a positive number, found inf"),
        (dict(epochs=math.nan), "--epochs: expected a positive number, found nan"),
    ]:
        with pytest.raises(UsageError) as caught:
            EncodeSettings(**asked)  # type: ignore[arg-type]
        assert caught.value.text.startswith(message)


def test_durations_for_people() -> None:
    texts = [duration_text(seconds) for seconds in (0.25, 9.99, 59.4, 59.6, 185, 3599.9, 5400)]
    assert texts == ["0.2 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "1 h 30 min"]
