"""What an interrupted encode leaves beside its output, so that the same command can go on from there.

    OUTPUT.resume/state.json           what is encoded and how; the time that was used
    OUTPUT.resume/segment-0.inrv       a finished segment, as a file of its own
    OUTPUT.resume/segment-0.json       its figures; the segment is finished once they are there
    OUTPUT.resume/segment-1.fit        the checkpoint of the fit that was under way

and of a search for a PSNR (see `quality_search`) state.json with

    OUTPUT.resume/fits.json            the fits that are finished, and what came of them
    OUTPUT.resume/fit-0.inrv           the file of one, and fit-1.inrv.resume/ of the one that was under way

Only JSON, `.inrv` and tensors: none of them can run code. Figures and checkpoints name the request that they
are of, so nothing of another one is ever taken. The folder goes when the output is complete.
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
from inrcodec.system.files import replace_file, resume_folder
from inrcodec.version import __version__
from inrcodec.video import Survey

_OURS = re.compile(
    r"(state\.json|fits\.json|segment-\d+\.(inrv|json|fit))(\.\d+\.partial)?"
    r"|fit-\d+\.inrv(\.resume)?|\.fit-\d+\.inrv\.([0-9a-f]{8}\.)?partial"
)
"""Names of the files of a folder, also as `replace_file` and `claimed_output` write them."""
_WORK = ("segment-", "fit-")
"""How the names begin of what took time to make."""


def request_of(settings: EncodeSettings, survey: Survey) -> dict[str, Any]:
    """All that the networks are fitted to and how, as JSON: an encode goes on only with the same.

    Sound is no part of it, nor is time, which may be given anew, nor the device, on which only the last bits
    depend.
    """
    mask = None if settings.mask is None else os.stat(settings.mask)
    origin = None if settings.resume_from is None else Path(settings.resume_from).read_bytes()
    asked = dataclasses.asdict(settings)
    for name in ("overwrite", "checkpoint_seconds", "workers", "device", "preview"):
        del asked[name]
    request = {
        # In place of what is asked for: what the source has, so that another name of it is no other request.
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
    """Where the folder is and what it is of; every process that fits a segment of the encode may have one."""

    path: Path
    request: Mapping[str, Any]
    """What is encoded and how, as JSON."""
    device: str
    """What segments are fitted on, in words."""
    started: float
    """When the encode would have begun, had it never been interrupted: `time.monotonic()`, which all
    processes of a machine share."""
    interval_seconds: float

    def fit_path(self, number: int) -> Path:
        """The checkpoint of the fit of segment `number`."""
        return self.path / f"segment-{number}.fit"

    def checkpoints(self, number: int, progress: Progress) -> Checkpoints:
        """Of the fit of segment `number`."""
        write, path = FolderWriter(self, progress), self.fit_path(number)
        return Checkpoints(path, self.identity, self.interval_seconds, write, progress.note)

    @cached_property
    def identity(self) -> str:
        """A digest of the request."""
        return hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()


class FolderWriter:
    """Writes files of the folder, and how much time was used.

    A folder that cannot be written is told once and costs nothing but the chance to resume.
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
            self._progress.note(f"this encode cannot be resumed, {folder.path} takes no checkpoint: {reason}")


class Resumable:
    """The folder of one encode, and what it holds of an earlier attempt."""

    def __init__(
        self,
        output: str,
        request: Mapping[str, Any],
        device: str,
        started: float,
        settings: EncodeSettings,
        progress: Progress,
    ) -> None:
        """`request` is from `request_of`; `started` is when the encode began, `time.monotonic()` seconds.

        Raises `UsageError` for a folder that holds the work of another request, which only `overwrite` throws
        away, or files that are of no encode.
        """
        self._path = resume_folder(output)
        state, used_seconds = self._read_json("state.json") or {}, 0.0
        self.is_resumed = state.get("request") == request
        self._check_folder(state.get("request"), request, settings.overwrite, progress)
        if self.is_resumed:
            used_seconds = float(state["used_seconds"])
            if state["device"] != device:
                progress.note(f"this encode began on {state['device']}: the last bits of the file may differ")
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
            raise UsageError(f"{self._path} holds {foreign[0]}, which is of no encode; move that folder away")
        if self.is_resumed or not names:
            return
        if any(name.startswith(_WORK) for name in names):
            others = _differences(before, request)
            if not overwrite:
                raise UsageError(
                    f"{self._path} holds an unfinished encode with another {others}; its own command goes on "
                    "with it, -y throws it away"
                )
            progress.note(f"{self._path} was of another {others}: starting anew")
        self.remove()

    def finished(self, number: int) -> CodedSegment | None:
        """Segment `number` as it was stored, or None."""
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
        """Keep a finished segment; the checkpoint of its fit is no longer needed."""
        self._write(self._path / f"segment-{number}.inrv", coded.data)
        stored = {"request": self.folder.identity, "figures": dataclasses.asdict(coded.figures)}
        self._write(self._path / f"segment-{number}.json", json.dumps(stored).encode())
        self._forget_fit(number)

    def give_up(self, number: int) -> None:
        """Forget the fit of segment `number`, which came to nothing; keep only what is finished."""
        self._forget_fit(number)
        if self._path.is_dir() and not any(self._path.glob("segment-*.json")):
            self.remove()

    def _forget_fit(self, number: int) -> None:
        with suppress(OSError):
            self.folder.fit_path(number).unlink()

    def remove(self) -> None:
        """Remove the files of the encode, and the folder if nothing else is in it."""
        _remove(self._path)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self._path / name).read_text())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None


def _remove(folder: Path) -> None:
    """Remove files of ours, and the folder and those of a search's fits if nothing else is in them."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if _OURS.fullmatch(name):
                _remove(folder / name) if name.endswith(".resume") else (folder / name).unlink()
        folder.rmdir()


def _differences(before: Any, request: Mapping[str, Any]) -> str:
    """In what two requests differ, by the names of settings."""
    if not isinstance(before, dict):
        return "state"
    return ", ".join(name for name in request if before.get(name) != request[name]) or "state"
