"""Stores the state of an interrupted encode beside its output, so that the same command resumes it.

    OUTPUT.resume/state.json           what is encoded and how; the time used; the key
    OUTPUT.resume/segment-0.inrv       a finished segment, as a separate file
    OUTPUT.resume/segment-0.json       its figures; the segment is finished once this file exists
    OUTPUT.resume/segment-1.fit        the checkpoint of an interrupted fit

A search for a quality (see `quality_search`) stores state.json and

    OUTPUT.resume/fits.json            the finished fits and their results
    OUTPUT.resume/fit-0.inrv           the file of a finished fit; fit-1.inrv.resume/ is an interrupted one

The files are JSON, `.inrv` and tensors, none of which can run code. Seals tie figures, segments and
checkpoints to their request, plan and key (see `resume_folder`), so those of another encode are never used.
The folder is removed when the output is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bitstream import BitstreamError
from inrcodec.encoder.checks import check_resume_folder
from inrcodec.encoder.resume_folder import KEY_BYTES, FolderWriter, ResumeFolder, identity_of
from inrcodec.encoder.segment import CodedSegment, SegmentFigures
from inrcodec.errors import UsageError
from inrcodec.fit.training.checkpoint import LAYOUT
from inrcodec.models.registry import family_of, package_of
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.names import resume_folder
from inrcodec.system.private import read_own
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
        "version": [__version__, LAYOUT, str(torch.__version__), *_package(settings)],
    }
    as_json: dict[str, Any] = json.loads(json.dumps(request))
    return as_json


def _package(settings: EncodeSettings) -> list[str]:
    """Name and version of the package whose family is fitted, unless the family is our own."""
    package = package_of(family_of(settings))
    return [] if package is None else [package]


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

        Raises `UsageError` if the folder contains work of another request or a damaged state, unless
        `overwrite` discards them, or files that inrc did not write, and if it belongs to another user.
        """
        self._path, self._progress = resume_folder(output), progress
        check_resume_folder(output)
        state = self._state()
        self.is_resumed = state is not None and state["request"] == request
        self._check_folder(state, request, settings.overwrite)
        key, used_seconds = secrets.token_bytes(KEY_BYTES), 0.0
        if state is not None and self.is_resumed:
            key, used_seconds = bytes.fromhex(state["key"]), state["used_seconds"]
            if state["device"] != device:
                progress.note(f"this encode began on {state['device']}: the file may differ slightly")
        self.folder = ResumeFolder(
            self._path, request, device, started - used_seconds, settings.checkpoint_seconds, key
        )
        self._write = FolderWriter(self.folder, progress)

    def _state(self) -> dict[str, Any] | None:
        """The content of state.json; None if it is missing or damaged."""
        state = self._read_json("state.json")
        if state is None or state.keys() != {"key", "request", "device", "used_seconds"}:
            return None
        key, used = state["key"], state["used_seconds"]
        is_key = isinstance(key, str) and re.fullmatch(f"[0-9a-f]{{{2 * KEY_BYTES}}}", key)
        is_time = isinstance(used, float) and 0 <= used < math.inf
        return state if is_key and is_time and isinstance(state["request"], dict) else None

    def _check_folder(
        self, state: Mapping[str, Any] | None, request: Mapping[str, Any], overwrite: bool
    ) -> None:
        names = os.listdir(self._path) if self._path.is_dir() else []
        foreign = sorted(name for name in names if not _OURS.fullmatch(name))
        if foreign:
            raise UsageError(f"{self._path} contains {foreign[0]}, which inrc did not write; move the folder")
        if self.is_resumed or not names:
            return
        if any(name.startswith(_WORK) for name in names):
            others = "state" if state is None else _differences(state["request"], request)
            if state is None and not overwrite:
                raise UsageError(
                    f"{self._path} contains an unfinished encode with a damaged state.json; delete "
                    "the folder, or add -y to discard it"
                )
            if not overwrite:
                raise UsageError(
                    f"{self._path} contains an unfinished encode with another {others}; repeat its command "
                    "to resume it, or add -y to discard it"
                )
            self._progress.note(f"{self._path} had another {others}: discarded, starting again")
        self.remove()

    def finished(self, number: int, plan: SegmentPlan) -> CodedSegment | None:
        """The stored segment `number`, or None if it is missing, damaged or of another encode or plan."""
        path = self._path / f"segment-{number}.inrv"
        try:
            data = read_own(path)
            figures = self.folder.read_sealed(f"segment-{number}.json", identity_of(plan), data)
            values: dict[str, Any] = {
                name: tuple(one) if isinstance(one, list) else one for name, one in figures.items()
            }
            coded = CodedSegment(data, SegmentFigures(**values))
            _check_suits(coded, plan)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, BitstreamError, TypeError, AttributeError):
            self._progress.note(f"{path} is damaged or belongs to another encode; fitting its segment again")
            return None
        return coded

    def store(self, number: int, plan: SegmentPlan, coded: CodedSegment) -> None:
        """Store a finished segment and remove the checkpoint of its fit."""
        name, figures = f"segment-{number}.json", dataclasses.asdict(coded.figures)
        self._write(self._path / f"segment-{number}.inrv", coded.data)
        self._write(self._path / name, self.folder.sealed(name, figures, identity_of(plan), coded.data))
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
            value = json.loads(read_own(self._path / name))
        except (OSError, ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


def _remove(folder: Path) -> None:
    """Remove our files in `folder` and in the resume folders of a search, and each folder left empty."""
    with suppress(OSError):
        for name in os.listdir(folder):
            path = folder / name
            if _OURS.fullmatch(name):
                _remove(path) if name.endswith(".resume") and not path.is_symlink() else path.unlink()
        folder.rmdir()


def _check_suits(coded: CodedSegment, plan: SegmentPlan) -> None:
    """Raise `ValueError` unless a segment has the family, seed, frames and at most the size of its plan."""
    segment = coded.segment
    found = (segment.family, segment.seed, segment.first_frame, segment.frame_count)
    if found != (plan.family.wire_id, plan.seed, 0, plan.video.frame_count):
        raise ValueError("expected the segment of the plan")
    if len(coded.data) > plan.target_bytes:
        raise ValueError("expected a segment of at most the planned size")


def _differences(before: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """Names of the settings in which two requests differ."""
    return ", ".join(name for name in request if before.get(name) != request[name]) or "state"
