"""Seeking, damaged and truncated files, and pipes, in the library and on the command line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from codec_samples import Frames, encode_sections, moving_gradient, random_tensors, read_frames
from command_line import environment, only_line
from track_samples import stored_packets, write_film

import bitstream
import inrcodec
from bitstream import BitstreamError, ForwardReader, Segment, StreamHeader
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect
from inrcodec.decoder.video import Video
from inrcodec.errors import OutputError, UsageError
from inrcodec.models.family import VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.layers.layout import covering_grid
from inrcodec.progress import Silent
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.notation import parse_moment
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.video import VideoProperties, open_writer, read_extras
from inrcodec.video.properties import Window
from inrcodec.video.timestamps import frame_shown_at

pytestmark = pytest.mark.end_to_end

COUNT, EACH = 50, 12
SKIP = DecodeSettings(device="cpu", precision="float32", skip_damaged=True)


def random_film(source: Path) -> bitstream.Stream:
    """Networks of random weights, one per twelve frames, with audio, chapters and tags of the source."""
    family, segments = HNeRV(), []
    for first in range(0, COUNT, EACH):
        video = VideoInfo(32, 16, min(EACH, COUNT - first))
        config = HNeRVConfig(covering_grid(32, 16, (2, 2)), embedding_channels=3, width=4)
        specs = family.tensors(config, video)
        steps = {spec.name: 0.05 for spec in specs}
        tensors = random_tensors(family, config, video, seed=first)
        values = {name: (tensor / 0.05).round().mul(0.05).numpy() for name, tensor in tensors.items()}
        sections = encode_sections(specs, values, steps)
        count = video.frame_count
        segments.append(Segment(first, count, family.wire_id, 0, family.pack(config), sections))
    header = StreamHeader(32, 16, 32, 16, COUNT, Fraction(25), Fraction(1, 12800))
    extras = read_extras(str(source), SourceSettings(), Window(), Silent())
    return bitstream.Stream(header, tuple(segments), extras=extras)


class Film:
    """Fifty frames in five segments with audio, chapters and tags."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "film.inrv"
        self.data = bitstream.dump(random_film(write_film(folder / "film.mp4")))
        self.path.write_bytes(self.data)
        with inrcodec.open(self.path, "cpu", "float32") as video:
            self.frames: Frames = video[:]
        assert np.abs(np.diff(self.frames.astype(int), axis=0)).max(axis=(1, 2, 3)).min() > 5
        self.blocks = list(bitstream.iterate_blocks(io.BytesIO(self.data)))
        self.segments = [block for block in self.blocks if block.type == b"SEGM"]

    def damaged(self, *types_or_numbers: int | bytes) -> bytes:
        """The file with one bit flipped in each of these segments or first blocks of these types."""
        data = bytearray(self.data)
        for one in types_or_numbers:
            hit = self.segments[one] if isinstance(one, int) else self.first(one)
            data[hit.offset + 30] ^= 4
        return bytes(data)

    def first(self, block_type: bytes) -> bitstream.Block:
        return next(block for block in self.blocks if block.type == block_type)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return Film(tmp_path_factory.mktemp("film"))


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def assert_close(found: Frames, expected: Frames) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


def frozen(frames: Frames, *lost: range) -> Frames:
    """The expected output for `frames` if these runs of frames are lost."""
    shown = list(range(len(frames)))
    for run_ in lost:
        stand_in = run_.stop if run_.start == 0 else run_.start - 1
        for frame in run_:
            shown[frame] = shown[stand_in] if run_.start else stand_in
    return frames[shown]


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        ([2], [range(24, 36)]),
        ([0], [range(0, 12)]),
        ([4], [range(48, 50)]),
        ([1, 2], [range(12, 36)]),
        ([0, 3], [range(0, 12), range(36, 48)]),
    ],
)
def test_lost_segments_are_frozen_frames(
    film: Film, tmp_path: Path, numbers: list[int], lost: list[range]
) -> None:
    path = write(tmp_path / "a.inrv", film.damaged(*numbers))
    expected = frozen(film.frames, *lost)
    with inrcodec.open(path, "cpu", "float32", skip_damaged=True) as video:
        assert_close(video[:], expected)
        assert [loss.frames for loss in video.losses()] == lost
        for index in (49, 0, 25, 35, 36, 12, 23):
            assert_close(video[index], expected[index])
        assert_close(np.stack(list(video)), expected)
    with open(path, "rb") as file, Video(ForwardReader(file, skip_damaged=True), "cpu", "float32") as video:
        assert_close(video[:], expected)
        assert [loss.frames for loss in video.losses()] == lost


