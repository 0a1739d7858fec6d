"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from inrcodec.errors import OutputError, UsageError
from inrcodec.files import atomic_output, check_output_file, same_file


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
        (Path(os.devnull), True, "no regular file"),
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
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Not by permissions, which do not bind the root that tests run as in a container.
    monkeypatch.setattr("builtins.open", refuse)
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
