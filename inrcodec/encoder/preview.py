"""`--preview`: one PNG file that shows, while a fit runs, a frame of the source beside what it has become."""

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
"""Between two pictures."""
LARGEST_SHARE = 0.01
"""Of the time, that pictures may take."""


class PictureFile:
    """Draws what is offered when the last picture is old enough, the dearer it was the older."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._due, self._is_written = -math.inf, False

    def offer(self, draw: Callable[[], Picture], note: Callable[[str], None]) -> None:
        """Put the picture into the file, source left and fit right, if one is due.

        A file that cannot be written ends the pictures, not the fit: `note` is told why.
        """
        started = time.monotonic()
        if started < self._due:
            return
        # Whoever asks for no pictures loads neither.
        import numpy as np

        from inrcodec.video.images import replace_picture

        try:
            picture = draw()
            both = np.concatenate([picture.source, picture.fit], axis=1)
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
        """Take back what was written: the same command finds things as they were."""
        if self._is_written:
            with suppress(OSError):
                Path(self._path).resolve().unlink()


@contextmanager
def previewed(
    requests: Sequence[tuple[str, str]], settings: EncodeSettings, progress: Progress
) -> Iterator[tuple[EncodeSettings, Progress]]:
    """Settings that ask for no pictures any more, and a progress that makes those that were asked for.

    They stay when the block has made an output, and are gone where it has made none, or is left by an error
    or a signal.
    """
    if settings.preview is None:
        yield settings, progress
        return
    file = PictureFile(settings.preview)
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
    """What another file of this name would have otherwise; None for no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