def test_a_segment_that_only_the_network_refuses_is_lost_too(film: Film, tmp_path: Path) -> None:
    stream = bitstream.load(film.data)
    segments = list(stream.segments)
    segments[1] = replace(segments[1], config=segments[1].config + b"\0")
    sections = segments[3].sections
    segments[3] = replace(segments[3], sections=(replace(sections[0], payload=b""), *sections[1:]))
    path = write(tmp_path / "a.inrv", bitstream.dump(replace(stream, segments=tuple(segments))))
    expected = frozen(film.frames, range(12, 24), range(36, 48))
    with inrcodec.open(path, "cpu", "float32", skip_damaged=True) as video:
        assert_close(video[:], expected)
        assert [loss.what for loss in video.losses()] == ["frames 12 to 23", "frames 36 to 47"]
    with open(path, "rb") as file, Video(ForwardReader(file, skip_damaged=True), "cpu", "float32") as video:
        assert_close(video[:], expected)
    with pytest.raises(BitstreamError) as caught:
        inrcodec.decode(path, str(tmp_path / "a.y4m"), replace(SKIP, skip_damaged=False))
    assert "decodes what is intact" in caught.value.__notes__[0]


def test_between_frames_of_a_damaged_file(film: Film, tmp_path: Path) -> None:
    path = write(tmp_path / "a.inrv", film.damaged(2))
    asked = replace(SKIP, frames=FrameRange(22, 38), fps_scale=2)
    assert inrcodec.decode(path, str(tmp_path / "%d.png"), asked).frames == 31
    images = [read_frames(tmp_path / f"{44 + step}.png")[0] for step in range(31)]
    assert_close(images[0], film.frames[22])
    for step in range(2, 28):
        assert_close(images[step], film.frames[23])
    assert_close(images[28], film.frames[36])
    assert_close(images[30], film.frames[37])


def test_frames_that_are_not_lost_are_no_error(film: Film, tmp_path: Path) -> None:
    """Other segments are not read, whether or not `--skip-damaged` is given."""
    path = write(tmp_path / "a.inrv", film.damaged(0, 2, 4))
    for settings in (SKIP, replace(SKIP, skip_damaged=False)):
        asked = replace(settings, frames=FrameRange(12, 24), overwrite=True)
        assert inrcodec.decode(path, str(tmp_path / "%d.png"), asked).lost == ()
        assert_close(read_frames(tmp_path / "20.png")[0], film.frames[20])
        asked = replace(settings, at_seconds=1.5, overwrite=True)
        assert inrcodec.decode(path, str(tmp_path / "one.png"), asked).lost == ()
        assert_close(read_frames(tmp_path / "one.png")[0], film.frames[37])


