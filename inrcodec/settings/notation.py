"""Parses sizes, times, ranges and options as users write them; raises `ValueError` with one line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING

from inrcodec.errors import UsageError
from inrcodec.settings.source import Crop, FrameRange, SegmentRule, Size, TimeRange

if TYPE_CHECKING:
    from bitstream.limits import Limits

_BYTES_PER_SUFFIX = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES_PER_BINARY_SUFFIX = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECONDS_PER_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"\d+(?:\.\d+)?"
_FILE_SIZE = re.compile(rf"({_NUMBER})(?:([kmgt]?)b?|([kmgt])ib)", re.IGNORECASE)
_COUNT = re.compile(rf"({_NUMBER})([kmgt]?)", re.IGNORECASE)
_BITRATE = re.compile(rf"({_NUMBER})([kmg]?)(?:bps|bit/s|b/s)?", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(_NUMBER)
_DURATION = re.compile(
    rf"(?:({_NUMBER}) ?h(?:ours?|r)?)? ?(?:({_NUMBER}) ?m(?:in(?:utes?)?)?)? ?"
    rf"(?:({_NUMBER}) ?s(?:ec(?:onds?)?)?)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_FRAME_RANGE = re.compile(r"(\d*):(\d*)")
_PICTURE_SIZE = re.compile(r"([1-9]\d*)x([1-9]\d*)", re.IGNORECASE)
_CROP = re.compile(r"([1-9]\d*)x([1-9]\d*)\+(\d+)\+(\d+)", re.IGNORECASE)
_SCALE = re.compile(r"(-[12]|[1-9]\d*)[x:](-[12]|[1-9]\d*)", re.IGNORECASE)
_SHARE = re.compile(rf"({_NUMBER}) ?%")
AUTO_WORKERS = "auto"
"""This process, or two for several segments of `inrc` on a large GPU."""
_WORKERS = re.compile(r"auto|local:[1-9]\d{0,3}|ray|ray://[^\s/]+:\d{1,5}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def parse_file_size(text: str) -> int:
    """Parse bytes from `812000`, `800k` (800,000), `1.5M` (1,500,000) or `1MiB` (1,048,576)."""
    match = _FILE_SIZE.fullmatch(text.strip())
    factor = _BYTES_PER_BINARY_SUFFIX[match[3].lower()] if match and match[3] else None
    size_bytes = round(float(match[1]) * (factor or _BYTES_PER_SUFFIX[match[2].lower()])) if match else 0
    if size_bytes < 1:
        raise ValueError(f"{text!r} is not a file size; write bytes, 800k, 1.5M or 1MiB")
    return size_bytes


def parse_bitrate(text: str) -> float:
    """Parse bits per second from `200000`, `200k` or `1.5Mbps`."""
    match = _BITRATE.fullmatch(text.strip())
    bits = float(match[1]) * _BYTES_PER_SUFFIX[match[2].lower()] if match else 0.0
    if not 0 < bits < math.inf:
        raise ValueError(f"{text!r} is not a bitrate; write bits per second, 200k or 1.5M")
    return bits


def parse_segment_rule(text: str) -> SegmentRule:
    """Parse `auto`, `scene` or a number of frames."""
    word = text.strip().lower()
    if word == "auto":
        return "auto"
    if word == "scene":
        return "scene"
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise ValueError(f"{text!r} is not a way to cut a video; write auto, scene or a number of frames")
    return int(word)


def parse_count(text: str) -> int:
    """Parse a count from `350000`, `350k` or `1.5M`."""
    count = _scaled_number(text)
    if count < 1:
        raise ValueError(f"{text!r} is not a count; write 350000, 350k or 1.5M")
    return count


def _scaled_number(text: str) -> int:
    """The number with its decimal suffix applied; 0 if the text is not a number."""
    match = _COUNT.fullmatch(text.strip())
    return round(float(match[1]) * _BYTES_PER_SUFFIX[match[2].lower()]) if match else 0


def parse_duration(text: str) -> float:
    """Parse seconds from `90`, `90s`, `3m`, `10min`, `1h30m` or `1:30`."""
    seconds = _exact_seconds(text)
    if not seconds:
        raise ValueError(f"{text!r} is not a time; write 90, 90s, 3m, 1h30m or 1:30")
    return float(seconds)


def parse_moment(text: str) -> Fraction:
    """Parse an exact time within a video, in seconds, from `12.3`, `12.3s`, `1m2s` or `1:02`."""
    seconds = _exact_seconds(text)
    if seconds is None:
        raise ValueError(f"{text!r} is not a time; write 12.3, 12.3s, 1m2s or 1:02")
    return seconds


def _exact_seconds(text: str) -> Fraction | None:
    """The seconds of a number, of a number with units or of a clock; None for anything else."""
    text = text.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return Fraction(text)
    match = _CLOCK.fullmatch(text)
    if match is not None:
        hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
        is_clock = seconds < 60 and (match[1] is None or minutes < 60)
        return 3600 * hours + 60 * minutes + seconds if is_clock else None
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    parts = zip(match.groups(), _SECONDS_PER_UNIT.values(), strict=True)
    return sum((Fraction(number) * int(unit) for number, unit in parts if number), Fraction(0))


def parse_frames(text: str) -> FrameRange | TimeRange:
    """Parse a range of frames from `a:b` (b exclusive), `a:` or `:b`, or one of times from `1s:3s`.

    Times have units (`1.5s`, `2m`), because a number alone is that of a frame.
    """
    start, colon, stop = text.strip().partition(":")
    ends = [_exact_seconds(one) if one else None for one in (start, stop)]
    has_units = any(one and not one.isdigit() for one in (start, stop))
    if not colon or not has_units:
        return parse_frame_range(text)
    if any(
        one and (seconds is None or one.isdigit()) for one, seconds in zip((start, stop), ends, strict=True)
    ):
        raise ValueError(f"{text!r} is not a range of frames; write a:b, a: or :b, or times as 1s:3s")
    try:
        return TimeRange(ends[0] or Fraction(0), ends[1])
    except UsageError as error:
        raise ValueError(error.text) from None


def parse_frame_range(text: str) -> FrameRange:
    """Parse a range of frames from `a:b` (b exclusive), `a:` or `:b`."""
    match = _FRAME_RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a range of frames; write a:b, a: or :b, or times as 1s:3s")
    frames = FrameRange(int(match[1] or 0), int(match[2]) if match[2] else None)
    if frames.stop is not None and frames.stop <= frames.start:
        raise ValueError(f"the range of frames {text} is empty")
    return frames


def parse_picture_size(text: str) -> Size:
    """Parse width and height from `1280x640`."""
    match = _PICTURE_SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write WIDTHxHEIGHT, for example 1280x640")
    return Size(int(match[1]), int(match[2]))


def parse_crop(text: str) -> Size:
    """Parse the size of a centre crop from `1280x640`, or a rectangle from `1280x640+100+0`."""
    match = _CROP.fullmatch(text.strip())
    if match is not None:
        return Crop(*map(int, match.groups()))
    try:
        return parse_picture_size(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a crop; write WIDTHxHEIGHT or WIDTHxHEIGHT+X+Y") from None


def parse_scale(text: str) -> Size | Fraction:
    """Parse a size from `640x320` or `-1x320` (-1 follows from the other side), or a factor from `50%`."""
    text = text.strip()
    share = _SHARE.fullmatch(text)
    if share is not None and float(share[1]) > 0:
        return Fraction(share[1]) / 100
    match = _SCALE.fullmatch(text)
    size = None if match is None else Size(int(match[1]), int(match[2]))
    if size is None or max(size.width, size.height) < 1:
        raise ValueError(f"{text!r} is not a scale; write WIDTHxHEIGHT, -1xHEIGHT or 50%")
    return size


def parse_device(text: str) -> str:
    """Check a device name and return it in lower case."""
    text = text.strip().lower()
    if not _DEVICE.fullmatch(text):
        raise ValueError(f"{text!r} is not a device; write auto, cpu, cuda, cuda:1 or mps")
    return text


def parse_workers(text: str) -> str:
    """Check `auto`, `local:N`, `ray` or `ray://host:port` and return it with the kind in lower case."""
    kind, separator, rest = text.strip().partition(":")
    text = f"{kind.lower()}{separator}{rest}"
    if not _WORKERS.fullmatch(text):
        raise ValueError(f"{text!r} does not name workers; write auto, local:4, ray or ray://host:10001")
    return text


def local_worker_count(workers: str) -> int:
    """N for `local:N`; 0 for other workers."""
    kind, _, count = workers.partition(":")
    return int(count) if kind == "local" else 0


def parse_model_options(texts: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` texts; raises `UsageError`, also for a key that is given twice."""
    options: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise UsageError(f"{text!r} is not a model option; write key=value")
        if key in options:
            raise UsageError(f"model option {key!r} is given twice")
        options[key] = value
    return options


