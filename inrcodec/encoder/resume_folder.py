"""The folder where an encode keeps its state, and the seals by which it knows its own files again.

A random key is in state.json, which only the owner of the folder can read. Each other file carries a digest
made with this key. A file of another encode, of another plan or of another person therefore never counts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from inrcodec.errors import UsageError
from inrcodec.fit.training.checkpoint import Checkpoints
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import Progress
from inrcodec.system.files import replace_file
from inrcodec.system.private import make_private_folder, read_own

KEY_BYTES = 32


@dataclass(frozen=True)
class ResumeFolder:
    """The folder's path, request and key; every process of this machine that fits a segment gets a copy."""

    path: Path
    request: Mapping[str, Any]
    """See `resume.request_of`."""
    device: str
    """Description of the device that fits segments."""
    started: float
    """Start of the encode, less the time used by earlier attempts: `time.monotonic()`, which all processes of
    a machine share."""
    interval_seconds: float
    key: bytes = field(repr=False)
    """`KEY_BYTES` random bytes."""

    def fit_path(self, number: int) -> Path:
        """Path of the checkpoint of segment `number`."""
        return self.path / f"segment-{number}.fit"

    def checkpoints(self, number: int, plan: SegmentPlan, progress: Progress) -> Checkpoints:
        """Checkpoints of the fit of segment `number`, whose plan is `plan`."""
        write, path = FolderWriter(self, progress), self.fit_path(number)
        seal = partial(self.seal, path.name, identity_of(plan))
        return Checkpoints(path, seal, self.interval_seconds, write, progress.note)

    def seal(self, name: str, *parts: bytes) -> bytes:
        """The digest of a file of this name and content; only who has the key can make it."""
        digest = hashlib.blake2b(key=self.key, digest_size=32)
        for part in (name.encode(), self._identity, *parts):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
        return digest.digest()

    def sealed(self, name: str, content: Any, *tied: bytes) -> bytes:
        """JSON of `content` for the file `name`, with a seal that also covers the bytes of `tied`."""
        seal = self.seal(name, _text(content), *tied)
        return json.dumps({"seal": seal.hex(), "content": content}).encode()

    def read_sealed(self, name: str, *tied: bytes) -> Any:
        """The content of the file `name`; raises `OSError`, and `ValueError` if the seal is not ours."""
        try:
            stored = json.loads(read_own(self.path / name))
            seal, content = bytes.fromhex(stored["seal"]), stored["content"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{name} has no seal") from error
        if not hmac.compare_digest(seal, self.seal(name, _text(content), *tied)):
            raise ValueError(f"{name} has another seal")
        return content

    @cached_property
    def _identity(self) -> bytes:
        return _text(self.request)


def _text(content: Any) -> bytes:
    """JSON that is the same before and after it was stored."""
    return json.dumps(content, sort_keys=True).encode()


def identity_of(plan: SegmentPlan) -> bytes:
    """Everything about a plan that its segment depends on: size, family, frames, config and tensors.

    The tensors follow from the config, unless somebody is changing a family of their own.
    """
    facts = (plan.header, plan.video, plan.family.name, plan.packed_config, plan.seed, plan.target_bytes)
    return repr((*facts, plan.is_masked, plan.specs)).encode()


class FolderWriter:
    """Writes files of the folder, and the time used.

    If the folder cannot be written, it reports that once, and the encode continues without resume files.
    """

    def __init__(self, folder: ResumeFolder, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._is_writable = True

    def __call__(self, path: Path, data: bytes) -> None:
        if not self._is_writable:
            return
        folder = self._folder
        used_seconds = time.monotonic() - folder.started
        state = {
            "key": folder.key.hex(),
            "request": folder.request,
            "device": folder.device,
            "used_seconds": used_seconds,
        }
        try:
            make_private_folder(folder.path)
            replace_file(folder.path / "state.json", json.dumps(state, indent=2).encode())
            replace_file(path, data)
        except (OSError, UsageError) as error:
            self._is_writable = False
            reason = getattr(error, "strerror", None) or error
            self._progress.note(f"this encode cannot be resumed: cannot write to {folder.path}: {reason}")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; empty if it is missing."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
