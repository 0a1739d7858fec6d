"""What an interrupted encode leaves beside its output, so that the same command can go on from there.

    OUTPUT.resume/state.json           what is encoded and how; the time that was used
    OUTPUT.resume/segment-0.inrv       a finished segment, as a file of its own
    OUTPUT.resume/segment-0.json       its figures; the segment is finished once they are there
    OUTPUT.resume/segment-1.fit        the checkpoint of the fit that was under way

Only JSON, `.inrv` and tensors: none of them can run code. The folder goes when the output is complete.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bitstream import BitstreamError, load
from inrcodec import __version__
from inrcodec.files import replace_file, resume_folder
from inrcodec.progress import Progress
from inrcodec.segment_coding import CodedSegment, SegmentFigures
from inrcodec.settings import EncodeSettings
from inrcodec.training.checkpoint import Checkpoints
from inrcodec.video import Survey


def request_of(settings: EncodeSettings, survey: Survey, device: str) -> dict[str, Any]:
    """All that the file depends on, as JSON: an encode goes on only with the same.

    `device` is what segments are fitted on, in words.
    """
    mask = None if settings.mask is None else os.stat(settings.mask)
    asked = replace(settings, started=None, overwrite=False, checkpoint_seconds=0.0, workers=None)
    return {
        "settings": dataclasses.asdict(asked),
        "source": survey.digest,
        "properties": repr(survey.properties),
        "mask": None if mask is None else [mask.st_size, mask.st_mtime_ns],
        "device": device,
        "versions": [__version__, str(torch.__version__)],
    }


@dataclass(frozen=True)
class ResumeFolder:
    """Where the folder is and what it is of; every process that fits a segment of the encode may have one."""

    path: Path
    request: Mapping[str, Any]
    """What is encoded and how, as JSON."""
    started: float
    """When the encode would have begun, had it never been interrupted: `time.monotonic()`, which all
    processes of a machine share."""
    interval_seconds: float

    def fit_path(self, number: int) -> Path:
        """The checkpoint of the fit of segment `number`."""
        return self.path / f"segment-{number}.fit"

    def checkpoints(self, number: int, progress: Progress) -> Checkpoints:
        """Of the fit of segment `number`."""
        return Checkpoints(self.fit_path(number), self.interval_seconds, FolderWriter(self, progress))


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
        state = {"request": folder.request, "used_seconds": time.monotonic() - folder.started}
        try:
            os.makedirs(folder.path, exist_ok=True)
            replace_file(folder.path / "state.json", json.dumps(state, indent=2).encode())
            replace_file(path, data)
        except OSError as error:
            self._is_writable = False
            reason = error.strerror or error
            self._progress.note(f"this encode cannot be resumed, {folder.path} takes no checkpoint: {reason}")


class Resumable:
    """The folder of one encode; a folder of another request is thrown away, and said to be."""

    def __init__(
        self,
        output: str,
        request: Mapping[str, Any],
        started: float,
        interval_seconds: float,
        progress: Progress,
    ) -> None:
        """`request` says what is encoded and how, as JSON; `started` is when, `time.monotonic()` seconds."""
        self._path, wanted = resume_folder(output), json.loads(json.dumps(request))
        self.is_resumed = False
        used_seconds = 0.0
        if self._path.is_dir():
            state = self._read_json("state.json")
            if state is not None and state.get("request") == wanted:
                self.is_resumed, used_seconds = True, float(state["used_seconds"])
            else:
                progress.note(f"{self._path} is of another source, request or version: starting anew")
                self.remove()
        self.folder = ResumeFolder(self._path, wanted, started - used_seconds, interval_seconds)
        self._write = FolderWriter(self.folder, progress)

    def finished(self, number: int) -> CodedSegment | None:
        """Segment `number` as it was stored, or None."""
        figures = self._read_json(f"segment-{number}.json")
        if figures is None:
            return None
        try:
            data = (self._path / f"segment-{number}.inrv").read_bytes()
            load(data)
        except (OSError, BitstreamError):
            return None
        lists = {name: tuple(value) for name, value in figures.items() if isinstance(value, list)}
        return CodedSegment(data, SegmentFigures(**{**figures, **lists}))

    def store(self, number: int, coded: CodedSegment) -> None:
        """Keep a finished segment; the checkpoint of its fit is no longer needed."""
        self._write(self._path / f"segment-{number}.inrv", coded.data)
        figures = dataclasses.asdict(coded.figures)
        self._write(self._path / f"segment-{number}.json", json.dumps(figures).encode())
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
        """Remove the folder and all that is in it."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self._path / name).read_text())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None
