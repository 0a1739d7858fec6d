"""Reading: pixels match PyAV's, selections are exact, and other files are refused in one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_samples import Notes, exact_frames, gradient, plain_rgb, write_sound, write_video

from benchmarks.inputs.makers import transparent
from inrcodec.errors import NotAVideo, UsageError
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.geometry import box_average, cropped
from inrcodec.video.images import png_bytes
from inrcodec.video.properties import header_of
from inrcodec.video.timestamps import held_ratio

ALL = SourceSettings()

INPUTS = [
    ("libx264", "yuv420p", "a.mp4", 64, 48),
    ("libx264", "yuv444p", "a.mkv", 17, 13),
    ("libx264", "yuv422p", "a.mov", 30, 20),
    ("libx264rgb", "rgb24", "a.mkv", 32, 24),
    ("libx265", "yuv420p", "a.mp4", 64, 48),
    ("libvpx-vp9", "yuv420p", "a.webm", 33, 21),
    ("ffv1", "gray", "a.mkv", 19, 7),
    ("mpeg4", "yuv420p", "a.avi", 48, 32),
    ("mjpeg", "yuvj420p", "a.avi", 48, 32),
    ("wrapped_avframe", "yuv420p", "a.y4m", 16, 16),
    ("gif", "rgb8", "a.gif", 20, 10),
    ("png", "rgb24", "a.mov", 5, 3),
    ("libx264", "yuv444p", "a.mp4", 1, 1),
]


@pytest.mark.parametrize(("codec", "pixel_format", "name", "width", "height"), INPUTS)
def test_frames_are_those_of_the_exact_formula(
    tmp_path: Path, codec: str, pixel_format: str, name: str, width: int, height: int
) -> None:
    path = write_video(tmp_path / name, gradient(width, height, 4), codec, pixel_format)
    clip = read_clip(str(path), ALL)
    expected = exact_frames(path)
    assert clip.frames.shape == (len(expected), height, width, 3)
    assert clip.frames.dtype == np.uint8
    assert np.abs(clip.frames - expected).max() < 0.52
    properties = clip.properties
    assert (properties.width, properties.height, properties.frame_count) == (width, height, len(expected))
    assert properties.frame_rate == 25


@pytest.mark.parametrize("name", ["a.mp4", "images"])
@pytest.mark.parametrize(("every", "start", "stop"), [(2, 0, None), (3, 1, 9), (5, 2, None), (40, 0, None)])
def test_every_nth_frame(tmp_path: Path, name: str, every: int, start: int, stop: int | None) -> None:
    path = tmp_path / name
    if name == "images":
        path.mkdir()
        for index, pixels in enumerate(gradient(16, 12, 11)):
            (path / f"{index}.png").write_bytes(png_bytes(pixels))
        whole = gradient(16, 12, 11)
    else:
        whole = plain_rgb(write_video(path, gradient(16, 12, 11)))
    notes = Notes()
    clip = read_clip(str(path), SourceSettings(FrameRange(start, stop), every=every), notes)
    assert np.array_equal(clip.frames, whole[start:stop:every])
    assert clip.properties.frame_count == len(clip.frames)
    assert clip.properties.frame_rate == Fraction(25, every)
    assert not [line for line in notes.lines if "irregular" in line or "declares" in line]


def test_every_is_a_whole_number_from_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(16, 16, 2))
    with pytest.raises(UsageError, match="every: expected a whole number from 1, found 0"):
        read_clip(str(path), SourceSettings(every=0))
    rate = read_clip(str(path), SourceSettings(every=2**40)).properties.frame_rate
    assert rate == Fraction(1, 2**31 - 1)


def test_one_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", gradient(16, 16, 1))
    assert len(read_clip(str(path), ALL).frames) == 1


@pytest.mark.parametrize(("start", "stop", "expected"), [(0, None, 12), (3, 7, 4), (11, None, 1), (0, 1, 1)])
def test_frame_ranges(tmp_path: Path, start: int, stop: int | None, expected: int) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(32, 16, 12))
    clip = read_clip(str(path), SourceSettings(frames=FrameRange(start, stop)))
    assert len(clip.frames) == clip.properties.frame_count == expected
    assert np.array_equal(clip.frames, plain_rgb(path)[start:stop])


def test_a_range_past_the_end_is_cut_and_noted(tmp_path: Path, notes: Notes) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(16, 16, 3))
    clip = read_clip(str(path), SourceSettings(frames=FrameRange(1, 9)), notes)
    assert len(clip.frames) == 2
    assert notes.lines == ["the video ends at frame 3, before 9"]


def test_no_frames_in_range(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(16, 16, 3))
    with pytest.raises(NotAVideo, match=r"no frames in 3:"):
        read_clip(str(path), SourceSettings(frames=FrameRange(3)))


@pytest.mark.parametrize("frames", [FrameRange(4, 4), FrameRange(5, 2), FrameRange(-1)])
def test_an_empty_range_is_wrong_usage(tmp_path: Path, frames: FrameRange) -> None:
    with pytest.raises(UsageError, match="empty"):
        read_clip(str(tmp_path / "any.mp4"), SourceSettings(frames=frames))


def test_crop_then_whole_scale_is_a_box_average(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(40, 30, 2))
    clip = read_clip(str(path), SourceSettings(crop=Size(32, 16), scale=Size(8, 4)))
    cropped = plain_rgb(path)[:, 7:23, 4:36].astype(float)
    expected = np.floor(cropped.reshape(2, 4, 4, 8, 4, 3).mean(axis=(2, 4)) + 0.5)
    assert np.array_equal(clip.frames, expected)
    assert clip.properties.sample_aspect_ratio == 1


def test_another_scale_keeps_the_shape_of_the_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(40, 30, 1))
    smaller = read_clip(str(path), SourceSettings(scale=Size(30, 15)))
    assert smaller.frames.shape == (1, 15, 30, 3)
    assert smaller.properties.sample_aspect_ratio == Fraction(2, 3)
    assert read_clip(str(path), SourceSettings(scale=Size(80, 60))).frames.shape == (1, 60, 80, 3)


def test_an_aspect_ratio_of_many_digits_is_rounded(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(65535, 65534)

    path = write_video(tmp_path / "a.mp4", gradient(1920, 1080), prepare=prepare)
    clip = read_clip(str(path), SourceSettings(crop=Size(1919, 1079), scale=Size(1001, 997)))
    exact = Fraction(65535, 65534) * Fraction(1919 * 997, 1079 * 1001)
    kept = clip.properties.sample_aspect_ratio
    assert max(exact.as_integer_ratio()) > 2**32 > 2 * max(kept.as_integer_ratio())
    assert float(kept) == pytest.approx(float(exact), rel=1e-15)
    header_of(clip.properties, (1001, 997))


@pytest.mark.parametrize("exponent", [40, 70])
def test_an_extreme_ratio_is_held(exponent: int) -> None:
    largest = 2**31 - 1
    assert held_ratio(Fraction(1, 1 << exponent)) == Fraction(1, largest)
    assert held_ratio(Fraction(1 << exponent, 3)) == largest


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_more_frames_than_memory_are_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Matroska stores no number of frames, only a duration.
    path = write_video(tmp_path / name, gradient(64, 48, 50))
    frame_bytes = 64 * 48 * 3
    monkeypatch.setattr("inrcodec.video.reader.physical_memory_bytes", lambda: 20 * frame_bytes)
    with pytest.raises(UsageError, match=r"50 frames of 64x48 take .*frames .*scale") as caught:
        read_clip(str(path), ALL)
    assert "\n" not in str(caught.value)
    assert len(read_clip(str(path), SourceSettings(frames=FrameRange(10, 30))).frames) == 20
    assert len(read_clip(str(path), SourceSettings(scale=Size(32, 24))).frames) == 50


def test_box_average_rounds_halves_up() -> None:
    frame = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
    assert box_average(frame, Size(1, 1)).tolist() == [[[1, 2, 255]]]


def test_centre_crop_of_odd_margins() -> None:
    frame = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    assert np.array_equal(cropped(frame, Size(1, 2)), frame[1:3, 1:2])


def test_a_crop_larger_than_the_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gradient(16, 16))
    with pytest.raises(UsageError, match=r"crop 17x16 is larger than the frames \(16x16\)"):
        read_clip(str(path), SourceSettings(crop=Size(17, 16)))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty.mp4"),
        (b"hello\n" * 40, "text.txt"),
        (b"hello\n" * 40, "text.mp4"),
        (b"YUV4MPEG2", "cut.y4m"),
        (bytes(range(256)) * 8, "noise.bin"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "words.srt"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotAVideo, match=name) as caught:
        read_clip(str(path), ALL)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NotAVideo, match="only audio"):
        read_clip(str(write_sound(tmp_path / "a.m4a")), ALL)


def test_cut_short(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", gradient(64, 48, 20), "mjpeg", "yuvj420p").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    assert 0 < len(read_clip(str(cut), ALL).frames) < 20
    cut.write_bytes(whole[:300])
    with pytest.raises(NotAVideo):
        read_clip(str(cut), ALL)


def test_missing_inputs(tmp_path: Path) -> None:
    for name in ("missing.mp4", "missing/%03d.png", "%03d.png"):
        with pytest.raises(UsageError):
            read_clip(str(tmp_path / name), ALL)
    with pytest.raises(UsageError, match="without images"):
        read_clip(str(tmp_path), ALL)


@pytest.mark.parametrize(
    ("pixel_format", "asked", "depth", "note"),
    [
        ("yuv420p10le", None, 10, None),
        ("yuv420p10le", 8, 8, None),
        ("yuv444p12le", None, 10, "samples of 12 bits are coded with 10"),
        ("yuv444p12le", 10, 10, None),
        ("yuv420p9le", None, 10, None),
        ("yuv420p", 10, 8, "the source has 8 bits per sample, so frames are coded with 8"),
        ("yuv420p", 8, 8, None),
    ],
)
def test_deep_samples_are_kept_or_reduced(
    tmp_path: Path, notes: Notes, pixel_format: str, asked: int | None, depth: int, note: str | None
) -> None:
    path = write_video(tmp_path / "deep.mkv", gradient(32, 32, 2), "ffv1", pixel_format)
    clip = read_clip(str(path), SourceSettings(bit_depth=asked), notes)
    assert clip.properties.bit_depth == depth
    assert clip.frames.dtype == (np.uint8 if depth == 8 else np.uint16)
    assert notes.lines == ([] if note is None else [note])
    with pytest.raises(UsageError, match="8 or 10 bits"):
        read_clip(str(path), SourceSettings(bit_depth=12))


def test_alpha_and_fields_are_noted(tmp_path: Path, notes: Notes) -> None:
    frames = gradient(32, 32, 2)
    read_clip(str(write_video(tmp_path / "opaque.mov", frames, "png", "rgba")), ALL, notes)
    assert notes.lines == []
    transparent(tmp_path / "alpha.mov", "png")
    read_clip(str(tmp_path / "alpha.mov"), ALL, notes)
    fields = write_video(
        tmp_path / "fields.mkv", frames, pixel_format="yuv420p", options={"x264-params": "tff=1"}
    )
    read_clip(str(fields), ALL, notes)
    assert ["transparency" in notes.lines[0], "interlaced" in notes.lines[1]] == [True, True]


def test_irregular_timestamps_are_kept(tmp_path: Path, notes: Notes) -> None:
    frames = gradient(16, 16, 5)
    regular = write_video(tmp_path / "a.mkv", frames, rate=Fraction(30000, 1001))
    assert read_clip(str(regular), ALL, notes).properties.timestamps is None
    irregular = str(write_video(tmp_path / "b.mkv", frames, timestamps=[0, 40, 300, 310, 900]))
    properties = read_clip(irregular, ALL, notes).properties
    assert properties.timestamps == (0, 40, 300, 310, 900) and properties.time_base == Fraction(1, 1000)
    assert properties.frame_rate == Fraction(4000, 900)
    inside = read_clip(irregular, SourceSettings(frames=FrameRange(1, 4)), notes)
    assert inside.properties.timestamps == (0, 260, 270)
    assert inside.window.start == Fraction(40, 1000) and inside.window.begins_inside
    assert read_clip(irregular, SourceSettings(every=2), notes).properties.timestamps == (0, 300, 900)
    assert notes.lines == []


def test_a_constant_rate_that_the_container_does_not_declare_needs_no_table(
    tmp_path: Path, notes: Notes
) -> None:
    slow = write_video(tmp_path / "a.mkv", gradient(16, 16, 4), timestamps=[0, 90, 180, 270])
    properties = read_clip(str(slow), SourceSettings(every=3), notes).properties
    assert properties.timestamps is None and properties.frame_rate == Fraction(1000, 270)


@pytest.mark.parametrize("degrees", [90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_display_matrix_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        gradient(32, 16),
        prepare=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    # FFmpeg rotates counter-clockwise, then mirrors.
    expected = np.rot90(plain_rgb(path)[0], degrees // 90)
    if mirrored:
        expected = expected[:, ::-1]
    clip = read_clip(str(path), ALL)
    assert np.array_equal(clip.frames[0], expected)
    assert clip.properties.rotation == 0
    assert (clip.properties.width, clip.properties.height) == expected.shape[1::-1]


def test_a_turn_by_a_quarter_inverts_the_aspect_ratio(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)

    path = write_video(tmp_path / "a.mp4", gradient(32, 16), prepare=prepare)
    assert read_clip(str(path), ALL).properties.sample_aspect_ratio == Fraction(3, 4)


def test_images_in_a_folder_and_by_pattern(tmp_path: Path, notes: Notes) -> None:
    frames = gradient(12, 10, 11)
    for index, frame in enumerate(frames):
        (tmp_path / f"shot{index}.png").write_bytes(png_bytes(frame))
    (tmp_path / "notes.txt").write_text("not a picture")
    for source in (tmp_path, tmp_path / "shot%d.png"):
        clip = read_clip(str(source), ALL, notes)
        assert np.array_equal(clip.frames, frames)
        assert clip.properties.frame_rate == 25
    (tmp_path / "shot3.png").write_bytes(b"broken")
    with pytest.raises(NotAVideo, match="shot3.png"):
        read_clip(str(tmp_path), ALL)


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(png_bytes(gradient(8, 8)[0]))
    (tmp_path / "1.png").write_bytes(png_bytes(gradient(9, 8)[0]))
    with pytest.raises(NotAVideo, match="from 8x8 to 9x8 at frame 1"):
        read_clip(str(tmp_path), ALL)


def test_a_name_with_a_colon_and_a_percent(tmp_path: Path) -> None:
    written = write_video(tmp_path / "a.mp4", gradient(16, 16))
    strange = tmp_path / "http: 100% %d.mp4"
    written.rename(strange)
    assert len(read_clip(str(strange), ALL).frames) == 1
