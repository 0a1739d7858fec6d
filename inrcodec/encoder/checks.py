"""Refuses an encode that cannot work, before torch is loaded: sources, outputs, previews and ladders."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence

from inrcodec.errors import InrcError, UsageError
from inrcodec.settings.encode import TARGETS, EncodeSettings, flag_of
from inrcodec.system.files import check_output_file, check_paths, is_pipe, resume_folder

PREVIEW_MARK = "inrc --preview"
"""What the pictures of `--preview` say near their beginning of where they come from."""


def refusals(requests: Sequence[tuple[str, str]], settings: EncodeSettings) -> dict[int, Exception]:
    """Why sources cannot be encoded to their outputs, by their place in `requests`."""
    found: dict[int, Exception] = {}
    for index, (source, output) in enumerate(requests):
        try:
            check_paths(source, output, may_be_piped=True)
            if settings.mask is not None:
                check_paths(settings.mask, output)
            check_output_file(output, settings.overwrite, settings.size_bytes or 0)
        except InrcError as error:
            found[index] = error
    return found


def check_ladder(sources: Sequence[str], bpps: Sequence[float], settings: EncodeSettings) -> None:
    """Raise `UsageError` for a ladder of these `bpps` that there cannot be."""
    for name in TARGETS:
        if getattr(settings, name) is not None:
            raise UsageError(f"--ladder and {flag_of(name)} exclude each other; give one of them")
    if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
        raise UsageError(f"--ladder: expected positive numbers, each once, found {list(bpps)}")
    for source in sources:
        if is_pipe(source):
            raise UsageError(
                f"--ladder reads its source for every file anew, which {source} cannot be: save it"
            )


def check_preview(settings: EncodeSettings, requests: Sequence[tuple[str, str]]) -> None:
    """Raise `UsageError` for a preview of the encodes (source, output) that there cannot be.

    One that exists is replaced with `settings.overwrite`, and an earlier preview by an encode that goes on.
    """
    path = settings.preview
    if path is None:
        return
    if not path.lower().endswith(".png"):
        raise UsageError(f"--preview is a picture: expected a name ending in .png, found {path}")
    if settings.workers is not None:
        raise UsageError(
            "--preview shows the fits of this process, and --workers has others; give one of them"
        )
    for taken in (settings.mask, settings.resume_from, *(name for pair in requests for name in pair)):
        if taken is not None and _is_in(path, taken):
            raise UsageError(f"{path} is or belongs to {taken}, which the encode needs; name another preview")
    goes_on = any(resume_folder(output).is_dir() for _, output in requests)
    check_output_file(path, settings.overwrite or (goes_on and _is_preview(path)))


def _is_preview(path: str) -> bool:
    """Whether a file is a picture that `--preview` has left."""
    try:
        with open(path, "rb") as file:
            return PREVIEW_MARK.encode() in file.read(128)
    except OSError:
        return False


def _is_in(path: str, taken: str) -> bool:
    """Whether a file is the one called `taken`, or one of the images of that folder or pattern."""
    folder, name = os.path.split(os.path.realpath(path))
    parent, pattern = os.path.split(os.path.realpath(taken))
    if os.path.isdir(taken):
        return folder == os.path.realpath(taken)
    return folder == parent and bool(re.fullmatch(re.sub("%[0-9]*d", "[0-9]+", re.escape(pattern)), name))
