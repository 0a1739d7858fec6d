"""The process around a command: closed and full streams, signals, encodings, folders that cannot be read."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import CARPHONE, GOLDEN, SMALL, environment, only_line

from inrcodec.cli.main import run

pytestmark = pytest.mark.end_to_end

FILE = GOLDEN / "nerv.inrv"
QUICK = [*SMALL, "--model", "hnerv"]
LONG = ["encode", CARPHONE, *QUICK, "--epochs", "90000", "--checkpoint", "0.1s"]
"""Options of an encode that lasts until it is stopped."""
RESULTS = [["info", FILE], ["info", FILE, "--json"], ["--help"], ["decode", FILE, "-o", "-"]]
"""Commands whose result goes to standard output."""


def redirected(redirections: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run `inrc` from a shell with these redirections; otherwise stdout and stderr are captured."""
    command = shlex.join([sys.executable, "-m", "inrcodec", *map(str, arguments)])
    script = f"exec {command} {redirections}"
    return subprocess.run(["sh", "-c", script], capture_output=True, cwd=cwd, env=environment(), timeout=120)


@pytest.mark.parametrize("closed", [">&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_an_encode_needs_no_stream(tmp_path: Path, closed: str) -> None:
    done = redirected(closed, "encode", CARPHONE, "-o", "a.inrv", "-v", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"" and b"NoneType" not in done.stderr
    # No file of the process was opened in the place of a stream, and then written to.
    assert os.listdir(tmp_path) == ["a.inrv"]
    assert run(["verify", str(tmp_path / "a.inrv")]) == 0


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_result_needs_no_display(tmp_path: Path, closed: str) -> None:
    done = redirected(closed, "decode", FILE, "-o", "-", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(b"YUV4MPEG2 ") and done.stdout.count(b"FRAME\n") == 3


@pytest.mark.parametrize("command", RESULTS)
def test_a_result_that_is_lost_is_an_error(tmp_path: Path, command: list[str | Path]) -> None:
    for lost, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        done = redirected(lost, *command, cwd=tmp_path)
        assert done.returncode == 1
        assert only_line(done.stderr) == f"inrc: error: cannot write standard output: {reason}\n"


@pytest.mark.parametrize("command", RESULTS)
def test_a_reader_of_results_may_leave_early(command: list[str | Path]) -> None:
    # The pipe is closed before anything is read.
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "inrcodec", *map(str, command)]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, env=environment(), timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_encode_goes_on_when_the_reader_of_its_display_leaves(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "inrcodec", "encode", CARPHONE, "-o", "a.inrv", *QUICK, "--json"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None and process.stderr is not None
    assert b"3 frames of 32x24" in process.stderr.readline()
    process.stderr.close()
    result = json.loads(process.stdout.read())
    process.stdout.close()
    assert process.wait(60) == 0
    assert result["file_bytes"] == (tmp_path / "a.inrv").stat().st_size
    assert os.listdir(tmp_path) == ["a.inrv"]


def test_another_pipe_that_breaks_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def broken(*arguments: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    capfdbinary.readouterr()
    monkeypatch.setattr("inrcodec.decoder.info.inspect", broken)
    assert run(["info", str(FILE)]) == 1
    assert "Broken pipe" in only_line(capfdbinary.readouterr().err)


def test_an_encode_that_ignores_hangups_goes_on(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "inrcodec", *LONG, "-o", str(tmp_path / "a.inrv")]
    # As `nohup` does.
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {shlex.join(words)}"], stderr=subprocess.PIPE, env=environment()
    )
    try:
        checkpoint = tmp_path / "a.inrv.resume" / "segment-0.fit"
        while not checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        checkpoint.unlink()
        while not checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 143
    assert said.splitlines()[-1].startswith("inrc: error: terminated; the same command resumes it: inrc")
    assert os.listdir(tmp_path) == ["a.inrv.resume"]


ASCII = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]


@pytest.mark.parametrize("variables", ASCII)
def test_names_that_a_stream_cannot_show_are_escaped(tmp_path: Path, variables: dict[str, str]) -> None:
    name = "\N{GREEK SMALL LETTER ALPHA}.inrv"
    shutil.copy(FILE, tmp_path / name)
    for command in (
        ["info", name],
        ["decode", name, "-o", f"{name}.y4m"],
        ["eval", name, name, "--metric", "psnr"],
        ["info", f"no {name}"],
    ):
        words = [sys.executable, "-m", "inrcodec", *command]
        done = subprocess.run(
            words, capture_output=True, cwd=tmp_path, env=environment(**variables), timeout=60
        )
        assert done.returncode == (2 if "no " in command[1] else 0), done.stderr
        assert done.stdout.isascii() and done.stderr.isascii()
        assert b"Traceback" not in done.stderr and b"UnicodeEncodeError" not in done.stderr


@pytest.mark.parametrize("variables", ASCII)
def test_the_bar_of_an_ascii_terminal(tmp_path: Path, variables: dict[str, str]) -> None:
    reading, terminal = pty.openpty()
    source = tmp_path / "\N{GREEK SMALL LETTER ALPHA}.mp4"
    shutil.copy(CARPHONE, source)
    words = [sys.executable, "-m", "inrcodec", "encode", str(source), "-o", str(tmp_path / "a.inrv"), *QUICK]
    process = subprocess.Popen(
        words, stdout=terminal, stderr=terminal, env=environment(TERM="xterm", **variables)
    )
    os.close(terminal)
    drawn = b""
    try:
        while data := os.read(reading, 1 << 16):
            drawn += data
    except OSError:
        pass  # The other end was closed.
    os.close(reading)
    assert process.wait(60) == 0, drawn
    assert drawn.isascii() and b"3 frames of 32x24" in drawn and b"100%" in drawn


def test_a_working_directory_that_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    for command in (
        ["info", FILE],
        ["encode", CARPHONE, "-o", tmp_path / "a.inrv"],
        ["export", FILE, "-o", "x"],
    ):
        words = shlex.join([sys.executable, "-m", "inrcodec", *map(str, command)])
        done = subprocess.run(
            ["sh", "-c", f"mkdir -p {folder}; cd {folder} && rmdir {folder} && exec {words}"],
            capture_output=True,
            env=environment(),
            timeout=60,
        )
        assert done.returncode == 2
        assert "the working directory no longer exists" in only_line(done.stderr)


def without_privileges() -> list[str]:
    """Words before a command that make permissions count for root; skips the test if there are none."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("permissions do not restrict root here")
    return words


UNREADABLE = [
    ["info", "locked"],
    ["encode", "locked", "-o", "a.inrv"],
    ["encode", "locked/a.mp4", "-o", "a.inrv"],
    ["encode", CARPHONE, "-o", "locked/a.inrv"],
    ["encode", CARPHONE, "-o", "locked/new/"],
    ["decode", FILE, "-o", "locked/a.mp4"],
    ["decode", FILE, "-o", "locked/"],
    ["export", FILE, "-o", "locked", "-y"],
    ["eval", "locked/a.mp4", FILE],
]


def test_an_unreadable_folder_is_one_line(tmp_path: Path) -> None:
    before = without_privileges()
    (tmp_path / "locked").mkdir(mode=0)
    for command in UNREADABLE:
        words = [*before, sys.executable, "-m", "inrcodec", *map(str, command)]
        done = subprocess.run(words, capture_output=True, cwd=tmp_path, env=environment(), timeout=60)
        assert done.returncode in (1, 2), command
        line = only_line(done.stderr)
        assert "locked" in line and "Permission denied" in line and "unexpected" not in line, line
        assert os.listdir(tmp_path) == ["locked"]
    (tmp_path / "locked").chmod(0o700)
