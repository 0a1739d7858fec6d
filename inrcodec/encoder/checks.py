"""Refuses encodes that cannot work, before torch is loaded: checks sources, outputs, previews and ladders."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence

from inrcodec.errors import InrcError, UsageError
from inrcodec.naming import flag_of
from inrcodec.settings.encode import TARGETS, EncodeSettings
from inrcodec.system.files import check_output_file, output_errors
from inrcodec.system.names import StrPath, check_paths, is_pipe, resume_folder
from inrcodec.system.outputs import check_inrv_name
from inrcodec.system.private import secure_folder

PREVIEW_MARK = "inrc --preview"
"""Text near the beginning of each `--preview` file, by which it is recognised."""


def refusals(requests: Sequence[tuple[str, str]], settings: EncodeSettings) -> dict[int, Exception]:
    """Errors of sources that cannot be encoded to their outputs, by index in `requests`."""
    found: dict[int, Exception] = {}
    for index, (source, output) in enumerate(requests):
        try:
            check_paths(source, output, may_be_piped=True)
            if settings.mask is not None:
                check_paths(settings.mask, output)
            check_inrv_name(output)
            check_output_file(output, settings.overwrite, settings.size_bytes or 0)
            check_resume_folder(output)
        except InrcError as error:
            found[index] = error
    return found


def check_metric(settings: EncodeSettings) -> None:
    """Raise `UsageError` if this machine cannot measure the quality that the encode searches for."""
    if settings.vmaf is None:
        return
    from inrcodec.video.vmaf import VMAF_NEEDS, vmaf_program

    if vmaf_program() is None:
        raise UsageError(f"--vmaf {VMAF_NEEDS}")


def check_resume_folder(output: str) -> None:
    """Raise `UsageError` if another user planted the folder where an encode to `output` keeps its state.

    Only this user can use the folder from then on. Raises `OutputError` if the file system refuses.
    """
    folder = resume_folder(output)
    if folder.is_symlink() or folder.is_dir():
        with output_errors(folder):
            secure_folder(folder)


def check_ladder(sources: Sequence[str], bpps: Sequence[float], settings: EncodeSettings) -> None:
    """Raise `UsageError` if there cannot be a ladder of these sources, `bpps` and settings."""
    for name in TARGETS:
        if getattr(settings, name) is not None:
            raise UsageError(f"--ladder and {flag_of(name)} exclude each other; give one of them")
    if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
        raise UsageError(f"--ladder: expected positive numbers, each once, found {list(bpps)}")
    for source in sources:
        if is_pipe(source):
            raise UsageError(
                f"--ladder reads its source several times, but {source} is a pipe: save it to a file"
            )


def check_preview(settings: EncodeSettings, requests: Sequence[tuple[str, str]]) -> None:
    """Raise `UsageError` if the encodes (source, output) cannot write `settings.preview`.

    An existing file is replaced with `settings.overwrite`; a resumed encode also replaces an earlier preview.
    """
    if settings.preview is None:
        return
    path = os.fspath(settings.preview)
    if not path.lower().endswith(".png"):
        raise UsageError(f"--preview: expected a name ending in .png, found {path}")
    if settings.names_workers:
        raise UsageError("--preview and --workers exclude each other; give one of them")
    for taken in (settings.mask, settings.resume_from, *(name for pair in requests for name in pair)):
        if taken is not None and _is_in(path, taken):
            raise UsageError(f"{path} is or is in {taken}, which the encode needs; name another --preview")
    goes_on = any(resume_folder(output).is_dir() for _, output in requests)
    check_output_file(path, settings.overwrite or (goes_on and _is_preview(path)))


def _is_preview(path: str) -> bool:
    """Whether a file is a picture written by `--preview`."""
    try:
        with open(path, "rb") as file:
            return PREVIEW_MARK.encode() in file.read(128)
    except OSError:
        return False


def _is_in(path: str, taken: StrPath) -> bool:
    """Whether `path` is the file `taken`, or an image in that folder or of that pattern."""
    folder, name = os.path.split(os.path.realpath(path))
    parent, pattern = os.path.split(os.path.realpath(taken))
    if os.path.isdir(taken):
        return folder == os.path.realpath(taken)
    return folder == parent and bool(re.fullmatch(re.sub("%[0-9]*d", "[0-9]+", re.escape(pattern)), name))
