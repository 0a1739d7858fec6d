"""The command line: exit codes, streams, files, and which libraries it does not import."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import CARPHONE, GOLDEN, SMALL, environment, inrc, only_line

from bitstream import Limits
from inrcodec.cli.main import run
from inrcodec.errors import UsageError
from inrcodec.models.registry import FAMILIES
from inrcodec.system.deadline import Deadline
from inrcodec.video import VideoProperties, open_writer

pytestmark = pytest.mark.end_to_end

GOLDEN_FILES = sorted(map(str, GOLDEN.glob("*.inrv")))
"""Files of every family."""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a very small `.inrv` file."""
    path = tmp_path_factory.mktemp("encoded") / "small.inrv"
    assert run(["encode", CARPHONE, "-o", str(path), "-q", *SMALL]) == 0
    return path


def test_encode_says_what_it_does_and_keeps_stdout_for_json(tmp_path: Path) -> None:
    done = inrc("encode", CARPHONE, "-o", tmp_path / "a.inrv", "--json", *SMALL)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["file_bytes"] == (tmp_path / "a.inrv").stat().st_size
    assert (result["width"], result["height"], result["frames"]) == (32, 24, 3)
    text = done.stderr.decode()
    assert "3 frames of 32x24 -> at most 1,152 bytes (4.0000 bpp)" in text
    assert "inrc with" in text
    assert "on cpu" in text
    assert "\r" not in text
    assert "\x1b" not in text
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_quiet_is_quiet(encoded: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["decode", str(encoded), "-o", str(tmp_path / "a.mp4"), "-q"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m", "shots", "%05d.png"])
def test_decode_writes_every_target(encoded: Path, tmp_path: Path, name: str) -> None:
    assert run(["decode", str(encoded), "-o", str(tmp_path / name), "-q"]) == 0
    assert not [entry for entry in os.listdir(tmp_path) if entry.startswith(".")]
    if name.startswith("a."):
        with av.open(str(tmp_path / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 3
    else:
        assert len(list(tmp_path.rglob("*.png"))) == 3


def test_decode_to_stdout_is_only_y4m(encoded: Path) -> None:
    done = inrc("decode", encoded, "-o", "-", "--frames", "1:3")
    assert done.returncode == 0
    header, _, rest = done.stdout.partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 W32 H24 F30000:1001 ")
    assert len(rest) == 2 * (len(b"FRAME\n") + 3 * 32 * 24)
    assert done.stderr.startswith(b"standard output: 2 frames")


def test_a_closed_pipe_ends_quietly(encoded: Path) -> None:
    # The pipe is closed before anything is read, and its buffer is smaller than the frames.
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "inrcodec", "decode", str(encoded), "-o", "-", "-q"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment(), timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_info_json(encoded: Path) -> None:
    done = inrc("info", encoded, "--json")
    report = json.loads(done.stdout)
    expected = {"file_bytes", "format_version", "family", "seed", "width", "height", "frames", "fps", "bpp"}
    assert expected | {"psnr_db", "segments"} <= report.keys()
    assert done.stderr == b""
    assert report["file_bytes"] == encoded.stat().st_size
    sections = report["segments"][0]["sections"]
    assert {"name", "role", "shape", "coder", "bits"} <= sections[0].keys()
    bits = sum(section["bits"] for section in sections)
    bits += report["segments"][0]["overhead_bits"] + report["container_bits"]
    assert bits == 8 * report["file_bytes"]


def test_info_detail_adds_up(encoded: Path) -> None:
    done = inrc("info", encoded, "--detail", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    report = json.loads(done.stdout)
    detail, (segment,) = report["detail"], report["segments"]
    kinds, bits = detail["kinds"], 8 * encoded.stat().st_size
    assert sum(kinds.values()) == pytest.approx(bits)
    # Beside headers, other bits are two quantisation steps, six classes of block sizes, and at most a percent
    # for the coder's state.
    headers = segment["overhead_bits"] + report["container_bits"] + 2 * 32 + 6 * 8
    assert 0 <= kinds["other"] - headers <= bits / 100
    assert [level["frames"] for level in detail["levels"]] == [1, 1, 1]
    for kind, field in (("motion", "motion_bits"), ("flags", "flag_bits"), ("latents", "latent_bits")):
        assert sum(level[field] for level in detail["levels"]) == pytest.approx(kinds[kind])
    assert json.loads(inrc("info", encoded, "--json").stdout) == {**report, "detail": None}


def test_info_detail_is_one_more_table(encoded: Path) -> None:
    plain, more = (inrc("info", encoded, *option).stdout.decode() for option in ([], ["--detail"]))
    assert more.startswith(plain)
    table = more.removeprefix(plain)
    assert all(word in table for word in ("0 first frame", "1 anchors", "entropy models", "100.0 %"))


@pytest.mark.parametrize("file", [one for one in GOLDEN_FILES if not Path(one).name.startswith("inrc")])
def test_info_detail_of_other_families_is_what_they_have(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", file]) == 0
    plain = capsys.readouterr().out
    assert run(["info", file, "--detail"]) == 0
    assert capsys.readouterr().out == plain


def test_info_is_a_table_that_adds_up(encoded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(encoded)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert f"{8 * encoded.stat().st_size:,}" in text
    assert "100.0 %" in text


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], "torch av numpy rich bitstream"),
        (["--version"], "torch av numpy rich bitstream"),
        (["info"], "torch av numpy constriction"),
        (["info", "--json"], "torch av numpy constriction"),
        (["verify"], "torch av"),
    ],
)
def test_light_commands_do_not_wait_for_what_they_do_not_need(arguments: list[str], unneeded: str) -> None:
    assert GOLDEN_FILES
    calls = [arguments] if arguments[0].startswith("-") else [[*arguments, file] for file in GOLDEN_FILES]
    script = (
        "import json, sys; from inrcodec.cli.main import run; unneeded, calls = sys.argv[1:];"
        "codes = [run(arguments) for arguments in json.loads(calls)];"
        "sys.exit(any(codes) or ' '.join(set(unneeded.split()) & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", script, unneeded, json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("command", ["verify", "info"])
def test_a_name_that_is_no_text_is_shown(encoded: Path, tmp_path: Path, command: str) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.inrv")
    path.write_bytes(encoded.read_bytes())
    done = inrc(command, path, "-v")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "caf\N{REPLACEMENT CHARACTER}.inrv: " in done.stdout.decode()


def test_verify_finds_every_damage(encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(encoded)]) == 0
    assert "intact" in capsys.readouterr().out
    whole = encoded.read_bytes()
    damaged = tmp_path / "damaged.inrv"
    for position in range(0, len(whole), 37):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        assert run(["verify", str(damaged)]) == 4, position
        damaged.write_bytes(whole[:position])
        assert run(["verify", str(damaged)]) == 4, position
    capsys.readouterr()


def write_inputs(folder: Path) -> None:
    """Write inputs that `encode` refuses, and an output that exists already."""
    (folder / "text.txt").write_text("no video\n" * 20)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "there.inrv").write_bytes(b"earlier")
    (folder / "empty-folder").mkdir()
    with av.open(str(folder / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(folder / "deep.mkv"), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p10le"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(video.encode(picture.reformat(format="yuv420p10le")))
        container.mux(video.encode(None))
    tiny = VideoProperties(17, 13, 2, Fraction(25), Fraction(1, 25))
    with open_writer(str(folder / "tiny.mp4"), tiny) as writer:
        for _ in range(2):
            writer.write(np.zeros((13, 17, 3), np.uint8))


FAILURES = [
    (1, ["encode", "text.txt", "-o", "a.inrv"], "text.txt is not a video"),
    (1, ["encode", "empty.mp4", "-o", "a.inrv"], "empty.mp4 is not a video"),
    (1, ["encode", "sound.m4a", "-o", "a.inrv"], "only audio"),
    (2, ["encode", "deep.mkv", "-o", "a.inrv", "--bit-depth", "12"], "'12' is not one of '8', '10'"),
    (1, ["encode", CARPHONE, "-o", "a.inrv", "--frames", "900:"], "no frames in 900:"),
    (2, ["encode", "missing.mp4", "-o", "a.inrv"], "missing.mp4 does not exist"),
    (2, ["encode", "missing%03d.png", "-o", "a.inrv"], "no file matches"),
    (2, ["encode", "empty-folder", "-o", "a.inrv"], "without images"),
    (2, ["encode", CARPHONE, "-o", "there.inrv"], "exists already"),
    (2, ["encode", CARPHONE, "-o", "missing/a.inrv"], "missing does not exist"),
    (2, ["encode", "tiny.mp4", "-o", "tiny.mp4", "-y"], "is the input itself"),
    (
        2,
        ["encode", CARPHONE, "-o", "out.mp4"],
        "out.mp4: encode writes .inrv files; write -o out.inrv (`inrc dec",
    ),
    (2, ["encode", CARPHONE, "-o", "tiny.mp4", "-y"], "write -o tiny.inrv"),
    (2, ["encode", CARPHONE, "-o", "out"], "write -o out.inrv (out/ is a folder)"),
    (2, ["encode", CARPHONE, "-o", "v1.2/out.x"], "write -o v1.2/out.inrv"),
    (2, ["encode", CARPHONE, "-o", "out.mkv", "--ladder", "1,2"], "write -o out.inrv"),
    (2, ["encode", CARPHONE, "-o", "out.mkv", "--psnr", "30"], "write -o out.inrv"),
    (2, ["encode", CARPHONE], "Missing option '-o'"),
    (2, ["encode", CARPHONE, "-o", "-"], "not to standard output"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--bpp", "0.1", "--size", "8k"], "--bpp and --size exclude"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--time", "3m", "--epochs", "2"], "--time and --epochs exclude"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--size", "8q"], "'8q' is not a file size"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--bpp", "0"], "--bpp"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--model-option", "width"], "key=value"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--model", "nonsense"], "nonsense"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "--crop", "999x9"], "larger than the frames (176x144)"),
    (2, ["encode", CARPHONE, "-o", "a.inrv", "-q", "-v"], "-q and -v exclude"),
    (3, ["encode", "tiny.mp4", "-o", "a.inrv", "--bpp", "0.06"], ""),
    (
        4,
        ["decode", "text.txt", "-o", "a.mp4"],
        "text.txt is not an .inrv file (it looks like text) [BadMagic]",
    ),
    (4, ["decode", "empty.mp4", "-o", "a.mp4"], "empty.mp4 is not an .inrv file (it is empty)"),
    (4, ["decode", "tiny.mp4", "-o", "a.mp4"], "tiny.mp4 is not an .inrv file (it looks like MP4)"),
    (4, ["decode", "deep.mkv", "-o", "a.mp4", "--skip-damaged"], "(it looks like Matroska (MKV))"),
    (4, ["info", "tiny.mp4"], "error: tiny.mp4 is not an .inrv file (it looks like MP4)"),
    (4, ["verify", "tiny.mp4"], "error: tiny.mp4 is not an .inrv file (it looks like MP4)"),
    (4, ["export", "tiny.mp4", "-o", "x"], "error: tiny.mp4 is not an .inrv file (it looks like MP4)"),
    (4, ["report", "tiny.mp4", "text.txt", "-o", "a.html"], "text.txt is not an .inrv file"),
    (4, ["encode", "tiny.mp4", "-o", "a.inrv", "--resume-from", "tiny.mp4"], "tiny.mp4 is not an .inrv file"),
    (2, ["info", "missing.inrv"], "does not exist"),
    (2, ["info", "empty-folder"], "is a folder"),
    (2, ["decode", "missing.inrv", "-o", "a.mp4"], "does not exist"),
    (2, ["decode", "there.inrv", "-o", "a.avi"], "cannot write .avi"),
    (2, ["decode", "there.inrv", "-o", "-", "--json"], "both want standard output"),
    (2, ["bogus"], "No such command 'bogus'"),
]


