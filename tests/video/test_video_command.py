"""Audio and timestamps through the real command line: encode, info, verify, decode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import av
import pytest
from command_line import environment
from track_samples import stored_packets, write_film
from video_samples import gradient, write_video

from bitstream import load
from inrcodec.cli.main import run

pytestmark = pytest.mark.end_to_end

TINY = ["--model", "hnerv", "--epochs", "1", "--bpp", "4", "--device", "cpu", "-q"]
RANGE = ["--frames", "10:45"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "a.mkv", subtitles="subrip", delay=1.6)


@pytest.fixture(scope="module")
def encoded(film: Path) -> Path:
    """An `.inrv` file of frames 10 to 44 of the film."""
    output = film.with_suffix(".inrv")
    assert run(["encode", str(film), "-o", str(output), *RANGE, *TINY]) == 0
    return output


def test_the_target_counts_the_video_and_not_the_sound(
    film: Path, encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tmp_path / "silent.inrv"
    assert run(["encode", str(film), "-o", str(silent), "--no-audio", "--json", *RANGE, *TINY]) == 0
    result = json.loads(capsys.readouterr().out)
    loud, mute = load(encoded.read_bytes()), load(silent.read_bytes())
    assert loud.segments == mute.segments and loud.header == mute.header
    assert len(loud.extras.tracks) == 2 and mute.extras.tracks == ()
    assert mute.extras.tags == {"title": "Film"} and len(mute.extras.chapters) == 2
    video_bytes = result["file_bytes"] - result["extras_bytes"]
    assert result["file_bytes"] == silent.stat().st_size
    assert 0.97 * result["target_bytes"] <= video_bytes <= result["target_bytes"]
    assert result["bpp"] == pytest.approx(8 * video_bytes / (35 * 32 * 16))


def test_encode_says_what_the_sound_takes(film: Path, tmp_path: Path) -> None:
    command = ["encode", str(film), "-o", "a.inrv", "--frames", "0:3", *TINY[:-1]]
    done = subprocess.run(
        [sys.executable, "-m", "inrcodec", *command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert b"bytes of audio, subtitles and metadata" in done.stderr and b"note" not in done.stderr


def test_info_has_a_row_for_each_track_and_adds_up(encoded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(encoded)]) == 0
    text = capsys.readouterr().out
    assert "audio aac deu stereo 48000 Hz" in text
    assert "subtitle subrip fra" in text and "chapters and tags" in text
    assert f"{8 * encoded.stat().st_size:,}" in text
    assert run(["info", str(encoded), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [track["codec"] for track in report["tracks"]] == ["aac", "subrip"]
    segment = report["segments"][0]
    bits = sum(section["bits"] for section in segment["sections"]) + segment["overhead_bits"]
    assert bits + report["container_bits"] + 8 * report["extras_bytes"] == 8 * report["file_bytes"]
    assert report["bpp"] == pytest.approx(
        8 * (report["file_bytes"] - report["extras_bytes"]) / (35 * 32 * 16)
    )


def test_info_and_verify_of_sound_load_neither_torch_nor_av(encoded: Path) -> None:
    script = (
        "import sys; from inrcodec.cli.main import run; codes = [run([word, sys.argv[1]]) for word in"
        " ('info', 'verify')]; sys.exit(any(codes) or bool({'torch', 'av'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(encoded)], env=environment(), capture_output=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_decode_muxes_the_packets_of_its_frames_in_step(
    film: Path, encoded: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"a.{suffix}"
    assert run(["decode", str(encoded), "-o", str(output), "--frames", "5:30", "--device", "cpu", "-q"]) == 0
    start = 1.6 + 15 / 25
    source = stored_packets(film, "audio")
    before = {packet.data: packet.seconds for packet in source}
    # Packets of silence are identical, those of the tone are not.
    counts = Counter(packet.data for packet in source)
    loud = [packet for packet in stored_packets(output, "audio") if counts[packet.data] == 1]
    assert len(loud) > 10
    for packet in loud:
        assert packet.seconds == pytest.approx(before[packet.data] - start, abs=0.0025)
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).pts == 0
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert titles == ["One", "Two"] and container.metadata["title"] == "Film"
        assert len(container.streams.subtitles) == (suffix == "mkv")


def test_a_damaged_track_is_an_error_and_info_still_reads_the_others(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(encoded.read_bytes())
    data[data.index(b"trak") + 200] ^= 1
    damaged = tmp_path / "a.inrv"
    damaged.write_bytes(data)
    assert run(["verify", str(damaged)]) == 4
    assert run(["decode", str(damaged), "-o", str(tmp_path / "a.mp4"), "-q"]) == 4
    assert os.listdir(tmp_path) == ["a.inrv"]
    assert "block trak" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_irregular_timestamps_survive(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = [0, 40, 300, 310, 900, 933, 2000]
    source = write_video(tmp_path / "a.mkv", gradient(32, 16, len(stamps)), timestamps=stamps)
    coded, output = tmp_path / "a.inrv", tmp_path / f"b.{suffix}"
    assert run(["encode", str(source), "-o", str(coded), "--json", *TINY]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0.97 * result["target_bytes"] <= coded.stat().st_size <= result["target_bytes"]
    assert run(["info", str(coded)]) == 0
    assert "(irregular)" in capsys.readouterr().out
    assert run(["decode", str(coded), "-o", str(output), "--frames", "1:6", "--device", "cpu"]) == 0
    assert "note" not in capsys.readouterr().err
    with av.open(str(output)) as container:
        times = [1000 * frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [stamp - 40 for stamp in stamps[1:6]]
    assert run(["decode", str(coded), "-o", str(tmp_path / "b.y4m"), "--device", "cpu"]) == 0
    assert "timestamps are irregular" in capsys.readouterr().err


def test_a_stream_that_is_not_there_is_a_usage_error(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["encode", str(film), "-o", str(tmp_path / "a.inrv"), "--stream", "1", *TINY]) == 2
    assert "has 1 video stream, numbered from 0" in capsys.readouterr().err


def test_a_film_in_segments_has_the_sound_of_one_network(
    film: Path, encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.inrv"
    assert run(["encode", str(film), "-o", str(output), "--segment", "12", "--json", *RANGE, *TINY]) == 0
    result = json.loads(capsys.readouterr().out)
    stream = load(output.read_bytes())
    assert [segment.frame_count for segment in stream.segments] == [12, 12, 11]
    assert stream.extras == load(encoded.read_bytes()).extras
    video_bytes = result["file_bytes"] - result["extras_bytes"]
    assert result["extras_bytes"] > 0
    assert 0.97 * result["target_bytes"] <= video_bytes <= result["target_bytes"]


def test_segments_leave_room_for_irregular_timestamps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = [40 * index + 7 * (index * index % 5) for index in range(60)]
    source = write_video(tmp_path / "a.mkv", gradient(32, 16, len(stamps)), timestamps=stamps)
    output = tmp_path / "a.inrv"
    assert run(["encode", str(source), "-o", str(output), "--segment", "20", "--json", *TINY]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["segments"] == 3
    assert 0.97 * result["target_bytes"] <= output.stat().st_size <= result["target_bytes"]
    times = load(output.read_bytes()).header.timestamps
    assert times is not None and [int(time) for time in times] == stamps


def damaged_sound(encoded: Path, target: Path) -> Path:
    data = bytearray(encoded.read_bytes())
    data[data.index(b"trak") + 200] ^= 1
    target.write_bytes(data)
    return target


def test_damaged_sound_does_not_stop_pictures(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = str(damaged_sound(encoded, tmp_path / "a.inrv"))
    assert run(["decode", damaged, "-o", str(tmp_path / "a.png"), "--at", "0.1s"]) == 0
    assert "dropped" not in capsys.readouterr().err
    assert run(["decode", damaged, "-o", str(tmp_path / "a.y4m"), "--frames", "0:2"]) == 0
    assert "audio and subtitles are dropped" in capsys.readouterr().err
    assert run(["decode", damaged, "-o", str(tmp_path / "a.mp4")]) == 4
    assert run(["decode", damaged, "-o", str(tmp_path / "b.mp4"), "--no-audio"]) == 0
    assert "dropped" not in capsys.readouterr().err


def test_decode_leaves_sound_and_subtitles_out(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mkv", "a.y4m"):
        assert run(["decode", str(encoded), "-o", str(tmp_path / name), "--no-audio", "--frames", "0:2"]) == 0
        assert "dropped" not in capsys.readouterr().err
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.metadata["title"] == "Film"


def test_only_lost_frames_are_said_to_be_frozen(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = str(damaged_sound(encoded, tmp_path / "a.inrv"))
    assert run(["decode", damaged, "-o", str(tmp_path / "a.mp4"), "--skip-damaged"]) == 4
    said = capsys.readouterr().err
    assert "an audio or subtitle track" in said and "the intact parts were decoded and written" in said
    assert "frozen" not in said
