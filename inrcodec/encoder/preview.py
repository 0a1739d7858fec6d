"""`--preview`: a PNG file that shows a source frame beside its fit while the fit runs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from inrcodec.encoder.checks import PREVIEW_MARK
from inrcodec.errors import InrcError, is_out_of_memory
from inrcodec.progress import Part, Picture, Progress
from inrcodec.settings.encode import EncodeSettings

LEAST_SECONDS = 3.0
"""Minimum time between two pictures."""
LARGEST_SHARE = 0.01
"""Maximum fraction of the time spent on pictures."""


class PictureFile:
    """Redraws at most every `LEAST_SECONDS`, less often when drawing is slow (`LARGEST_SHARE`)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._due, self._is_written = -math.inf, False

    def offer(self, draw: Callable[[], Picture], note: Callable[[str], None]) -> None:
        """Write the picture to the file, source left and fit right, if one is due.

        If the file cannot be written, report it to `note` and draw no more; the fit continues.
        """
        started = time.monotonic()
        if started < self._due:
            return
        # Imported here, because encodes without a preview need neither.
        import numpy as np

        from inrcodec.samples import at_depth
        from inrcodec.video.images import replace_picture

        try:
            picture = draw()
            both = at_depth(np.concatenate([picture.source, picture.fit], axis=1), 8)
            replace_picture(self._path, both, PREVIEW_MARK)
        except Exception as error:
            if not isinstance(error, InrcError) and not is_out_of_memory(error):
                raise
            self._due = math.inf
            note(f"no more previews: {error}")
            return
        self._is_written = True
        now = time.monotonic()
        self._due = now + max(LEAST_SECONDS, (now - started) / LARGEST_SHARE)

    def remove(self) -> None:
        """Delete the written picture, so that the command can be repeated unchanged."""
        if self._is_written:
            with suppress(OSError):
                Path(self._path).resolve().unlink()


@contextmanager
def previewed(
    requests: Sequence[tuple[str, str]], settings: EncodeSettings, progress: Progress
) -> Iterator[tuple[EncodeSettings, Progress]]:
    """Settings without `preview`, and a progress that draws its pictures.

    The picture stays if the block wrote an output. It is deleted if the block wrote none, or ended by an
    error or a signal.
    """
    if settings.preview is None:
        yield settings, progress
        return
    file = PictureFile(os.fspath(settings.preview))
    before = [_identity(output) for _, output in requests]
    try:
        yield (
            replace(settings, preview=None),
            Part(progress, pictures=partial(file.offer, note=progress.note)),
        )
    except BaseException:
        file.remove()
        raise
    if [_identity(output) for _, output in requests] == before:
        file.remove()


def _identity(path: str) -> tuple[int, int] | None:
    """Inode and modification time, which tell a replaced file from the old one; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
