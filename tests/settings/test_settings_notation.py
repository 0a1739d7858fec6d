"""Notations of sizes, times, ranges and options: the usual ones are parsed, all others rejected."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.errors import UsageError
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import (
    duration_text,
    parse_device,
    parse_duration,
    parse_file_size,
    parse_frame_range,
    parse_model_options,
    parse_picture_size,
)
from inrcodec.settings.source import FrameRange, Size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1", 1), ("812000", 812_000), ("800k", 800_000), ("1.5M", 1_500_000), ("2kB", 2000)],
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
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "start", "stop"), [(":", 0, None), ("3:", 3, None), (":5", 0, 5), ("2:7", 2, 7)]
)
def test_frame_ranges(text: str, start: int, stop: int | None) -> None:
    assert parse_frame_range(text) == FrameRange(start, stop)


@pytest.mark.parametrize("text", ["", "x", "0", "0k", "-1", "1e3", "3q", "k", "nan", "1 k", "1..2", "0x10"])
def test_no_file_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a file size"):
        parse_file_size(text)


@pytest.mark.parametrize("text", ["", "0", "0s", "m", "3x", "30m1h", "1h1h", "-3", "inf", "1:30"])
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
    for name in ("gpu", "cuda:", "cuda:x", "CPU "):
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
        with pytest.raises(UsageError, match=message):
            EncodeSettings(**asked)  # type: ignore[arg-type]


def test_durations_for_people() -> None:
    texts = [duration_text(seconds) for seconds in (0.25, 9.99, 59.4, 59.6, 185, 3599.9, 5400)]
    assert texts == ["0.2 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "1 h 30 min"]
