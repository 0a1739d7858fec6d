"""The finished fits of a search, kept in the folder from which an interrupted search resumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inrcodec.encoder.result import EncodeResult
from inrcodec.encoder.resume import Resumable
from inrcodec.encoder.resume_folder import FolderWriter, digest_of
from inrcodec.progress import Progress

_FITS = "fits.json"


@dataclass(frozen=True)
class Fit:
    """A finished fit of the search."""

    size_bytes: int
    is_trial: bool
    result: EncodeResult
    digest: str
    """SHA-256 of its file, hexadecimal."""

    @property
    def video_bytes(self) -> int:
        return self.result.file_bytes - self.result.extras_bytes


class StoredFits:
    """Reads and writes the fits of one search."""

    def __init__(self, resumable: Resumable, progress: Progress) -> None:
        self._resumable, self._folder, self._progress = resumable, resumable.folder, progress
        self._write = FolderWriter(self._folder, progress)

    def path(self, number: int) -> Path:
        """The file of a fit."""
        return self._folder.path / f"fit-{number}.inrv"

    def save(self, fits: Sequence[Fit]) -> None:
        """Store the results of all fits; their files exist."""
        self._write(
            self._folder.path / _FITS,
            self._folder.sealed(_FITS, [dataclasses.asdict(one) for one in fits]),
        )

    def read(self) -> list[Fit]:
        """The fits of an earlier attempt, up to the first whose file is missing or another."""
        if not self._resumable.is_resumed:
            return []
        known: list[Fit] = []
        try:
            for one in self._folder.read_sealed(_FITS):
                known.append(Fit(**{**one, "result": EncodeResult(**one["result"])}))
                if digest_of(self.path(len(known) - 1)) != known[-1].digest:
                    return known[:-1]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError):
            path = self._folder.path / _FITS
            self._progress.note(f"{path} is damaged or belongs to another encode; searching from the start")
            return []
        return known