def limit_name(field: str) -> str:
    """Name of a field of `Limits` on the command line: `max_block_bytes` is `block-bytes`."""
    return field.removeprefix("max_").replace("_", "-")


def parse_limits(texts: Iterable[str]) -> Limits:
    """Parse `NAME=VALUE` texts, such as `frames=20M` or `memory=2G`; raises `UsageError`."""
    # Imported here, because `--help` does not wait for the format.
    from bitstream.limits import Limits

    known = {limit_name(one.name): one.name for one in fields(Limits)}
    values: dict[str, int] = {}
    for text in texts:
        name, separator, number = text.partition("=")
        if name not in known or not separator:
            names = ", ".join(known)
            raise UsageError(f"--limits: expected NAME=VALUE with a name of {names}, found {text!r}")
        try:
            values[known[name]] = parse_file_size(number)
        except ValueError:
            raise UsageError(f"--limits: {number!r} is not a number; write 20000000, 20M or 2G") from None
    return Limits(**values)


def parse_ladder(text: str) -> tuple[float, ...]:
    """Parse distinct bits per pixel from `0.03,0.06,0.12`, keeping their order."""
    rungs = []
    for word in text.split(","):
        if not _PLAIN_NUMBER.fullmatch(word.strip()) or not 0 < float(word) < math.inf:
            raise ValueError(f"{text!r} is not a ladder of bits per pixel; write for example 0.03,0.06,0.12")
        rungs.append(float(word))
    if len({rung_path("", one) for one in rungs}) < len(rungs):
        raise ValueError(f"the ladder {text} repeats a number")
    return tuple(rungs)


def rung_path(output: str, bpp: float) -> str:
    """Path of a rung: `out-0.06bpp.inrv` for `out.inrv`; `%v` in a name stands for the bits per pixel."""
    text = f"{bpp:.6f}".rstrip("0").rstrip(".")
    folder, name = os.path.split(output)
    if "%v" in name:
        return os.path.join(folder, name.replace("%v", text))
    stem, ending = os.path.splitext(output)
    return f"{stem}-{text}bpp{ending}"


def duration_text(seconds: float) -> str:
    """Format seconds for display: `4.2 s`, `42 s`, `3 min 05 s`, `1 h 30 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
