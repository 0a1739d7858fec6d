"""Points of ordinary codecs, measured once for each clip and version of the encoder, and kept in a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av

from benchmarks.record import commit, machine
from inrcodec.quality.comparison.ordinary_codecs import rival_point
from inrcodec.quality.frame_metrics import MEASURES
from inrcodec.video.ordinary_codecs import Frames, Rival

KEPT = Path(__file__).parent / "results" / "rivals" / "points.json"
MEASUREMENT = 1
"""Raise this number when `rival_point` measures something else, so that every point is measured again."""

Point = dict[str, Any]


def digest_of(frames: Frames) -> str:
    """SHA-256 of the shape and the values of RGB frames.

    It identifies the clip, the part of it that is measured, and how both were read.
    """
    found = hashlib.sha256(repr(frames.shape).encode())
    for frame in frames:
        found.update(frame.tobytes())
    return found.hexdigest()


def version_of(rival: Rival) -> str:
    """The encoder of a rival with the versions of the libraries that bring it."""
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"{rival.encoder.name} of PyAV {av.__version__}, libavcodec {libavcodec}"


class RivalPoints:
    """Measures rivals, and keeps the points in a file.

    A point is measured again if the frames, the encoder's version or `MEASUREMENT` changed. Its seconds are
    those of the machine that it names.
    """

    def __init__(self, path: Path) -> None:
        """Read the points kept in `path`, which need not exist."""
        self._path = path
        rows = json.loads(path.read_text())["points"] if path.exists() else []
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {_key(row): row for row in rows}

    def point(self, clip: str, rival: Rival, crf: int, frames: Frames, digest: str) -> Point:
        """The point of RGB `frames`, whose `digest_of` is `digest`; `clip` names them for readers.

        Raises `RivalFailed`.
        """
        row: dict[str, Any] = {
            # A path would name folders of this machine.
            "clip": Path(clip).name,
            "frames_sha256": digest,
            "rival": rival.name,
            "crf": crf,
            "version": version_of(rival),
            "measurement": MEASUREMENT,
        }
        if _key(row) not in self._rows:
            measured = {
                **rival_point(rival, crf, frames),
                "commit": commit(),
                "processor": machine()["processor"],
                "version": row["version"],
            }
            # A point without MS-SSIM is measured again once its library is there.
            if not MEASURES["ms-ssim"].is_installed:
                return measured
            self._rows[_key(row)] = {**row, "point": measured}
            self._write()
        kept: Point = self._rows[_key(row)]["point"]
        return dict(kept)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"points": [*self._rows.values()]}, indent=1) + "\n")
        partial.replace(self._path)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("frames_sha256", "rival", "crf", "version", "measurement"))
