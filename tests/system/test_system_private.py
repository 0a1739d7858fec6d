"""In a shared folder, nothing that another user planted is used, read or followed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from foreign import plant

from inrcodec.errors import InrcError, OutputError, UsageError
from inrcodec.exporter.folder import check_export_folder
from inrcodec.system.files import atomic_output, check_output_file, replace_file, temporary_folder_beside
from inrcodec.system.names import resume_folder
from inrcodec.system.pipes import rereadable
from inrcodec.system.private import make_private_folder, read_own, resolved_output, secure_folder
from inrcodec.video import check_target

USERS: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    ".a.partial": atomic_output,
    ".b.partial": lambda target: temporary_folder_beside(target.with_name("b")),
}
"""The user of each temporary name, for an output named `a`."""


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that nothing may touch, in a folder of its own."""
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "precious"
    path.write_bytes(b"kept")
    return path


@pytest.mark.parametrize("name", [".a.partial", ".b.partial"])
@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "dangling link", "pipe", "hard link"])
def test_what_is_no_file_or_folder_of_ours_is_refused(
    tmp_path: Path, precious: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind.endswith("link"):
        if kind == "hard link":
            os.link(precious, path)
        else:
            path.symlink_to("missing")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(precious if kind == "link to a file" else precious.parent)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InrcError) as refused, USERS[name](tmp_path / "a"):
        pass
    assert isinstance(refused.value, (OutputError, UsageError)) and str(tmp_path) in str(refused.value)
    assert precious.read_bytes() == b"kept" and os.listdir(precious.parent) == ["precious"]
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", [".a.partial", ".b.partial"])
def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.mkdir() if name == ".b.partial" else path.write_bytes(b"planted")
    plant(path, monkeypatch)
    with pytest.raises(UsageError, match=f"{name} belongs to another user"), USERS[name](tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("kind", ["link", "pipe", "file of another user"])
def test_the_copy_of_a_pipe_is_a_new_file(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    copy, source = tmp_path / ".a.source", tmp_path / "fifo"
    os.mkfifo(source)
    if kind == "link":
        copy.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(copy)
    else:
        copy.write_bytes(b"planted")
        plant(copy, monkeypatch)
    threading.Thread(target=lambda: source.write_bytes(b"content"), daemon=True).start()
    with rereadable(str(source), tmp_path / "a") as path:
        assert Path(path).read_bytes() == b"content"
        assert Path(path).stat().st_mode & 0o777 == 0o600
    assert not copy.exists() and precious.read_bytes() == b"kept"


def test_temporary_folders_are_of_one_user(tmp_path: Path) -> None:
    left = tmp_path / ".a.partial"
    left.mkdir(mode=0o777)
    left.chmod(0o777)
    for _ in range(2):
        with temporary_folder_beside(tmp_path / "a") as folder:
            assert folder.stat().st_mode & 0o777 == 0o700


def test_private_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "private"
    make_private_folder(folder)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    replace_file(folder / "key", b"secret")
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert read_own(folder / "key") == b"secret"
    (folder / "link").symlink_to("key")
    os.mkfifo(folder / "pipe")
    for name in ("link", "pipe", "missing", "."):
        with pytest.raises(OSError):
            read_own(folder / name)
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(UsageError, match="linked is a link, which is not followed"):
        secure_folder(tmp_path / "linked")
    plant(folder / "key", monkeypatch)
    with pytest.raises(PermissionError):
        read_own(folder / "key")
    plant(folder, monkeypatch)
    with pytest.raises(UsageError, match="private belongs to another user"):
        make_private_folder(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize("destination", ["own/precious", "own/new"])
def test_an_output_that_is_a_link_of_another_user_is_not_followed(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch, destination: str
) -> None:
    (tmp_path / "a").symlink_to(destination)
    check_output_file(tmp_path / "a", overwrite=True)
    plant(tmp_path / "a", monkeypatch)
    for use in (
        lambda: check_output_file(tmp_path / "a", overwrite=True),
        lambda: atomic_output(tmp_path / "a", overwrite=True).__enter__(),
        lambda: check_export_folder("a.inrv", str(tmp_path / "a"), overwrite=True),
    ):
        with pytest.raises(UsageError, match="a is a link of another user"):
            use()
    assert os.listdir(precious.parent) == ["precious"] and precious.read_bytes() == b"kept"
    # The owner of a folder may have links in it.
    os.chown(tmp_path, 65534, 65534)
    with atomic_output(tmp_path / "a", overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / destination).read_bytes() == b"new"


def test_a_folder_that_was_exchanged_when_it_was_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def make_and_exchange(path: Path, mode: int) -> None:
        make(path, mode)
        plant(path, monkeypatch)

    monkeypatch.setattr(Path, "mkdir", make_and_exchange)
    with (
        pytest.raises(UsageError, match="a.partial belongs to another user"),
        temporary_folder_beside(tmp_path / "a"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize("output", ["shared/d/precious", "own-link", "own-folder/precious", "up/d/precious"])
def test_a_link_of_another_user_anywhere_in_the_path_is_not_followed(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "d").symlink_to(precious.parent)
    (shared / "file").symlink_to("../own/precious")
    for name in ("d", "file"):
        os.chown(shared / name, 65534, 65534, follow_symlinks=False)
    (tmp_path / "own-link").symlink_to("shared/file")
    (tmp_path / "own-folder").symlink_to(shared / "d")
    (tmp_path / "up").symlink_to("own/../shared")
    path = str(tmp_path / output)
    for use in (
        lambda: check_output_file(path, overwrite=True),
        lambda: atomic_output(path, overwrite=True).__enter__(),
        lambda: check_export_folder("a.inrv", path, overwrite=True),
        lambda: resume_folder(path),
        # Images: a pattern in the folder, or a folder.
        lambda: check_target(path if output == "own-link" else str(Path(path).with_name("%d.png"))),
    ):
        with pytest.raises(UsageError, match="shared/(d|file) is a link of another user"):
            use()
    assert os.listdir(precious.parent) == ["precious"] and precious.read_bytes() == b"kept"


ME, ROOT, OWNER, STRANGER = 4242, 0, 65533, 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
@pytest.mark.parametrize(
    ("mode", "followed"),
    [
        (0o1777, {ME, OWNER}),
        (0o777, {ME, OWNER, ROOT}),
        (0o1775, {ME, OWNER, ROOT}),
        (0o755, {ME, OWNER, ROOT}),
    ],
)
def test_whose_links_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, followed: set[int]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, OWNER, OWNER)
    monkeypatch.setattr(os, "geteuid", lambda: ME)
    for owner in (ME, ROOT, OWNER, STRANGER):
        link = folder / str(owner)
        link.symlink_to("new")
        os.chown(link, owner, owner, follow_symlinks=False)
        if owner in followed:
            assert resolved_output(link) == folder / "new"
        else:
            with pytest.raises(UsageError, match="is a link of another user"):
                resolved_output(link)


def test_outputs_are_resolved_as_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "relative").symlink_to("a/b")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    (tmp_path / "a" / "b" / "up").symlink_to("../../missing/c")
    monkeypatch.chdir(tmp_path / "a")
    for name in ("x", "../relative/x", "../absolute/../x", "b/up", "b/up/../y", "../file", "../file/z", "b/"):
        assert str(resolved_output(name)) == os.path.realpath(name)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OutputError, match="Too many levels of symbolic links"), atomic_output("../circle"):
        pass


def test_a_system_without_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.system.private._HAS_OWNERS", False)
    monkeypatch.delattr(os, "O_DIRECTORY")
    folder = tmp_path / "private"
    for _ in range(2):
        make_private_folder(folder)
    replace_file(folder / "key", b"secret")
    assert read_own(folder / "key") == b"secret"
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(UsageError, match="is a link"):
        make_private_folder(tmp_path / "linked")
