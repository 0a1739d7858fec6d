"""Outputs appear complete or not at all."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import environment

from inrcodec.errors import NotAVideo, OutputError, UsageError
from inrcodec.system.files import (
    atomic_output,
    check_output_file,
    replace_file,
    temporary_folder_beside,
)
from inrcodec.system.names import check_paths, same_file
from inrcodec.system.pipes import rereadable


def test_the_file_appears_at_the_end_with_ordinary_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with atomic_output(target) as file:
        file.write(b"content")
        assert not target.exists()
    assert target.read_bytes() == b"content"
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OutputError])
def test_an_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_output(tmp_path / "a.bin") as file:
        file.write(b"half")
        raise error
    assert os.listdir(tmp_path) == []


def test_an_exception_leaves_the_earlier_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"earlier")
    with pytest.raises(ValueError), atomic_output(target, overwrite=True) as file:
        file.write(b"half")
        raise ValueError
    assert target.read_bytes() == b"earlier"
    with atomic_output(target, overwrite=True) as file:
        file.write(b"later")
    assert target.read_bytes() == b"later"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    for target, overwrite, message in [
        (tmp_path / "there", False, "exists already"),
        (tmp_path, True, "is a folder"),
        (tmp_path / "missing" / "a", True, "does not exist"),
        (Path(os.devnull), True, "not a regular file"),
    ]:
        with pytest.raises(UsageError, match=message):
            check_output_file(target, overwrite)
        with pytest.raises(UsageError, match=message), atomic_output(target, overwrite):
            pass


def test_room_is_proved_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    check_output_file(target, overwrite=False, size_bytes=1 << 20)
    with pytest.raises(OutputError, match="cannot write .*a: "):
        check_output_file(target, overwrite=False, size_bytes=1 << 62)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    check_output_file(target, overwrite=False, size_bytes=1 << 20)
    with pytest.raises(OutputError, match="No space left on device"):
        check_output_file(target, overwrite=False, size_bytes=1 << 62)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_takes_no_files_is_found_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Patched, because permissions do not restrict root, who runs the tests in a container.
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match="cannot write .*a: Permission denied"):
        check_output_file(tmp_path / "a", overwrite=False)


def test_names_at_the_limit(tmp_path: Path) -> None:
    with atomic_output(tmp_path / ("\N{GREEK SMALL LETTER ALPHA}" * 127)) as file:
        file.write(b"content")
    for check in (check_output_file, lambda path, overwrite: atomic_output(path, overwrite).__enter__()):
        with pytest.raises(OutputError, match="File name too long"):
            check(tmp_path / ("a" * 256), False)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_output(tmp_path / "link", overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_write_error_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*a: No space left"), atomic_output(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    with pytest.raises(BrokenPipeError), atomic_output(tmp_path / "a"):
        raise BrokenPipeError
    assert os.listdir(tmp_path) == []


def test_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    assert same_file(str(tmp_path / "a"), str(tmp_path / "link"))
    assert not same_file(str(tmp_path / "a"), str(tmp_path / "b"))


HOLD = """
import sys, time
from inrcodec.system.files import atomic_output
with atomic_output(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is halfway through writing `a`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a")]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_an_output_is_of_one_process_at_a_time(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    with (
        pytest.raises(UsageError, match="a is being written by another process"),
        atomic_output(tmp_path / "a") as file,
    ):
        file.write(b"mine")
    assert (tmp_path / ".a.partial").read_bytes() == b"half"
    with atomic_output(tmp_path / "b") as file:
        file.write(b"another")


def test_what_a_killed_process_left_is_used_again(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    assert os.listdir(tmp_path) == [".a.partial"]
    with atomic_output(tmp_path / "a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"), atomic_output(tmp_path / "a") as file:
        file.write(b"late")
        (tmp_path / "a").write_bytes(b"early")
    assert (tmp_path / "a").read_bytes() == b"early"
    assert os.listdir(tmp_path) == ["a"]


def test_long_names_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    first, second = (tmp_path / ("a" * 200 + end) for end in "12")
    with atomic_output(first) as one, atomic_output(second) as two:
        one.write(b"1")
        two.write(b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


def test_a_temporary_folder_is_locked_and_emptied(tmp_path: Path) -> None:
    with temporary_folder_beside(tmp_path / "frames") as folder:
        (folder / "0.png").write_bytes(b"old")
        with pytest.raises(UsageError, match="another process"), temporary_folder_beside(tmp_path / "frames"):
            pass
    assert os.listdir(tmp_path) == []
    left = tmp_path / ".frames.partial"
    (left / "deep").mkdir(parents=True)
    (left / "1.png").write_bytes(b"of a killed process")
    with temporary_folder_beside(tmp_path / "frames") as folder:
        assert os.listdir(folder) == []


@pytest.mark.parametrize("source", ["-", "fifo"])
def test_a_pipe_is_copied_beside_the_output_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    content = os.urandom(3000)
    if source == "-":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    else:
        source = str(tmp_path / "fifo")
        os.mkfifo(source)
        threading.Thread(target=lambda: Path(source).write_bytes(content), daemon=True).start()
    with (
        pytest.raises(NotAVideo, match=f"^{'standard input' if source == '-' else source} is not a video"),
        rereadable(source, tmp_path / "a.inrv") as path,
    ):
        assert [Path(path).read_bytes() for _ in range(2)] == [content, content]
        raise NotAVideo(f"{path} is not a video")
    assert set(os.listdir(tmp_path)) <= {"fifo"}


def test_a_file_is_read_where_it_is_and_the_copy_of_a_killed_process_goes(tmp_path: Path) -> None:
    (tmp_path / ".a.inrv.source").write_bytes(b"left")
    (tmp_path / "a.mp4").write_bytes(b"video")
    with rereadable(str(tmp_path / "a.mp4"), tmp_path / "a.inrv") as path:
        assert path == str(tmp_path / "a.mp4")
        assert os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("kind", ["partial", "source"])
def test_an_input_with_the_name_of_a_temporary_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    source = tmp_path / f".a.inrv.{kind}"
    source.write_bytes(b"precious")
    with pytest.raises(UsageError, match="rename it"):
        check_paths(str(source), str(tmp_path / "a.inrv"), may_be_piped=True)
    assert source.read_bytes() == b"precious"


def test_a_rename_is_on_disk_when_the_file_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, list[str]]] = []

    def recorded(descriptor: int) -> None:
        is_folder = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        synced.append((is_folder, sorted(os.listdir(tmp_path))))

    monkeypatch.setattr(os, "fsync", recorded)
    with atomic_output(tmp_path / "a") as file:
        file.write(b"content")
    replace_file(tmp_path / "b", b"content")
    assert synced == [
        (False, [".a.partial"]),
        (True, ["a"]),
        (False, ["a", f"b.{os.getpid()}.partial"]),
        (True, ["a", "b"]),
    ]
