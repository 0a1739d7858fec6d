"""Predictions: samples, the curve of x264, extrapolation, and what `inrc probe` does and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import moving_gradient, write_clip
from command_line import CARPHONE, environment, inrc, only_line
from hypothesis import given
from hypothesis import strategies as st

import inrcodec
from inrcodec.cli.main import run
from inrcodec.cli.tables import prediction_lines
from inrcodec.errors import TargetUnreachable
from inrcodec.fit.grids.shots import SHORTEST_SHOT
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import family_by_name
from inrcodec.quality.prediction import rival_curve
from inrcodec.quality.prediction.gain import GAINS_DB, Gain, bytes_range, psnr_range
from inrcodec.quality.prediction.lengths import lengths_of, seconds_range
from inrcodec.quality.prediction.rival_curve import RivalCurve, first_picture_bytes
from inrcodec.quality.prediction.samples import (
    FIT_PIXELS,
    RIVAL_PIXELS,
    SAMPLE_FRAMES,
    SAMPLES,
    sampling_of,
)
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import PRESETS
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.ordinary_codecs import encode_stream, parse_rival

RIVAL = parse_rival("x264:medium")
PART = ["--frames", "0:3", "--scale", "48x32", "--device", "cpu"]
RATE = ["--bpp", "8"]


@pytest.fixture(scope="module")
def frames() -> Any:
    source = SourceSettings(frames=FrameRange(0, 60), scale=Size(88, 72))
    return read_clip(CARPHONE, source).frames


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(64, 48, 6))


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 200_000))
def test_samples_lie_in_the_video_and_cost_little(width: int, height: int, count: int) -> None:
    made = sampling_of(VideoInfo(width, height, count), np.zeros(count))
    assert list(made.stretches) == sorted(made.stretches, key=lambda one: one.start)
    for stretch in made.stretches:
        assert 0 <= stretch.start < stretch.stop <= count
    for before, after in zip(made.stretches, made.stretches[1:], strict=False):
        assert before.stop <= after.start
    assert made.window.width <= width and made.window.height <= height
    assert made.fit_window.width <= made.window.width and made.fit_window.height <= made.window.height
    assert 1 <= len(made.fits)
    for number, sample in made.fits:
        assert 0 <= sample.start < sample.stop <= len(made.stretches[number])
        assert len(sample) == min(SAMPLE_FRAMES, len(made.stretches[0]))
    fitted = made.fit_window.width * made.fit_window.height * sum(len(one) for _, one in made.fits)
    measured = made.window.width * made.window.height * made.frame_count
    # Windows are at least one block, and have about the shape of the frame.
    assert fitted <= 2 * FIT_PIXELS or min(made.fit_window.width, made.fit_window.height) <= 16
    assert measured <= 2 * RIVAL_PIXELS or min(made.window.width, made.window.height) <= 2


def test_a_short_video_is_sampled_as_a_whole() -> None:
    made = sampling_of(VideoInfo(64, 48, 9), np.zeros(9))
    assert made.stretches == (range(9),) and made.fits == ((0, range(9)),)
    assert (made.fit_window.width, made.fit_window.height) == (64, 48)


def test_samples_have_no_cut_near_their_ends() -> None:
    changes = np.zeros(62)
    changes[10::10] = 100.0
    cuts = range(10, 62, 10)
    for _, sample in sampling_of(VideoInfo(176, 144, 62), changes).fits:
        inside = [cut for cut in cuts if sample.start < cut < sample.stop]
        assert inside and all(min(cut - sample.start, sample.stop - cut) >= SHORTEST_SHOT for cut in inside)


def test_the_keyframe_of_a_stream_is_what_a_stream_of_one_frame_begins_with(frames: Any) -> None:
    one, several = encode_stream(frames[:1], RIVAL, 28), encode_stream(frames[:9], RIVAL, 28)
    assert first_picture_bytes(one) == len(one)
    assert 0.5 * len(one) < first_picture_bytes(several) < 2 * len(one) < len(several) + len(one)


def test_the_curve_is_that_of_real_streams(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    streams: list[bytes] = []

    def kept(*settings: Any) -> bytes:
        streams.append(encode_stream(*settings))
        return streams[-1]

    monkeypatch.setattr(rival_curve, "encode_stream", kept)
    curve = RivalCurve(RIVAL, [frames[:16]], Fraction(25), 16)
    factor = 29.5
    point = curve.at(factor)
    assert [len(stream) for stream in streams] == [point.file_bytes]
    assert curve.psnr_db(point.file_bytes) == pytest.approx(point.psnr_db, abs=0.15)
    assert curve.file_bytes(point.psnr_db) == pytest.approx(point.file_bytes, rel=0.05)
    assert curve.factor_of(point.file_bytes) == pytest.approx(factor, abs=0.5)


def test_stretches_predict_the_bytes_of_the_whole(frames: Any) -> None:
    whole = len(encode_stream(frames, RIVAL, 31, Fraction(25)))
    parts = [frames[4:21], frames[34:51]]
    curve = RivalCurve(RIVAL, parts, Fraction(25), len(frames))
    guessed = curve.at(31).file_bytes
    # Without the share of keyframes it would be much too much.
    assert guessed == pytest.approx(whole, rel=0.25)
    streams = sum(len(encode_stream(part, RIVAL, 31, Fraction(25))) for part in parts)
    assert abs(guessed - whole) < abs(streams * len(frames) / 34 - whole)


def test_a_window_predicts_the_bytes_of_the_whole_frame(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # One stream for both curves: x264 rarely writes another stream for the same frames.
    stream = encode_stream(frames[:9], RIVAL, 31, Fraction(25))
    monkeypatch.setattr(rival_curve, "encode_stream", lambda *_: stream)
    whole, half = (
        RivalCurve(RIVAL, [frames[:9]], Fraction(25), len(frames), window_share=share).at(31)
        for share in (1.0, 0.5)
    )
    assert half.file_bytes == pytest.approx(2 * whole.file_bytes)
    assert half.psnr_db == whole.psnr_db


def test_a_prediction_lies_within_its_bounds_and_grows_with_the_epochs(frames: Any) -> None:
    curve, gain = RivalCurve(RIVAL, [frames[:9]], Fraction(25), 9), Gain(1.0)
    said = psnr_range(curve, gain, 50, 3000)
    assert said.low < said.expected < said.high
    wanted = bytes_range(curve, gain, 50, said.expected)
    assert wanted.expected == pytest.approx(3000, rel=1e-3)
    assert wanted.low < wanted.expected < wanted.high
    assert all(gain.of(epochs) == pytest.approx(1.0 + more) for epochs, more in GAINS_DB)
    assert gain.of(15) < gain.of(25) < gain.of(50)


def test_samples_are_spread_over_the_frame() -> None:
    made = sampling_of(VideoInfo(480, 270, 90), np.zeros(90))
    rows, columns = np.mgrid[:270, :480]
    places = np.stack([rows, columns, rows], -1)[None].repeat(90, 0)
    first = [(int(one[0, 0, 0, 0]), int(one[0, 0, 0, 1])) for one in made.samples([places])]
    assert len(set(first)) == len(made.fits) == SAMPLES
    assert len({top for top, _ in first}) > 2 and len({left for _, left in first}) > 2


def seconds_of(epochs: float) -> float:
    return 2.0 * epochs


def test_lengths_are_the_presets_and_what_was_asked_for() -> None:
    family = family_by_name("inrc")
    plain = lengths_of(family, EncodeSettings(), seconds_of)
    assert [one.name for one in plain] == [name for name in PRESETS if name != "paper"]
    assert [one.name for one in plain if one.is_asked] == ["medium"]
    timed = lengths_of(family, EncodeSettings(time_seconds=60), seconds_of)[-1]
    assert timed.is_asked and timed.epochs == pytest.approx(30, rel=1e-3)
    counted = lengths_of(family, EncodeSettings(epochs=7), seconds_of)[-1]
    assert counted.is_asked and counted.epochs == 7
    paper = lengths_of(family_by_name("hnerv"), EncodeSettings(model="hnerv", preset="paper"), seconds_of)
    assert [(one.name, one.is_asked) for one in paper] == [("paper", True)]


def test_a_search_takes_several_fits() -> None:
    (length,) = lengths_of(family_by_name("hnerv"), EncodeSettings(preset="paper"), seconds_of)
    once, searched = (seconds_range(length, seconds_of, 3.0, search) for search in (False, True))
    assert once is not None and searched is not None
    assert once.expected == 603.0 < searched.expected and searched.high > 6 * once.expected
    assert seconds_range(length, lambda epochs: None, 3.0, False) is None


def test_a_prediction_writes_nothing_and_holds(
    hurried: None, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = EncodeSettings(size_bytes=4000, preset="draft", device="cpu")
    said = inrcodec.predict(clip, settings, output="out.inrv")
    assert list(tmp_path.iterdir()) == []
    assert (said.width, said.height, said.frames, said.segments) == (64, 48, 6, 1)
    assert said.target_bytes == 4000 and said.evidence.samples == 1 and said.evidence.rival_share == 1
    asked = said.asked
    assert asked.name == "draft" and asked.psnr_db is not None and asked.file_bytes is not None
    assert asked.seconds is not None and asked.rival_bytes is not None
    made = inrcodec.encode(clip, "out.inrv", settings)
    assert asked.file_bytes.low <= made.file_bytes <= asked.file_bytes.high
    assert asked.psnr_db.low <= made.psnr_db <= asked.psnr_db.high
    assert json.loads(json.dumps(said.as_dict()))["outcomes"][0]["name"] == "draft"
    assert any("out.inrv would be written" in line for line in prediction_lines(said))


def test_a_wanted_psnr_predicts_the_bytes(hurried: None, clip: Path) -> None:
    said = inrcodec.predict(clip, psnr_db=38.0, preset="draft", device="cpu")
    lines = prediction_lines(replace(said, output="a.inrv"))
    assert "* a.inrv would be written: no size is fixed" in lines
    assert not any("at most" in line for line in lines)
    asked = said.asked
    assert said.psnr_target_db == 38.0 and asked.file_bytes is not None and asked.psnr_db is not None
    assert asked.psnr_db.low == 38.0
    assert asked.file_bytes.low < asked.file_bytes.expected < asked.file_bytes.high
    # The search ends at about these bytes, so the plan is that of such a file.
    assert said.target_bytes == pytest.approx(asked.file_bytes.expected, rel=0.05)
    more = inrcodec.predict(clip, psnr_db=42.0, preset="draft", device="cpu").asked
    assert more.file_bytes is not None and more.file_bytes.expected > asked.file_bytes.expected


def test_a_psnr_that_no_file_reaches_has_no_bytes(hurried: None, clip: Path) -> None:
    said = inrcodec.predict(clip, psnr_db=95.0, preset="draft", device="cpu")
    asked = said.asked
    assert asked.file_bytes is asked.psnr_db is asked.rival_bytes is said.rival_psnr_db is None
    assert asked.seconds is not None and said.remarks == (
        "bytes: unknown, because 95 dB are beyond x264:medium",
    )
    assert prediction_lines(said)[-1] == said.remarks[0]


def test_a_network_has_bytes_and_time_and_no_psnr(clip: Path) -> None:
    said = inrcodec.predict(clip, model="hnerv", size_bytes=4000, epochs=3, device="cpu")
    assert [one.name for one in said.outcomes] == ["draft", "fast", "medium", "slow", "3 epochs"]
    draft, fast, asked = said.outcomes[0], said.outcomes[1], said.asked
    assert asked.psnr_db is None and asked.rival_bytes is None and said.rival_psnr_db is not None
    assert draft.seconds is not None and fast.seconds is not None and asked.seconds is not None
    assert asked.seconds.expected < draft.seconds.expected < fast.seconds.expected
    assert any(remark.startswith("PSNR: unknown") for remark in said.remarks)


def test_frames_that_x264_refuses_leave_the_psnr_unknown(
    hurried: None, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.video.ordinary_codecs.Rival.is_installed", False)
    said = inrcodec.predict(clip, size_bytes=4000, device="cpu")
    assert said.asked.psnr_db is None and said.rival_psnr_db is None
    assert said.asked.file_bytes is not None and said.asked.seconds is not None
    assert any("libx264" in remark for remark in said.remarks)


def test_a_time_that_is_too_short_is_said(hurried: None, clip: Path) -> None:
    said = inrcodec.predict(clip, size_bytes=4000, time_seconds=0.01, device="cpu")
    assert said.asked.name == "0.01 s" and any("too short" in remark for remark in said.remarks)


def test_what_an_encode_refuses_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetUnreachable, match="are too few"):
        inrcodec.predict(clip, size_bytes=50)
    with pytest.raises(inrcodec.UsageError, match="exists already"):
        inrcodec.predict(clip, output=_file(tmp_path / "there.inrv"))
    with pytest.raises(inrcodec.NotAVideo):
        inrcodec.predict(_file(tmp_path / "text.mp4"))


def _file(path: Path) -> Path:
    path.write_text("no video")
    return path


@pytest.mark.end_to_end
def test_a_dry_run_prints_plan_and_prediction_and_writes_nothing(tmp_path: Path) -> None:
    done = inrc("encode", CARPHONE, "-o", "a.inrv", *PART, *RATE, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "at most 4,608 bytes" in done.stderr.decode() and "inrc with" in done.stderr.decode()
    said = done.stdout.decode()
    assert "* medium" in said and "a.inrv would be written: at most 4,608 bytes" in said
    assert list(tmp_path.iterdir()) == []


def test_probe_prints_json_for_each_rate(
    hurried: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["probe", CARPHONE, *PART, "--ladder", "8,10", "--json", "-q"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    rates = [row["target_bytes"] for row in json.loads(said.out)["files"]]
    assert rates == [bpp * 3 * 48 * 32 // 8 for bpp in (8, 10)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.end_to_end
def test_a_pipe_is_predicted_like_its_file(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inrcodec",
        "probe",
        "-",
        *PART,
        *RATE,
        "--model",
        "nerv",
        "--json",
        "-q",
    ]
    with open(CARPHONE, "rb") as pipe:
        done = subprocess.run(
            command, stdin=pipe, capture_output=True, cwd=tmp_path, env=environment(), timeout=120
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["source"], found["model"], found["frames"]) == ("-", "nerv", 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["probe", "missing.mp4"], 2, "missing.mp4 does not exist"),
        (["encode", "missing.mp4", "-o", "a.inrv", "--dry-run"], 2, "missing.mp4 does not exist"),
        (["encode", CARPHONE, "-o", "a.mp4", "--dry-run"], 2, "encode writes .inrv files"),
        (["encode", CARPHONE, "-o", "no/a.inrv", "--dry-run"], 2, "create it first"),
        (["encode", CARPHONE], 2, "Missing option '-o' / '--output'"),
        (["probe", CARPHONE, "--size", "50"], 3, "are too few"),
        (["probe", CARPHONE, "--crf", "23"], 2, "--psnr 36"),
        (["probe", "-i", CARPHONE], 2, "inrc probe"),
    ],
)
def test_errors_are_those_of_an_encode(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = inrc(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in only_line(done.stderr)