def decoded(path: Path) -> tuple[list[float], int, int]:
    """Times of the frames, number of audio packets, and number of chapters of a video file."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        chapters = len(container.chapters())
    return times, len(stored_packets(path, "audio")) if has_sound(path) else 0, chapters


def has_sound(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def test_a_damaged_file_by_the_command_line(
    film: Film, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, output = write(tmp_path / "a.inrv", film.damaged(2)), tmp_path / "a.mp4"
    assert run(["decode", path, "-o", str(output)]) == 4
    assert "--skip-damaged decodes what is intact" in capfd.readouterr().err
    assert not output.exists()
    assert run(["decode", path, "-o", str(output), "--skip-damaged", "-q"]) == 4
    captured = capfd.readouterr()
    assert captured.out == ""
    lost, error = captured.err.splitlines()
    assert lost.startswith("inrc: lost: frames 24 to 35: expected CRC ")
    assert "a.inrv is damaged: the intact parts were decoded and written" in error
    times, packets, chapters = decoded(output)
    assert times == pytest.approx([frame / 25 for frame in range(COUNT)])
    assert packets == len(stored_packets(film.path.with_suffix(".mp4"), "audio"))
    assert chapters == 2
    assert run(["decode", path, "-o", str(output), "--skip-damaged", "-q", "-y", "--json"]) == 4
    assert json.loads(capfd.readouterr().out)["lost"][0].startswith("frames 24 to 35: ")


def test_sound_that_is_damaged_is_left_out(
    film: Film, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, output = write(tmp_path / "a.inrv", film.damaged(b"trak")), tmp_path / "a.mp4"
    assert run(["decode", path, "-o", str(output)]) == 4
    assert "block trak" in capfd.readouterr().err
    assert run(["decode", path, "-o", str(output), "--skip-damaged"]) == 4
    assert "inrc: lost: an audio or subtitle track: " in capfd.readouterr().err
    times, packets, chapters = decoded(output)
    assert (len(times), packets, chapters) == (COUNT, 0, 2)


def test_a_file_that_is_cut_off(film: Film, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cut = film.segments[3].offset + 40
    path, output = write(tmp_path / "a.inrv", film.data[:cut]), tmp_path / "a.mkv"
    assert run(["info", path]) == 4
    assert "the file is cut off, or damaged there (block TAIL" in (error := capfd.readouterr().err)
    assert "--skip-damaged" in error
    assert run(["decode", path, "-o", str(output), "--skip-damaged"]) == 4
    error = capfd.readouterr().err
    assert "inrc: lost: frames 36 to 49: " in error
    assert "inrc: lost: the rest of the file: audio, chapters, tags: " in error
    times, packets, _ = decoded(output)
    assert (len(times), packets) == (COUNT, 0)
    frames = read_frames(output)
    assert np.abs(frames[36:].astype(int) - frames[35]).mean() < 2
    assert run(["info", path, "--skip-damaged"]) == 4
    captured = capfd.readouterr()
    assert "frames 24 to 35: hnerv" in captured.out
    assert "36 to" not in captured.out
    assert "a.inrv is damaged: the report covers the intact parts" in captured.err
    assert run(["info", path, "--skip-damaged", "--json"]) == 4
    report = json.loads(capfd.readouterr().out)
    assert [segment["first_frame"] for segment in report["segments"]] == [0, 12, 24]
    assert [text.split(":")[0] for text in report["lost"]] == ["frames 36 to 49", "the rest of the file"]


def test_an_intact_file_has_lost_nothing(film: Film, tmp_path: Path) -> None:
    assert inrcodec.decode(str(film.path), str(tmp_path / "a.y4m"), SKIP).lost == ()
    assert run(["decode", str(film.path), "-o", str(tmp_path / "a.mp4"), "--skip-damaged", "-q"]) == 0
    assert inspect(str(film.path), skip_damaged=True) == inspect(str(film.path))


@pytest.mark.parametrize("size", [0, 10, 40, "first segment"])
def test_nothing_is_written_when_nothing_is_left(
    film: Film, tmp_path: Path, size: int | str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    end = film.segments[0].end - 1 if isinstance(size, str) else size
    path = write(tmp_path / "a.inrv", film.data[:end])
    for options in ([], ["--skip-damaged"]):
        assert run(["decode", path, "-o", str(tmp_path / "a.mp4"), *options]) == 4
        # The option is not advised, because without an intact segment it would not help.
        assert "--skip-damaged" not in only_line(capfdbinary.readouterr().err)
        assert os.listdir(tmp_path) == ["a.inrv"]
        assert run(["info", path, *options]) == 4
        only_line(capfdbinary.readouterr().err)


def piped(data: bytes, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a real `inrc` process that reads `data` from a pipe."""
    command = [sys.executable, "-m", "inrcodec", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, env=environment(), timeout=120)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_pipe_makes_the_same_file(film: Film, tmp_path: Path, suffix: str) -> None:
    source = film.path
    from_file, from_pipe = tmp_path / f"file{suffix}", tmp_path / f"pipe{suffix}"
    inrcodec.decode(str(source), str(from_file), replace(SKIP, skip_damaged=False))
    with pipe_of(film.data) as path:
        inrcodec.decode(path, str(from_pipe), replace(SKIP, skip_damaged=False))
    assert decoded(from_pipe)[1:] == decoded(from_file)[1:]
    assert decoded(from_pipe)[0] == pytest.approx(decoded(from_file)[0], abs=1e-3)
    assert np.array_equal(read_frames(from_pipe), read_frames(from_file))
    if suffix != ".webm":  # WebM cannot hold AAC.
        assert stored_packets(from_pipe, "audio") == stored_packets(from_file, "audio")
    assert sorted(os.listdir(tmp_path)) == sorted([from_file.name, from_pipe.name])


