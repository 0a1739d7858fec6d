"""Files and folders in shared places that nobody else can have planted there, read or changed.

Names beside an output are easy to guess. A file or folder that has such a name already is used only if it
belongs to this user, and links are not followed. Windows has no owners of this kind: links are refused there.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import UsageError

_HAS_OWNERS = hasattr(os, "geteuid")
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe to read would wait for a writer."""
_FOLDER = getattr(os, "O_DIRECTORY", 0)
_MOST_LINKS = 40
"""Links in one path, as in Linux."""


def open_or_create(path: str, flags: int) -> int:
    """An opener for `open`: a regular file of this user, created with ordinary permissions if it is missing.

    Raises `UsageError` for a file of another user, or one with a second name elsewhere, and `OSError`.
    """
    while True:
        with suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o666)
        try:
            descriptor = os.open(path, flags | _NO_FOLLOW | _NO_WAIT)
        except FileNotFoundError:
            continue
        try:
            status = os.fstat(descriptor)
            if not _is_own(status):
                raise _foreign(path)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                raise UsageError(f"{path} was not written by inrc; delete it, or name another output")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def create_private(path: Path) -> BinaryIO:
    """A new file that only this user can open; it replaces an earlier one of the name. Raises `OSError`."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags | _NO_FOLLOW, 0o600))


def read_own(path: Path) -> bytes:
    """The content of a regular file of this user; raises `OSError`, also for any other."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_FOLLOW | _NO_WAIT)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _is_own(status):
            raise PermissionError(errno.EPERM, "not written by this user", str(path))
        return file.read()


def make_private_folder(path: Path) -> None:
    """Create a folder that only this user can use, or secure an existing one; raises as `secure_folder`."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        secure_folder(path)


def secure_folder(path: Path) -> None:
    """Make an existing folder of this user one that only this user can use.

    Raises `UsageError` for a link and for a folder of another user, and `OSError`.
    """
    if _HAS_OWNERS:
        os.close(open_private_folder(path))
    else:
        _refuse_link(path)


def open_private_folder(path: Path) -> int:
    """Do the same; returns a descriptor of the folder."""
    _refuse_link(path)
    descriptor = os.open(path, os.O_RDONLY | _FOLDER | _NO_FOLLOW)
    try:
        status = os.fstat(descriptor)
        if not _is_own(status):
            raise _foreign(path)
        if status.st_mode & 0o077:
            # Some file systems have no permissions.
            with suppress(PermissionError):
                os.fchmod(descriptor, 0o700)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def resolved_output(path: str | os.PathLike[str]) -> Path:
    """`path` without links, as from `os.path.realpath`, unless another user may have planted one of them.

    Links of this user and of their folder's owner are followed, in every part of the path and in what links
    point to, as by Linux (`fs.protected_symlinks`): a name that is resolved here bypasses that protection.
    Links of root are followed too, except in a sticky folder that all may write to, such as /tmp. Raises
    `UsageError` for any other link, and `OSError` for a circle of links.
    """
    if not _HAS_OWNERS:
        return Path(os.path.realpath(path))
    found, links = Path("/"), 0
    names = [*reversed((Path.cwd() / path).parts)]
    while names:
        name = names.pop()
        step = found.parent if name == ".." else found / name
        if not os.path.islink(step):
            found = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
        _check_link(step)
        names += reversed(step.readlink().parts)
    return found


def _check_link(link: Path) -> None:
    folder = os.stat(link.parent)
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    trusted = {os.geteuid(), folder.st_uid} | (set() if is_shared else {0})
    if os.lstat(link).st_uid not in trusted:
        raise UsageError(f"{link} is a link of another user, which is not followed; name another output")


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise UsageError(f"{path} is a link, which is not followed; delete it, or name another output")


def _is_own(status: os.stat_result) -> bool:
    return not _HAS_OWNERS or status.st_uid == os.geteuid()


def _foreign(path: str | Path) -> UsageError:
    return UsageError(f"{path} belongs to another user; name another output")
