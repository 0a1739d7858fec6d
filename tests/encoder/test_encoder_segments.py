"""Where videos are cut into segments, how bytes are shared among them, and files of several segments."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip
from hypothesis import given
from hypothesis import strategies as st

import bitstream
import inrcodec
from bitstream import Quality
from inrcodec.errors import NetworkTooLarge, TargetUnreachable, UsageError
from inrcodec.plan.budget import SharedBudget, metadata_of, stream_of
from inrcodec.plan.cuts import LARGEST_SEGMENT_BYTES, SHORTEST_SCENE, cut, difficulties, scene_starts
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange, SegmentRule, SourceSettings
from inrcodec.video import read_clip, survey_video
from inrcodec.video.properties import VideoProperties, header_of
from inrcodec.video.survey import SegmentClips, thumbnail

pytestmark = pytest.mark.end_to_end

DRAFT = EncodeSettings(model="hnerv", device="cpu", preset="draft", epochs=2)
SCENES = (20, 30, 16)


def three_scenes() -> Frames:
    """Three scenes of 64x36 with clear cuts; the second moves most."""
    first, second, third = (moving_gradient(64, 36, count) for count in SCENES)
    return np.concatenate([first, 255 - second[:, ::-1], np.roll(third, 20, axis=2) // 2])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "scenes.mp4", three_scenes())


@given(st.integers(1, 500), st.integers(1, 90), st.sampled_from(["auto", "scene", 1, 7, 100]))
def test_segments_tile_the_video(count: int, longest: int, rule: SegmentRule) -> None:
    changes = np.random.default_rng(count).exponential(8.0, count) ** 1.5
    frame_bytes = LARGEST_SEGMENT_BYTES // longest
    runs = cut(rule, count, frame_bytes, changes)
    assert [frame for run in runs for frame in run] == list(range(count))
    if isinstance(rule, int):
        assert all(len(run) == rule for run in runs[:-2])
        assert len(runs) == -(-count // rule) and max(map(len, runs)) <= rule
        assert len(runs) == 1 or 2 * min(map(len, runs)) >= rule
        if 2 * (count % rule) >= rule or count % rule == 0:
            assert all(len(run) == rule for run in runs[:-1])
    else:
        assert max(len(run) for run in runs) <= LARGEST_SEGMENT_BYTES // frame_bytes
    if rule == "auto":
        assert len(runs) == -(-count // (LARGEST_SEGMENT_BYTES // frame_bytes))
        assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_scenes_are_cut_where_they_change(scenes: Path) -> None:
    survey = survey_video(str(scenes), SourceSettings(), 1 << 30, Silent())
    runs = cut("scene", sum(SCENES), 64 * 36 * 3, survey.changes)
    assert [len(run) for run in runs] == list(SCENES)


def test_a_fast_movement_is_no_cut_and_scenes_are_not_too_short() -> None:
    assert scene_starts(np.full(100, 40.0)) == []
    flashes = np.ones(100)
    flashes[[3, 40, 45, 80, 95]] = [90, 50, 60, 70, 99]
    assert scene_starts(flashes) == [45, 80]
    assert min(np.diff([0, 45, 80, 100])) >= SHORTEST_SCENE


def test_difficulty_follows_motion_and_detail_and_leaves_nobody_without_bits() -> None:
    runs = [range(10), range(10, 20), range(20, 30)]
    spatial, temporal = np.repeat([1.0, 4.0, 0.0], 10), np.repeat([0.5, 40.0, 0.0], 10)
    temporal[[10, 20]] = 250.0
    first, second, still = difficulties(runs, spatial, temporal)
    assert first == pytest.approx(10 * 1 + 9 * 0.5)
    # Ten times as much change as detail is noise.
    assert second == pytest.approx(2 * 10 * 4)
    assert 0 < still < first
    assert difficulties([range(4), range(4, 6)], np.zeros(6), np.zeros(6))[0] > 0


def header(frame_count: int) -> bitstream.StreamHeader:
    return header_of(VideoProperties(64, 36, frame_count, Fraction(25), Fraction(1, 25)), (64, 36))


@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0.2, 5)), min_size=1, max_size=40),
    st.integers(500, 2_000_000),
    st.data(),
)
def test_a_file_of_full_segments_is_full(
    parts: list[tuple[int, float]], share: int, data: st.DataObject
) -> None:
    """This holds whatever share of its budget each segment uses."""
    stops = list(accumulate(length for length, _ in parts))
    runs = [range(stop - length, stop) for stop, (length, _) in zip(stops, parts, strict=True)]
    total = max(2, len(parts)) * share
    budget = SharedBudget(total, header(stops[-1]), runs, [difficulty for _, difficulty in parts])
    segments = []
    for number, run in enumerate(runs):
        own_bytes = data.draw(st.integers(budget.filled(number), budget.target(number)))
        own = file_of_one(run, b"")
        payload = bytes(max(0, own_bytes - len(bitstream.dump(own)) - 4))
        while len(bitstream.dump(file_of_one(run, payload))) < own_bytes:
            payload += b"0"
        segments.append(replace(file_of_one(run, payload).segments[0], first_frame=run.start))
    stream = bitstream.Stream(header(stops[-1]), tuple(segments), Quality(0.0), metadata_of(False))
    assert 0.97 * total <= len(bitstream.dump(stream)) <= total


def file_of_one(run: range, payload: bytes) -> bitstream.Stream:
    """A file with one segment of `run`."""
    segment = bitstream.Segment(0, len(run), 1, 0, b"", (bitstream.Section(0, (), payload),))
    return stream_of(header(len(run)), segment, 0.0)


def test_shares_follow_difficulty_and_one_segment_has_all() -> None:
    runs = [range(10), range(10, 20), range(20, 30)]
    budget = SharedBudget(100_000, header(30), runs, [1.0, 1.0, 2.0])
    first, second, third = (budget.target(number) for number in range(3))
    assert first == pytest.approx(second, abs=8)
    assert third == pytest.approx(2 * first, rel=0.01)
    assert SharedBudget(777, header(30), [range(30)], [3.0]).target(0) == 777


@pytest.mark.parametrize("rule", [25, "scene"])
def test_files_of_several_segments_fill_their_size(scenes: Path, tmp_path: Path, rule: SegmentRule) -> None:
    output = tmp_path / "a.inrv"
    result = inrcodec.encode(str(scenes), str(output), replace(DRAFT, segment=rule, size_bytes=12_000))
    assert result.segments == 3
    assert result.file_bytes == output.stat().st_size
    assert 0.97 * 12_000 <= result.file_bytes <= 12_000
    assert os.listdir(tmp_path) == ["a.inrv"]
    stream = bitstream.load(output.read_bytes())
    expected = SCENES if rule == "scene" else (25, 25, 16)
    assert tuple(segment.frame_count for segment in stream.segments) == expected
    source = read_frames(scenes)
    with inrcodec.open(output, "cpu") as video:
        frames = video[:]
        assert mean_psnr_db(source, frames) == pytest.approx(result.psnr_db, abs=0.05)
        for index in (65, 0, 24, 25, 49, 50, 19, 20):
            assert np.abs(video[index].astype(int) - frames[index]).max() <= 1
    assert stream.quality is not None and stream.quality.psnr_db == pytest.approx(result.psnr_db, abs=1e-3)


def test_frames_that_are_not_held_are_read_again_and_make_the_same_file(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = SourceSettings(frames=FrameRange(10, 24))
    asked = replace(DRAFT, segment=7, epochs=1, size_bytes=6000, source=part)
    inrcodec.encode(str(scenes), str(tmp_path / "held.inrv"), asked)
    monkeypatch.setattr("inrcodec.encoder.planned.LARGEST_SEGMENT_BYTES", 64 * 36 * 3)
    inrcodec.encode(str(scenes), str(tmp_path / "read.inrv"), asked)
    assert (tmp_path / "held.inrv").read_bytes() == (tmp_path / "read.inrv").read_bytes()


def test_a_second_pass_gives_the_frames_of_the_first(scenes: Path) -> None:
    source, frames = SourceSettings(every=2), read_clip(str(scenes), SourceSettings(every=2)).frames
    survey = survey_video(str(scenes), source, 0, Silent())
    assert survey.clip is None
    assert survey.properties.frame_count == len(frames) == 33
    runs = [range(10), range(10, 25), range(25, 33)]
    clips = SegmentClips(survey, str(scenes), source, runs)
    assert np.array_equal(clips.read(0).frames, frames[:10])
    assert np.array_equal(clips.read(2).frames, frames[25:])


def test_thumbnails_are_means() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (18, 48, 3), dtype=np.uint8)
    cells = frame.reshape(9, 2, 16, 3, 3).mean(axis=(1, 3))
    assert thumbnail(frame) == pytest.approx(cells)
    assert thumbnail(frame[:1, :1]).shape == (1, 1, 3)


def test_too_few_bytes_are_told_with_the_least_that_do(scenes: Path, tmp_path: Path) -> None:
    asked = replace(DRAFT, segment=25, epochs=0.1, size_bytes=900)
    with pytest.raises(TargetUnreachable, match="in 3 segments; the smallest") as caught:
        inrcodec.encode(str(scenes), str(tmp_path / "a.inrv"), asked)
    smallest = int(str(caught.value).split("size_bytes=")[1].split()[0])
    result = inrcodec.encode(str(scenes), str(tmp_path / "a.inrv"), replace(asked, size_bytes=smallest))
    assert result.file_bytes <= smallest
    with pytest.raises(UsageError, match="segment"):
        inrcodec.encode(str(scenes), str(tmp_path / "b.inrv"), replace(asked, segment=0))


def test_time_is_shared(scenes: Path, tmp_path: Path) -> None:
    asked = replace(DRAFT, segment=33, epochs=None, time_seconds=5.0, size_bytes=12_000)
    result = inrcodec.encode(str(scenes), str(tmp_path / "a.inrv"), asked)
    assert result.segments == 2
    assert result.steps >= 10


def test_a_short_rest_is_shared_with_the_segment_before() -> None:
    def lengths(count: int) -> list[int]:
        return [len(run) for run in cut(10, count, 1, np.zeros(count))]

    assert lengths(24) == [10, 7, 7]
    assert lengths(25) == [10, 10, 5]
    assert lengths(31) == [10, 10, 5, 6]
    assert lengths(11) == [5, 6]
    assert (lengths(4), lengths(10), lengths(20)) == ([4], [10], [10, 10])


def test_a_network_that_is_too_large_is_told_with_the_size_of_the_file(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise NetworkTooLarge("the masks of this supermask", 9000)

    monkeypatch.setattr("inrcodec.encoder.workers.job.code_segment", refuse)
    asked = replace(DRAFT, segment=25, size_bytes=12_000)
    with pytest.raises(NetworkTooLarge) as caught:
        inrcodec.encode(str(scenes), str(tmp_path / "a.inrv"), asked)
    # The first of three segments has more than a third of the bytes, but not all.
    assert 12_000 < caught.value.least_bytes < 3 * 9000
    assert str(caught.value).endswith(f"give size_bytes={caught.value.least_bytes}")


class Spoken(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def test_what_holds_for_every_network_is_said_once(scenes: Path, tmp_path: Path) -> None:
    asked = replace(DRAFT, segment=25, epochs=0.1, size_bytes=30_000, learning_rate=0.5)
    inrcodec.encode(str(scenes), str(tmp_path / "a.inrv"), asked, progress := Spoken())
    assert [line.split(" is")[0] for line in progress.lines] == ["the learning rate of convolutions"]