class pipe_of:
    """The path of a pipe that a thread fills."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> str:
        self._reading, writing = os.pipe()
        self._thread = threading.Thread(target=self._fill, args=(writing,))
        self._thread.start()
        return f"/dev/fd/{self._reading}"

    def _fill(self, writing: int) -> None:
        with open(writing, "wb") as file:
            try:
                file.write(self._data)
            except BrokenPipeError:
                pass

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)
        self._thread.join()


def test_standard_input(film: Film, tmp_path: Path) -> None:
    done = piped(film.data, "decode", "-", "-o", "-", "--frames", "30:40", "--precision", "float32")
    assert done.returncode == 0, done.stderr
    assert b"audio and subtitles are dropped" in done.stderr
    (tmp_path / "a.y4m").write_bytes(done.stdout)
    assert np.abs(read_frames(tmp_path / "a.y4m").astype(int) - film.frames[30:40]).max() <= 4
    cut = piped(film.data[: film.segments[2].end], "decode", "-", "-o", tmp_path / "b.y4m", "--skip-damaged")
    assert cut.returncode == 4
    assert b"lost: frames 36 to 49" in cut.stderr
    assert b"standard input is damaged" in cut.stderr
    assert len(read_frames(tmp_path / "b.y4m")) == COUNT


@pytest.mark.parametrize(
    "name", ["c.png", *(pytest.param(f"c.{end}", marks=pytest.mark.slow) for end in ("y4m", "mp4"))]
)
def test_damaged_standard_input_writes_nothing(film: Film, tmp_path: Path, name: str) -> None:
    refused = piped(film.data[:-1], "decode", "-", "-o", tmp_path / name, "--at", "0")
    assert refused.returncode == 4
    assert "--skip-damaged decodes what is intact" in refused.stderr.decode().splitlines()[-1]
    assert os.listdir(tmp_path) == []


def test_reports_of_standard_input(film: Film) -> None:
    expected = {**inspect(str(film.path)).as_dict(), "path": "-"}
    assert json.loads(piped(film.data, "info", "-", "--json").stdout) == json.loads(json.dumps(expected))
    assert piped(film.data, "verify", "-").returncode == 0
    assert piped(film.damaged(3), "verify", "-").returncode == 4
    assert b"is not an .inrv file (it is empty)" in piped(b"", "info", "-").stderr
    with film.path.open("rb") as file:
        command = [sys.executable, "-m", "inrcodec", "info", "-", "--json"]
        done = subprocess.run(command, stdin=file, capture_output=True, env=environment(), timeout=60)
    assert json.loads(done.stdout) == json.loads(json.dumps(expected))


def test_the_first_frames_do_not_wait_for_the_end(film: Film) -> None:
    """Frames of the first segment come out of a pipe before the rest of the file goes in."""
    command = [sys.executable, "-m", "inrcodec", "decode", "-", "-o", "-", "-q"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        end = film.segments[0].end
        process.stdin.write(film.data[:end])
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"YUV4MPEG2")
        frame_bytes = len(b"FRAME\n") + 3 * 32 * 16
        assert len(process.stdout.read(EACH * frame_bytes)) == EACH * frame_bytes
        rest, _ = process.communicate(film.data[end:], timeout=60)
        assert len(rest) == (COUNT - EACH) * frame_bytes
    assert process.returncode == 0


def test_a_pipe_is_read_forward(film: Film) -> None:
    with pipe_of(film.data) as path, inrcodec.open(path, "cpu", "float32") as video:
        assert_close(video[13], film.frames[13])
        assert_close(video[40:44], film.frames[40:44])
        with pytest.raises(io.UnsupportedOperation):
            video[2]


def test_a_terminal_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="standard input is a terminal or closed"):
        monkeypatch.setattr(sys, "stdin", None)
        inrcodec.open("-")


def test_moments() -> None:
    assert parse_moment("12.3") == parse_moment("12.3s") == Fraction(123, 10)
    assert parse_moment("1m2s") == parse_moment("1:02") == 62
    assert parse_moment("1h0.5s") == Fraction(7201, 2)
    assert parse_moment(" 0 ") == 0
    for text in ("", "s", "-1", "1:2:3:4", "12,3", "soon"):
        with pytest.raises(ValueError, match="write 12.3, 12.3s, 1m2s or 1:02"):
            parse_moment(text)


REGULAR = VideoProperties(32, 16, 100, Fraction(30000, 1001), Fraction(1, 30000))
IRREGULAR = VideoProperties(
    32, 16, 4, Fraction(10), Fraction(1, 1000), timestamps=(0, 100, 110, 300)
)  # fmt: skip


def test_the_frame_of_a_time() -> None:
    for index in range(100):
        time = index * Fraction(1001, 30000)
        assert frame_shown_at(REGULAR, time) == index
        assert frame_shown_at(REGULAR, float(time)) == index
        assert frame_shown_at(REGULAR, round(float(time), 6)) == index
        assert frame_shown_at(REGULAR, time + Fraction(1, 31)) == index
    quarters = replace(REGULAR, frame_rate=Fraction(25))
    assert [frame_shown_at(quarters, seconds) for seconds in (0.04, 0.12, 0.28, 0.56)] == [1, 3, 7, 14]
    moments = (0, 0.05, 0.0999, 0.1, 0.105, 0.11, 0.299, 0.3, 0.3999)
    assert [frame_shown_at(IRREGULAR, moment) for moment in moments] == [0, 0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("seconds", [-0.001, 0.4, 1e9, float("nan"), float("inf")])
def test_times_when_nothing_is_shown(seconds: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 0.4 s, its last frame begins at 0.3 s"):
        frame_shown_at(IRREGULAR, seconds)


def test_at_by_library_and_command_line(
    film: Film, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = tmp_path / "frame.png"
    assert run(["decode", str(film.path), "--at", "1.24s", "-o", str(output), "-q"]) == 0
    assert_close(read_frames(output), film.frames[31:32])
    with inrcodec.open(film.path, "cpu", "float32") as video:
        assert_close(video.frame_at(1.24), film.frames[31])
        assert_close(video.frame_at(Fraction(199, 100)), film.frames[49])
        with pytest.raises(UsageError):
            video.frame_at(2)
    for options, message in (
        (["--at", "2s"], "from 0 to 2 s"),
        (["--at", "1s", "--frames", "3:5"], "--at and --frames exclude"),
        (["--at", "1s", "--fps-scale", "2"], "--fps-scale"),
        (["--at", "soon"], "not a time"),
        (["--frames", "1:3"], "holds one picture, not 2"),
        ([], "exists already"),
    ):
        target = output if not options else tmp_path / "other.png"
        assert run(["decode", str(film.path), "-o", str(target), *options]) == 2
        assert message in only_line(capfdbinary.readouterr().err)
    assert os.listdir(tmp_path) == ["frame.png"]
    assert run(["decode", str(film.path), "--frames", "7:8", "-o", str(output), "-y", "-q"]) == 0
    assert_close(read_frames(output), film.frames[7:8])


def test_at_honours_irregular_timestamps(film: Film, tmp_path: Path) -> None:
    stream = bitstream.load(film.data)
    times = tuple(frame * 40 + (frame > 20) * 1000 for frame in range(COUNT))
    header = replace(stream.header, timestamps=times, time_base=Fraction(1, 1000))
    path = write(tmp_path / "a.inrv", bitstream.dump(replace(stream, header=header)))
    with inrcodec.open(path, "cpu", "float32") as video:
        assert_close(video.frame_at(1.5), film.frames[20])
        assert_close(video.frame_at(1.85), film.frames[21])


def test_one_picture_is_one(tmp_path: Path) -> None:
    frame = moving_gradient(32, 16, 1)[0]
    with open_writer(str(tmp_path / "a.png"), replace(REGULAR, sample_aspect_ratio=Fraction(2))) as writer:
        writer.write(frame)
        assert os.listdir(tmp_path) != ["a.png"]
    assert np.array_equal(read_frames(tmp_path / "a.png")[0], frame)
    with pytest.raises(OutputError, match="one picture only"):
        with open_writer(str(tmp_path / "b.png"), REGULAR) as writer:
            writer.write(frame)
            writer.write(frame)
    assert os.listdir(tmp_path) == ["a.png"]
