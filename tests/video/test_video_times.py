"""When frames are shown: rates and timestamps of real files, and how long the last frame lasts."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from hypothesis import given
from hypothesis import strategies as st
from video_samples import Notes, gradient, write_video

from benchmarks.inputs import makers as make
from bitstream import Chapter, Extras, Track
from bitstream.timestamps import duration, frame_time
from inrcodec.errors import NotAVideo, UsageError
from inrcodec.progress import Silent
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.text import counted
from inrcodec.video import cut_extras, open_writer, read_clip, read_extras, timeline
from inrcodec.video.demuxer import open_input
from inrcodec.video.mending import mended, on_grid
from inrcodec.video.output_clock import OutputClock
from inrcodec.video.properties import VideoProperties, Window
from inrcodec.video.timestamps import Timing, frame_shown_at, selected_properties, timing_of

ALL = SourceSettings()
MILLISECONDS = Fraction(1, 1000)
SECOND = VideoProperties(16, 16, 25, Fraction(25), MILLISECONDS)
NTSC = Fraction(30000, 1001)
RATES = (NTSC, Fraction(24000, 1001), Fraction(60000, 1001), Fraction(12), Fraction(15), Fraction(120))


def timing(stamps: list[int | None], unit: Fraction, rate: Fraction, notes: Notes | None = None) -> Timing:
    return timing_of(stamps, None, unit, [rate], notes or Silent())


gaps = st.lists(st.integers(1, 400), min_size=4, max_size=40)


@given(gaps, st.data())
def test_one_wrong_timestamp_leaves_the_others_exact(steps: list[int], data: st.DataObject) -> None:
    right = [*accumulate(steps, initial=0)]
    wrong = data.draw(st.integers(1, len(right) - 2))
    stamps: list[int | None] = [*right]
    # Between its neighbours it would be no fault.
    stamps[wrong] = data.draw(st.integers(-50, right[wrong - 1]) | st.integers(right[wrong + 1], 9999))
    found = mended(stamps, Fraction(40))
    assert found is not None and found.missing == 0
    assert all(later > early for early, later in pairwise(found.times))
    times = [Fraction(time, found.per_unit) for time in found.times]
    changed = [index for index, stamp in enumerate(stamps) if times[index] != stamp]
    assert len(changed) <= 1 == found.moved
    if stamps[wrong] == right[wrong - 1]:
        assert times[wrong] - right[wrong - 1] == Fraction(1, found.per_unit)


@given(st.lists(st.none() | st.integers(-100, 100), min_size=2, max_size=30), st.integers(1, 50))
def test_mended_timestamps_rise_and_keep_the_longest_run(stamps: list[int | None], period: int) -> None:
    found = mended(stamps, Fraction(period))
    known = [stamp for stamp in stamps if stamp is not None]
    longest = max((len(run) for run in _rising_runs(known)), default=0)
    if found is None:
        backward = sum(late < max(known[:index]) for index, late in enumerate(known) if index)
        assert 2 * longest < len(known) or not known or 4 * backward > len(known)
        return
    assert found.moved == len(known) - longest
    assert found.missing == len(stamps) - len(known)
    assert len(found.times) == len(stamps)
    assert all(later > early for early, later in pairwise(found.times))
    same = sum(
        stamp is not None and stamp * found.per_unit == time
        for stamp, time in zip(stamps, found.times, strict=True)
    )
    assert same >= longest


def _rising_runs(stamps: list[int]) -> list[list[int]]:
    """The longest rising run that ends at each timestamp, by trying all that may precede it."""
    best: list[list[int]] = []
    for index, stamp in enumerate(stamps):
        before = [run for run in best[:index] if run[-1] < stamp]
        best.append([*max(before, key=len, default=[]), stamp])
    return best


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 20, 20, 60], (0, 20, 21, 60)),
        ([0, 20, 20, 20, 20, 60], (0, 20, 21, 22, 23, 60)),
        ([0, 40, 80, 60, 160], (0, 40, 80, 81, 160)),
        ([0, 40, 900, 120, 160], (0, 40, 119, 120, 160)),
        ([0, 40, None, None, 160, None], (0, 40, 80, 120, 160, 200)),
        ([None, None, 90, 140], (0, 40, 80, 130)),
        ([0, 40, 90, 90], (0, 40, 90, 91)),
        # Most timestamps are each those of several frames, which are spread evenly.
        ([0, 0, 0, 120, 120, 120, 240], (0, 40, 80, 120, 160, 200, 240)),
        ([7, 7, 87, 87, 147, 147], (0, 40, 80, 110, 140, 170)),
        ([0, 0, 80, 80, None, 200, 200, 200], (0, 40, 80, 120, 160, 200, 240, 280)),
        ([0, 0, 1, 1, 2], (0, 1, 2, 3, 4)),
        # There is no room for a unit: the unit is halved.
        ([0, 1, 1, 2, 3], (0, 2, 3, 4, 6)),
    ],
)
def test_timestamps_are_mended(stamps: list[int | None], expected: tuple[int, ...]) -> None:
    found = mended(stamps, Fraction(40))
    assert found is not None
    assert tuple(time - found.times[0] for time in found.times) == expected


def test_mending_is_noted_once_for_each_kind(notes: Notes) -> None:
    found = timing([0, 20, 20, None, 90, 300], MILLISECONDS, Fraction(25), notes)
    assert found.timestamps == (0, 20, 21, 66, 90, 300)
    assert notes.lines == [
        "1 of 6 timestamps repeat or go back and is moved, the others are kept",
        "1 of 6 frames have no timestamp: they are spread evenly",
    ]


def test_times_that_begin_again_are_not_squeezed_into_single_units(notes: Notes) -> None:
    again: list[int | None] = [*range(0, 400, 41), *range(0, 400, 41)]
    assert timing(again, MILLISECONDS, Fraction(25), notes).timestamps is None
    assert "a constant 25 fps replaces them" in notes.lines[0]


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(2, 9)), min_size=2, max_size=20), st.integers(1, 100)
)
def test_frames_that_share_a_timestamp_are_spread_until_the_next_one(
    runs: list[tuple[int, int]], period: int
) -> None:
    begins = [*accumulate((gap for gap, _ in runs), initial=0)]
    counts = [count for _, count in runs]
    stamps = [begin for begin, count in zip(begins, counts, strict=False) for _ in range(count)]
    found = mended([*stamps, begins[-1]], Fraction(period))
    assert found is not None and found.moved == len(stamps) - len(runs)
    place = 0
    for (gap, count), begin in zip(runs, begins, strict=False):
        for index in range(count):
            exact = begin + Fraction(gap * index, count)
            assert 0 <= exact - Fraction(found.times[place], found.per_unit) < 1
            place += 1


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("unit", [MILLISECONDS, Fraction(1, 90000)])
def test_frames_that_share_timestamps_have_a_constant_rate(notes: Notes, count: int, unit: Fraction) -> None:
    step = round(Fraction(1, 25) / unit)
    stamps: list[int | None] = [index // count * count * step for index in range(49)]
    found = timing(stamps, unit, 1 / unit, notes)
    assert (found.start, found.frame_rate, found.timestamps) == (0, 25, None)
    moved = 49 - len(set(stamps))
    assert notes.lines == [f"{moved} of 49 timestamps repeat or go back and are moved, the others are kept"]


@pytest.mark.parametrize(("stated", "taken"), [(1000, 25), (3, 25), (30, 30), (20, 20)])
def test_a_constant_rate_that_the_times_deny_does_not_replace_them(
    notes: Notes, stated: int, taken: int
) -> None:
    stamps: list[int | None] = [0] * 20 + [40 * index for index in range(20, 26)]
    found = timing(stamps, MILLISECONDS, Fraction(stated), notes)
    assert (found.frame_rate, found.timestamps) == (taken, None)
    assert f"a constant {taken} fps replaces them" in notes.lines[0]


def test_times_without_any_order_are_replaced(notes: Notes) -> None:
    assert timing([90, 60, 30, 0], MILLISECONDS, Fraction(25), notes).timestamps is None
    assert "a constant 25 fps replaces them" in notes.lines[0]


@given(
    st.sampled_from(RATES),
    st.sampled_from((MILLISECONDS, Fraction(1, 600), Fraction(1, 90000))),
    st.fractions(0, 1),
    st.integers(2, 200),
)
def test_rounding_to_a_fine_unit_keeps_the_rate_constant(
    rate: Fraction, unit: Fraction, phase: Fraction, count: int
) -> None:
    stamps: list[int | None] = [int(index / (rate * unit) + phase) for index in range(count)]
    found = timing(stamps, unit, rate)
    assert (found.timestamps, found.frame_rate) == (None, rate)


@given(gaps, st.sampled_from((Fraction(1, 10), Fraction(1, 25), Fraction(1, 100), MILLISECONDS)), st.data())
def test_times_of_a_table_are_exact_and_those_without_one_are_regular(
    steps: list[int], unit: Fraction, data: st.DataObject
) -> None:
    steps = data.draw(st.sampled_from((steps, [1 + step % 2 for step in steps])))
    stamps: list[int | None] = [*accumulate(steps, initial=0)]
    mean = Fraction(len(steps), sum(steps)) / unit
    found = timing(stamps, unit, mean)
    slack = 0 if unit > Fraction(1, 500) else 2 * unit
    for index, stamp in enumerate(stamps):
        assert stamp is not None
        if found.timestamps is None:
            assert abs(index / found.frame_rate - stamp * unit) <= slack
        else:
            assert found.timestamps[index] * found.time_base == stamp * unit


def test_nanoseconds_that_a_file_cannot_count_are_rounded_not_thrown_away(notes: Notes) -> None:
    stamps: list[int | None] = [0, 5_000_000_001, 10_000_000_000, 16_000_000_000]
    found = timing(stamps, Fraction(1, 10**9), Fraction(25), notes)
    assert found.timestamps is not None and notes.lines == []
    for stamp, time in zip(stamps, found.timestamps, strict=True):
        assert stamp is not None
        assert abs(time * found.time_base - Fraction(stamp, 10**9)) <= Fraction(4, 10**9)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize(
    ("unit", "times"),
    [
        (Fraction(1, 10**9), (0, 5 * 10**9, 10 * 10**9, 16 * 10**9)),
        (Fraction(1, 10**9), (0, 1, 2, 5 * 10**9)),
        (Fraction(1, 2**31 - 1), (0, 2**30, 2**31, 2**33)),
        (MILLISECONDS, (0, 1000, 3 * 10**9, 3 * 10**9 + 1000)),
        (Fraction(7, 3), (0, 1, 3, 4)),
    ],
)
def test_every_container_takes_every_unit(
    tmp_path: Path, suffix: str, unit: Fraction, times: tuple[int, ...]
) -> None:
    last = times[-1] - times[-2]
    rate = (3 / (times[-1] * unit)).limit_denominator(2**31 - 1)
    properties = VideoProperties(16, 16, 4, rate, unit, timestamps=times, last_duration=last)
    with open_writer(str(tmp_path / f"a.{suffix}"), properties) as writer:
        for frame in gradient(16, 16, 4):
            writer.write(frame)
    with av.open(str(tmp_path / f"a.{suffix}")) as container:
        frames = list(container.decode(video=0))
    rounding = MILLISECONDS if suffix in ("mkv", "webm") else Fraction(1, 400_000)
    rounding = max(rounding, Fraction(1, 100)) if times[-1] * unit > 10**6 else rounding
    for frame, time in zip(frames, times, strict=True):
        assert frame.pts is not None and frame.time_base is not None
        assert abs(frame.pts * frame.time_base - time * unit) <= rounding


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=8), st.sampled_from((1, 90_000, 10**9)))
def test_the_times_of_an_output_rise(steps: list[int], scale: int) -> None:
    times = tuple(accumulate(steps, initial=0))
    properties = VideoProperties(2, 2, len(times), Fraction(1), Fraction(1, scale), timestamps=times)
    try:
        clock = OutputClock(properties)
    except OverflowError:
        assert max(steps) / scale > 2**30
        return
    written = [clock.timestamp(index) for index in range(len(times))]
    assert all(1 <= later - early <= 2**30 + 1 for early, later in pairwise(written))


RAW = {
    "h264": ("libx264", "yuv420p", {}),
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "m2v": ("mpeg2video", "yuv420p", {}),
    "m1v": ("mpeg1video", "yuv420p", {}),
}


@pytest.mark.parametrize("count", [20, 2000])
@pytest.mark.parametrize("rate", RATES[:3])
def test_an_flv_has_the_rate_whose_decimal_it_states(
    tmp_path: Path, notes: Notes, rate: Fraction, count: int
) -> None:
    make.video(tmp_path / "a.flv", codec="flv", rate=rate, count=count)
    read = read_clip(str(tmp_path / "a.flv"), ALL, notes).properties
    assert (read.frame_rate, read.timestamps, notes.lines) == (rate, None, [])


def test_the_first_rate_with_regular_times_is_taken() -> None:
    stamps = [0, 40, 80, 120]
    assert timing_of(stamps, None, MILLISECONDS, [NTSC, Fraction(25), Fraction(50)], Silent()) == Timing(
        Fraction(0), Fraction(25), MILLISECONDS
    )


@pytest.mark.parametrize("rate", [Fraction(50), Fraction(24000, 1001)])
@pytest.mark.parametrize("suffix", RAW)
def test_a_raw_stream_has_the_rate_that_it_states(
    tmp_path: Path, suffix: str, rate: Fraction, notes: Notes
) -> None:
    codec, pixels, options = RAW[suffix]
    path = write_video(tmp_path / f"a.{suffix}", gradient(64, 64, 10), codec, pixels, rate, options=options)
    read = read_clip(str(path), ALL, notes).properties
    assert (read.frame_rate, read.timestamps, duration(read)) == (rate, None, 10 / rate)
    assert notes.lines == []


def test_the_rate_of_a_raw_stream_that_states_none_is_assumed_with_a_note(
    tmp_path: Path, notes: Notes
) -> None:
    path = write_video(tmp_path / "a.mjpeg", gradient(32, 32, 5), "mjpeg", "yuvj420p", Fraction(50))
    assert read_clip(str(path), ALL, notes).properties.frame_rate == 25
    assert notes.lines == ["nothing states the frame rate; 25 fps is assumed"]


def held(folder: Path, name: str = "a.mkv", **made: Any) -> Path:
    make.video(folder / name, stamps=(0, 1000, 3000), lasts=5000, count=3, **made)
    return folder / name


def test_the_last_frame_is_shown_as_long_as_the_source_shows_it(tmp_path: Path) -> None:
    read = read_clip(str(held(tmp_path)), ALL).properties
    assert (read.last_duration, duration(read)) == (5000, 8)
    assert frame_shown_at(read, Fraction(79999, 10000)) == 2
    with pytest.raises(UsageError, match="the video runs from 0 to 8 s"):
        frame_shown_at(read, 8)


def test_the_end_of_a_selection_is_where_the_next_frame_begins(tmp_path: Path) -> None:
    path = str(held(tmp_path))
    first = read_clip(path, SourceSettings(frames=FrameRange(0, 2)))
    assert (first.properties.timestamps, duration(first.properties), first.window.stop) == (None, 3, 3)
    assert first.properties.last_duration == 2000
    rest = read_clip(path, SourceSettings(frames=FrameRange(1, 3)))
    assert (duration(rest.properties), rest.window.start, rest.window.stop) == (7, 1, None)
    thinned = read_clip(path, SourceSettings(every=2)).properties
    assert duration(thinned) == 8


def test_a_part_of_a_decoded_video_ends_where_the_next_frame_begins() -> None:
    timed = VideoProperties(
        16, 16, 4, Fraction(4), MILLISECONDS, timestamps=(0, 40, 300, 310), last_duration=90
    )
    assert selected_properties(timed, range(0, 2), 1).last_duration == 260
    assert selected_properties(timed, range(1, 4), 1).last_duration == 90
    doubled = selected_properties(timed, range(4), 2)
    assert (doubled.frame_count, duration(doubled)) == (7, duration(timed))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
@pytest.mark.parametrize("times", [None, (0, 40, 300, 310)])
def test_an_output_holds_its_last_frame(tmp_path: Path, codec: str, times: tuple[int, ...] | None) -> None:
    properties = VideoProperties(64, 64, 4, NTSC, MILLISECONDS, timestamps=times, last_duration=2500)
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"a.{suffix}"
        with open_writer(str(path), properties, codec) as writer:
            for frame in gradient(64, 64, 4):
                writer.write(frame)
        with av.open(str(path)) as container:
            assert container.duration is not None
            assert abs(Fraction(container.duration, av.time_base) - duration(properties)) <= 2 * MILLISECONDS
        kept = read_clip(str(path), ALL).properties
        assert abs(duration(kept) - duration(properties)) <= 2 * MILLISECONDS


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("times", [None, (0, 40, 300, 310)])
@pytest.mark.parametrize("last", [1 << 31, 1 << 40, (1 << 60) - 1])
def test_a_last_frame_of_months_leaves_the_times_of_the_others(
    tmp_path: Path, notes: Notes, suffix: str, times: tuple[int, ...] | None, last: int
) -> None:
    """The file is intact, so it is written; a unit that could hold such a time would be a second."""
    rate, path = Fraction(25), tmp_path / f"a.{suffix}"
    properties = VideoProperties(64, 64, 4, rate, MILLISECONDS, timestamps=times, last_duration=last)
    with open_writer(str(path), properties, progress=notes) as writer:
        for frame in gradient(64, 64, 4):
            writer.write(frame)
    assert notes.lines == [f"the duration of the last frame is lost: {path} cannot store it"]
    kept = read_clip(str(path), ALL).properties
    for index in range(4):
        expected = frame_time(properties, index)
        assert abs(frame_time(kept, index) - expected) <= MILLISECONDS


def test_what_cannot_hold_the_last_frame_is_noted(tmp_path: Path, notes: Notes) -> None:
    properties = VideoProperties(16, 16, 1, Fraction(25), MILLISECONDS, last_duration=2500)
    with open_writer(str(tmp_path / "a.y4m"), properties, progress=notes) as writer:
        writer.write(gradient(16, 16)[0])
    assert len(notes.lines) == 1 and "the duration of the last frame is lost" in notes.lines[0]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.ts", "mpeg2video", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
    ],
)
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_file_that_is_cut_off_is_said(
    tmp_path: Path, notes: Notes, name: str, codec: str, pixels: str, share: float
) -> None:
    path = write_video(tmp_path / name, gradient(96, 64, 75), codec, pixels)
    whole = path.read_bytes()
    read_clip(str(path), ALL, notes)
    assert notes.lines == []
    path.write_bytes(whole[: int(share * len(whole)) | 1])
    found = len(read_clip(str(path), ALL, notes).frames)
    assert found < 75
    of = "" if name in ("a.ts", "a.flv") else " of about 75"
    assert f"the input is cut off: {found}{of} frames can be decoded" in notes.lines


def live_recording(path: Path, has_lengths: bool) -> list[int]:
    """Write a live .mkv, whose clusters state lengths only if it `has_lengths`; return where they begin."""
    live = io.BytesIO()
    options = {"live": "1", "cluster_time_limit": "150"}
    with av.open(live, "w", format="matroska", options=options) as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        for pixels in gradient(48, 32, 10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    data, begins = bytearray(live.getvalue()), []
    while (at := data.find(b"\x1f\x43\xb6\x75", begins[-1] + 1 if begins else 0)) >= 0:
        begins.append(at)
        digits = 9 - data[at + 4].bit_length()
        if not has_lengths:
            data[at + 4 : at + 4 + digits] = ((1 << 7 * digits + 1) - 1).to_bytes(digits, "big")
    path.write_bytes(data)
    return begins


@pytest.mark.parametrize("has_lengths", [True, False])
def test_a_live_recording_is_cut_off_within_its_last_element_only(
    tmp_path: Path, notes: Notes, has_lengths: bool
) -> None:
    path = tmp_path / "a.mkv"
    begins = live_recording(path, has_lengths)
    data = path.read_bytes()
    assert len(read_clip(str(path), ALL, notes).frames) == 10
    path.write_bytes(data[: begins[-1]])
    assert 1 < len(read_clip(str(path), ALL, notes).frames) < 10
    assert notes.lines == []
    for end in (begins[-1] - 9, begins[-1] + 5, len(data) - 3):
        path.write_bytes(data[:end])
        found = len(read_clip(str(path), ALL, notes).frames)
        assert f"the input is cut off: {found} frames can be decoded" in notes.lines
        notes.lines.clear()


def test_a_file_that_is_cut_off_before_its_first_frame_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.avi", "mpeg4", 10)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 8])
    with pytest.raises(NotAVideo, match="none of its frames can be decoded; the file is cut off"):
        read_clip(str(path), ALL)


PARTS = {
    "ts": {"codec": "mpeg2video", "sound": "mp2"},
    "vob": {"codec": "mpeg2video", "sound": "mp2"},
    "m2ts": {"codec": "libx264", "sound": "aac"},
    "flv": {"codec": "libx264", "sound": "aac"},
}


@pytest.mark.parametrize("begins", [(0, 0), (0, 3600), (3600, 0), (7, 0, 7200, 3)])
@pytest.mark.parametrize("suffix", PARTS)
def test_parts_of_a_file_follow_one_another_and_stay_in_step(
    tmp_path: Path, notes: Notes, suffix: str, begins: tuple[int, ...]
) -> None:
    path, parts = tmp_path / f"a.{suffix}", len(begins)
    made: dict[str, Any] = {**PARTS[suffix], "count": 50}
    make.video(path, **made)
    one = read_clip(str(path), ALL)
    (sound,) = read_extras(str(path), ALL, one.window, notes).tracks
    make.joined(path, begins, **made)
    joined = read_clip(str(path), ALL, notes)
    (track,) = read_extras(str(path), ALL, joined.window, notes).tracks
    assert notes.lines == [
        f"times begin again or jump {counted(parts - 1, 'time')}: the parts follow one another"
    ]
    assert (joined.properties.timestamps, joined.properties.frame_rate) == (None, 25)
    assert len(joined.frames) == 50 * parts and len(track.packets) == parts * len(sound.packets)
    assert all(later.dts > early.dts for early, later in pairwise(track.packets))
    for part in range(parts):
        shift = round(2 * part / track.info.time_base)
        found = track.packets[part * len(sound.packets) :][: len(sound.packets)]
        errors = [after.pts - shift - before.pts for before, after in zip(sound.packets, found, strict=True)]
        # Only sound that the last part still covers is moved.
        assert errors[8:] == [0] * len(errors[8:])
        assert 0 <= max(errors) * track.info.time_base <= Fraction(1, 10)


@pytest.mark.parametrize(("suffix", "passes"), [("mp4", 0), ("ts", 1)])
def test_parts_are_looked_for_once_and_again_in_a_changed_file(
    tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch, suffix: str, passes: int
) -> None:
    path, opened = tmp_path / f"a.{suffix}", []

    def counted(name: str) -> InputContainer:
        opened.append(name)
        return open_input(name)

    monkeypatch.setattr(timeline, "open_input", counted)
    made: dict[str, Any] = {"codec": "mpeg2video", "sound": "mp2", "count": 25}
    make.video(path, **made)
    for _ in range(2):
        read_extras(str(path), ALL, read_clip(str(path), ALL, notes).window, notes)
    assert (len(opened), notes.lines) == (passes, [])
    if suffix == "ts":
        make.joined(path, (0, 0), **made)
        assert len(read_clip(str(path), ALL, notes).frames) == 50
        assert len(notes.lines) == 1


def test_sound_that_pauses_is_no_new_part(tmp_path: Path, notes: Notes) -> None:
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        film: Any = container.add_stream("mpeg2video", rate=25)
        film.width, film.height, film.pix_fmt = 48, 32, "yuv420p"
        tone: Any = container.add_stream("mp2", rate=48000, layout="stereo")
        silence = np.zeros((1, 2 * 1152), np.int16)
        for index in range(500):
            picture = av.VideoFrame.from_ndarray(gradient(48, 32)[0], format="rgb24")
            picture = picture.reformat(format="yuv420p")
            picture.pts = index
            container.mux(film.encode(picture))
            if index < 25 or index > 400:
                frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
                frame.sample_rate, frame.pts = 48000, 1920 * index
                container.mux(tone.encode(frame))
        container.mux(film.encode(None))
        container.mux(tone.encode(None))
    read = read_clip(str(path), ALL, notes)
    assert notes.lines == [] and duration(read.properties) == 20
    (track,) = read_extras(str(path), ALL, read.window, notes).tracks
    assert track.packets[-1].pts * track.info.time_base > 19


@pytest.mark.parametrize("lead", [Fraction(0), Fraction(1, 2), Fraction(-1, 2)])
@pytest.mark.parametrize("suffix", ["mkv", "webm", "mp4", "mov"])
def test_chapters_stay_with_their_frames(tmp_path: Path, notes: Notes, suffix: str, lead: Fraction) -> None:
    source = tmp_path / "source.webm"
    make.video(source, codec="libvpx", sound="libopus", count=25)
    (sound,) = read_extras(str(source), ALL, read_clip(str(source), ALL).window, notes).tracks
    ticks = round(lead / sound.info.time_base)
    packets = tuple(one._replace(pts=one.pts - ticks, dts=one.dts - ticks) for one in sound.packets)
    chapters = (
        Chapter(MILLISECONDS, -round(1000 * max(lead, 0)), 400, {}),
        Chapter(MILLISECONDS, 400, 800, {}),
    )
    extras = Extras((Track(sound.info, packets),), chapters)
    with open_writer(str(tmp_path / f"a.{suffix}"), SECOND, extras=extras, progress=notes) as writer:
        for frame in gradient(16, 16, 25):
            writer.write(frame)
    with av.open(str(tmp_path / f"a.{suffix}")) as container:
        first = next(container.decode(video=0))
        assert first.pts is not None and first.time_base is not None
        begin = first.pts * first.time_base
        starts = [one["start"] * one["time_base"] - begin for one in container.chapters()]
    assert abs(starts[1] - Fraction(2, 5)) <= MILLISECONDS
    is_heard = suffix in ("mkv", "webm")
    assert abs(starts[0] + (max(lead, 0) if is_heard else 0)) <= MILLISECONDS


def test_a_chapter_that_begins_with_sound_before_the_video_is_kept_whole(tmp_path: Path) -> None:
    chapter = Chapter(MILLISECONDS, 0, 1500, {})
    (kept,) = cut_extras(Extras(chapters=(chapter,)), Window(Fraction(1, 2))).chapters
    assert (kept.start, kept.end) == (-500, 1000)
    (cut,) = cut_extras(Extras(chapters=(chapter,)), Window(Fraction(1, 2), begins_inside=True)).chapters
    assert (cut.start, cut.end) == (0, 1000)


def noisy(path: Path, codec: str, count: int = 75, **options: str) -> Path:
    """Write frames that take many bytes."""
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for seed in range(count):
            pixels = np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_times_that_ffmpeg_guesses_wrongly_do_not_make_a_program_stream_irregular(
    tmp_path: Path, notes: Notes
) -> None:
    path = noisy(tmp_path / "a.vob", "mpeg2video")
    with av.open(str(path)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert any(later - early != 3600 for early, later in pairwise(stamps) if early is not None and later)
    read = read_clip(str(path), ALL, notes).properties
    assert (read.frame_rate, read.timestamps, notes.lines) == (25, None, [])


@given(
    st.lists(st.integers(0, 5), min_size=5, max_size=60), st.sampled_from((Fraction(3600), 1 / NTSC * 90000))
)
def test_most_of_the_times_decide_whether_guesses_are_regular(shifts: list[int], period: Fraction) -> None:
    stamps: list[int | None] = [round(index * period) + 3600 * shift for index, shift in enumerate(shifts)]
    found = on_grid(stamps, period)
    usual = max(set(shifts), key=shifts.count)
    if 2 * shifts.count(usual) > len(shifts):
        assert [stamp is not None for stamp in found] == [shift == usual for shift in shifts]
    elif 2 * max(map(shifts.count, shifts)) <= len(shifts):
        assert found == stamps


def test_a_fragmented_file_says_that_it_is_cut_off_and_no_number_of_frames(
    tmp_path: Path, notes: Notes
) -> None:
    path = noisy(tmp_path / "a.mp4", "libx264", movflags="frag_keyframe+dash", frag_duration="400000")
    read = read_clip(str(path), ALL, notes).properties
    assert (duration(read), read.last_duration, notes.lines) == (3, None, [])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    found = len(read_clip(str(path), ALL, notes).frames)
    assert found < 75 and f"the input is cut off: {found} frames can be decoded" in notes.lines


def test_a_file_that_is_cut_off_before_its_index_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.mp4", "libx264", 10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(NotAVideo, match="is not a video: it is cut off before the index"):
        read_clip(str(path), ALL)


@pytest.mark.parametrize("seconds", [15, 60])
def test_pictures_that_stand_for_long_are_no_new_parts(tmp_path: Path, notes: Notes, seconds: int) -> None:
    path = tmp_path / "a.ts"
    unit = Fraction(1, 90000)
    stamps = [seconds * 90000 * index for index in range(5)]
    make.video(path, stamps=stamps, unit=unit, options={"bf": "0"})
    read = read_clip(str(path), ALL, notes).properties
    assert notes.lines == []
    assert read.frame_rate == Fraction(1, seconds) and read.timestamps is None


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.gif", "gif", "rgb8"), ("a.apng", "apng", "rgb24")])
def test_animated_pictures_that_are_cut_off_are_said(
    tmp_path: Path, notes: Notes, name: str, codec: str, pixels: str
) -> None:
    make.video(tmp_path / name, codec=codec, pixel_format=pixels, count=12, rate=10)
    data = (tmp_path / name).read_bytes()
    for more in (b"", b"\r\n"):
        (tmp_path / name).write_bytes(data + more)
        assert len(read_clip(str(tmp_path / name), ALL, notes).frames) == 12
    assert notes.lines == []
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    found = len(read_clip(str(tmp_path / name), ALL, notes).frames)
    assert 1 < found < 12 and f"the input is cut off: {found} frames can be decoded" in notes.lines
