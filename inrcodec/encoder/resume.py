"""Stores the state of an interrupted encode beside its output, so that the same command resumes it.

    OUTPUT.resume/state.json           what is encoded and how; the time used
    OUTPUT.resume/segment-0.inrv       a finished segment, as a separate file
    OUTPUT.resume/segment-0.json       its figures; the segment is finished once this file exists
    OUTPUT.resume/segment-1.fit        the checkpoint of an interrupted fit

A search for a PSNR (see `psnr_search`) stores state.json and

    OUTPUT.resume/fits.json            the finished fits and their results
    OUTPUT.resume/fit-0.inrv           the file of a finished fit; fit-1.inrv.resume/ is an interrupted one

The files are JSON, `.inrv` and tensors, none of which can run code. Figures and checkpoints identify their
request, so those of another request are never used. The folder is removed when the output is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bitstream import BitstreamError, load
from inrcodec.encoder.segment import CodedSegment, SegmentFigures
from inrcodec.errors import UsageError
from inrcodec.fit.training.checkpoint import Checkpoints
from inrcodec.progress import Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.files import replace_file
from inrcodec.system.names import resume_folder
from inrcodec.version import __version__
from inrcodec.video import Survey

_OURS = re.compile(
    r"(state\.json|fits\.json|segment-\d+\.(inrv|json|fit))(\.\d+\.partial)?"
    r"|fit-\d+\.inrv(\.resume)?|\.fit-\d+\.inrv\.([0-9a-f]{8}\.)?partial"
)
"""Names of files in the folder, including temporary names of `replace_file` and `claimed_output`."""
_WORK = ("segment-", "fit-")
"""Prefixes of files that took time to make."""


def request_of(settings: EncodeSettings, survey: Survey) -> dict[str, Any]:
    """Everything that determines the fitted networks, as JSON; only an identical request resumes an encode.

    It excludes audio, the amount of time, which may be changed, and the device, which affects only rounding.
    """
    mask = None if settings.mask is None else os.stat(settings.mask)
    origin = None if settings.resume_from is None else Path(settings.resume_from).read_bytes()
    asked = dataclasses.asdict(settings)
    for name in ("overwrite", "checkpoint_seconds", "workers", "device", "preview"):
        del asked[name]
    request = {
        # Entries below replace settings by contents, so that renaming a file does not change the request.
        **asked,
        "time_seconds": settings.time_seconds is not None,
        "procedure": dataclasses.asdict(settings.procedure),
        "source": [survey.digest, repr(survey.properties)],
        "mask": None if mask is None else [mask.st_size, mask.st_mtime_ns],
        "resume_from": None if origin is None else hashlib.sha256(origin).hexdigest(),
        "version": [__version__, str(torch.__version__)],
    }
    as_json: dict[str, Any] = json.loads(json.dumps(request))
    return as_json


@dataclass(frozen=True)
class ResumeFolder:
    """The folder's path and request; every process that fits a segment of the encode gets a copy."""

    path: Path
    request: Mapping[str, Any]
    """See `request_of`."""
    device: str
    """Description of the device that fits segments."""
    started: float
    """Start of the encode, less the time used by earlier attempts: `time.monotonic()`, which all processes of
    a machine share."""
    interval_seconds: float

    def fit_path(self, number: int) -> Path:
        """Path of the checkpoint of segment `number`."""
        return self.path / f"segment-{number}.fit"

    def checkpoints(self, number: int, progress: Progress) -> Checkpoints:
        """Checkpoints of the fit of segment `number`."""
        write, path = FolderWriter(self, progress), self.fit_path(number)
        return Checkpoints(path, self.identity, self.interval_seconds, write, progress.note)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the request, hexadecimal."""
        return hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()


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
        state = {"request": folder.request, "device": folder.device, "used_seconds": used_seconds}
        try:
            os.makedirs(folder.path, exist_ok=True)
            replace_file(folder.path / "state.json", json.dumps(state, indent=2).encode())
            replace_file(path, data)
        except OSError as error:
            self._is_writable = False
            reason = error.strerror or error
            self._progress.note(f"this encode cannot be resumed: cannot write to {folder.path}: {reason}")


class Resumable:
    """The folder of one encode, with the results of earlier attempts."""

    def __init__(
        self,
        output: str,
        request: Mapping[str, Any],
        device: str,
        started: float,
        settings: EncodeSettings,
        progress: Progress,
    ) -> None:
        """`request` is from `request_of`; `started` is the start of the encode, as `time.monotonic()`.

        Raises `UsageError` if the folder contains work of another request, unless `overwrite` discards it, or
        files that inrc did not write.
        """
        self._path = resume_folder(output)
        state, used_seconds = self._read_json("state.json") or {}, 0.0
        self.is_resumed = state.get("request") == request
        self._check_folder(state.get("request"), request, settings.overwrite, progress)
        if self.is_resumed:
            used_seconds = float(state["used_seconds"])
            if state["device"] != device:
                progress.note(f"this encode began on {state['device']}: the file may differ slightly")
        self.folder = ResumeFolder(
            self._path, request, device, started - used_seconds, settings.checkpoint_seconds
        )
        self._write = FolderWriter(self.folder, progress)

    def _check_folder(
        self, before: Any, request: Mapping[str, Any], overwrite: bool, progress: Progress
    ) -> None:
        names = os.listdir(self._path) if self._path.is_dir() else []
        foreign = sorted(name for name in names if not _OURS.fullmatch(name))
        if foreign:
            raise UsageError(f"{self._path} contains {foreign[0]}, which inrc did not write; move the folder")
        if self.is_resumed or not names:
            return
        if any(name.startswith(_WORK) for name in names):
            others = _differences(before, request)
            if not overwrite:
                raise UsageError(
                    f"{self._path} contains an unfinished encode with another {others}; repeat its command "
                    "to resume it, or add -y to discard it"
                )
            progress.note(f"{self._path} had another {others}: discarded, starting again")
        self.remove()

    def finished(self, number: int) -> CodedSegment | None:
        """The stored segment `number`, or None if it is missing, damaged or of another request."""
        stored = self._read_json(f"segment-{number}.json")
        if stored is None or stored.get("request") != self.folder.identity:
            return None
        try:
            data = (self._path / f"segment-{number}.inrv").read_bytes()
            load(data)
            figures: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in stored["figures"].items()
            }
            return CodedSegment(data, SegmentFigures(**figures))
        except (OSError, BitstreamError, KeyError, TypeError, AttributeError):
            return None

    def store(self, number: int, coded: CodedSegment) -> None:
        """Store a finished segment and remove the checkpoint of its fit."""
        self._write(self._path / f"segment-{number}.inrv", coded.data)
        stored = {"request": self.folder.identity, "figures": dataclasses.asdict(coded.figures)}
        self._write(self._path / f"segment-{number}.json", json.dumps(stored).encode())
        self._forget_fit(number)

    def give_up(self, number: int) -> None:
        """Remove the checkpoint of segment `number`, and the folder if no segment is finished."""
        self._forget_fit(number)
        if self._path.is_dir() and not any(self._path.glob("segment-*.json")):
            self.remove()

    def _forget_fit(self, number: int) -> None:
        with suppress(OSError):
            self.folder.fit_path(number).unlink()

    def remove(self) -> None:
        """Remove the files of the encode, and the folder if it contains nothing else."""
        _remove(self._path)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self._path / name).read_text())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None


def _remove(folder: Path) -> None:
    """Remove our files in `folder` and in the resume folders of a search, and each folder left empty."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if _OURS.fullmatch(name):
                _remove(folder / name) if name.endswith(".resume") else (folder / name).unlink()
        folder.rmdir()


def _differences(before: Any, request: Mapping[str, Any]) -> str:
    """Names of the settings in which two requests differ."""
    if not isinstance(before, dict):
        return "state"
    return ", ".join(name for name in request if before.get(name) != request[name]) or "state"