@pytest.mark.parametrize(("code", "arguments", "message"), FAILURES)
def test_failures_are_one_line_and_one_code(
    tmp_path: Path,
    code: int,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    write_inputs(tmp_path)
    before = sorted(os.listdir(tmp_path))
    capfdbinary.readouterr()
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert message in only_line(captured.err)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "there.inrv").read_bytes() == b"earlier"


def test_standard_input_of_another_kind_is_recognised() -> None:
    command = [sys.executable, "-m", "inrcodec", "info", "-"]
    begin = Path(CARPHONE).read_bytes()[:1000]
    done = subprocess.run(command, input=begin, capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 4
    assert "standard input is not an .inrv file (it looks like MP4)" in only_line(done.stderr)


def test_codes_of_a_real_process(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    for code, arguments in [
        (0, ["--help"]),
        (1, ["encode", "text.txt", "-o", "a.inrv"]),
        (2, ["encode", "missing.mp4", "-o", "a.inrv"]),
        (3, ["encode", "tiny.mp4", "-o", "a.inrv"]),
        (4, ["info", "text.txt"]),
    ]:
        assert inrc(*arguments, cwd=tmp_path).returncode == code
    assert not (tmp_path / "a.inrv").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_encode_says_how_to_resume(tmp_path: Path, number: signal.Signals, code: int) -> None:
    arguments = ["encode", CARPHONE, "-o", str(tmp_path / "a.inrv"), "--epochs", "90000", *SMALL[:-4]]
    arguments += ["--checkpoint", "0.1s", "--model", "hnerv"]
    process = subprocess.Popen(
        [sys.executable, "-m", "inrcodec", *arguments, "--device", "cpu"],
        stderr=subprocess.PIPE,
        env=environment(),
        # Under nohup, which ignores hang-ups, the encode would go on.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert process.stderr is not None
    try:
        assert b"3 frames of 32x24" in process.stderr.readline()
        assert b"hnerv with" in process.stderr.readline()
        while not (tmp_path / "a.inrv.resume").exists():
            time.sleep(0.01)
        process.send_signal(number)
        said = process.stderr.read().decode()
        assert process.wait(30) == code
    finally:
        process.kill()
        process.stderr.close()
    assert said.splitlines()[-1].startswith("inrc: error: ")
    assert said.splitlines()[-1].endswith(f"inrc {shlex.join([*arguments, '--device', 'cpu'])}")
    assert "Traceback" not in said
    assert os.listdir(tmp_path) == ["a.inrv.resume"]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A full file system; skips the test without the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here (needs root)")
    (folder / "filler").write_bytes(b"x" * 8192)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(encoded: Path, full_disk: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    for arguments in (
        ["encode", CARPHONE, "-o", str(full_disk / "a.inrv"), "-q", *SMALL],
        ["decode", str(encoded), "-o", str(full_disk / "a.mp4"), "-q"],
    ):
        assert run(arguments) == 1
        assert "No space left on device" in only_line(capfdbinary.readouterr().err)
        assert os.listdir(full_disk) == ["filler"]


def test_an_unexpected_error_shows_its_place_with_v_only(
    encoded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: str, skip_damaged: bool, limits: Limits, detail: bool) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("inrcodec.decoder.info.inspect", broken)
    assert run(["info", str(encoded)]) == 1
    assert capsys.readouterr().err == "inrc: error: unexpected RuntimeError: a bug (-v shows where)\n"


class OutOfMemoryError(RuntimeError):
    """Has the name of torch's error, by which it is recognised."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA: tried to allocate"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_memory_that_runs_out_is_one_line(
    encoded: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def greedy(path: str, skip_damaged: bool, limits: Limits, detail: bool) -> None:
        raise error

    capfdbinary.readouterr()
    monkeypatch.setattr("inrcodec.decoder.info.inspect", greedy)
    assert run(["info", str(encoded)]) == 1
    assert "error: out of memory: use fewer frames" in only_line(capfdbinary.readouterr().err)


def test_the_time_of_an_encode_counts_from_the_start_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Deadline] = []

    def encode(source: str, output: str, settings: object, progress: object, deadline: Deadline) -> None:
        seen.append(deadline)
        raise UsageError("enough")

    monkeypatch.setattr("inrcodec.encoder.encode.encode", encode)
    arguments = ["encode", CARPHONE, "-o", str(tmp_path / "a.inrv"), "--time", "5s", "-q"]
    before = time.monotonic()
    assert run(arguments) == run(arguments, started=1.5) == 2
    assert before <= seen[0].started <= time.monotonic()
    assert [one.seconds for one in seen] == [5, 5]
    assert seen[1].started == 1.5


def test_a_bare_command_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: inrc")


def test_models_lists_every_family_without_torch() -> None:
    script = (
        "import sys; from inrcodec.cli.main import run; code = run(['models']);"
        "sys.exit(code or bool({'torch', 'av'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [family.name for family in FAMILIES]
    assert all(len(line) <= 110 for line in done.stdout.splitlines())
