"""`manifest.json` of an export: what a player must know, as `exporter.player` and web/decoder.js read it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inrcodec.errors import UsageError
from inrcodec.version import __version__

NAME = "manifest.json"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
FORMAT, VERSION = "inrc-export", 1
OPSET = 20
"""ONNX opset: the first one with GELU and with GridSample in its current form."""


@dataclass(frozen=True)
class StoredFile:
    """One value of every frame of a segment, frame after frame in one little-endian file."""

    file: str
    """Name in the manifest's folder."""
    type: str
    """`float32`, `int32`, `int16` or `int8`; a graph takes float32."""
    shape: tuple[int, ...]
    """Shape of one frame's value, with a first axis of 1."""
    scale: float
    """Factor by which the stored values are multiplied."""
    offsets: tuple[int, ...] | None
    """Bytes at which each frame's gzip stream begins and the last one ends; None if not compressed."""


@dataclass(frozen=True)
class GraphFile:
    """An ONNX model. Its `inputs` are the values `stored`, then the states of each reference in turn."""

    file: str
    stored: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """`frame`, uint8 (1, height, width, 3), or states."""


@dataclass(frozen=True)
class ExportedSegment:
    """A run of frames made by its own models."""

    first_frame: int
    frame_count: int
    family: str
    stored: Mapping[str, StoredFile]
    shown: GraphFile
    """Makes the frame from stored values and the frame's own states, if there are any."""
    states: tuple[str, ...]
    makers: Mapping[str, GraphFile]
    """Models that make a frame's states, by its number of references (`0`, `1`, `2`)."""
    references: tuple[tuple[int, ...], ...]
    """References of each frame, counted from the segment's first frame; empty without states."""


@dataclass(frozen=True)
class Manifest:
    """Description of an export, stored beside its files."""

    source: str
    """Name of the .inrv file."""
    width: int
    """Width of the frames as displayed, pixels."""
    height: int
    frame_count: int
    frame_rate: str
    """Frames per second, a fraction such as `30000/1001`."""
    times: tuple[float, ...] | None
    """Time at which each frame is shown, seconds; None at a constant rate."""
    sample_aspect_ratio: float
    """Width of a pixel over its height."""
    segments: tuple[ExportedSegment, ...]
    opset: int = OPSET
    last_seconds: float | None = None
    """How long the last frame is shown; None in exports from before it was stored: 1 / `frame_rate`."""
    file_bytes: int | None = None
    """Size of the .inrv file; None in exports from before it was stored."""
    poster: str | None = None
    """A JPEG file of the first frame for the page to show while it loads; None without a page."""
    runtime: Mapping[str, str] | None = None
    """SHA-256 of the page's WebAssembly files, by which a browser keeps them; None without a page."""

    def dump(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`; raises `OSError`."""
        head = {"format": FORMAT, "version": VERSION, "generator": f"inrc {__version__}"}
        text = json.dumps(head | asdict(self), indent=1, allow_nan=False)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """Read what `Manifest.dump` wrote; raises `UsageError` unless it is an export of this version."""
    try:
        found: dict[str, Any] = _with_tuples(json.loads((folder / NAME).read_text(encoding="utf-8")))
        if (found.pop("format"), found.pop("version")) != (FORMAT, VERSION):
            raise UsageError(
                f"{folder} is not an export that this version of inrc reads; export the file again"
            )
        found.pop("generator")
        segments = tuple(_segment(one) for one in found.pop("segments"))
        return Manifest(segments=segments, **found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} is not an inrc export: {type(error).__name__}: {error}") from error


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export of any version, which may be replaced."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def _with_tuples(value: Any) -> Any:
    """The value with tuples in place of lists, as the dataclasses have them."""
    if isinstance(value, list):
        return tuple(map(_with_tuples, value))
    if isinstance(value, dict):
        return {key: _with_tuples(one) for key, one in value.items()}
    return value


def _segment(found: dict[str, Any]) -> ExportedSegment:
    stored = {name: StoredFile(**one) for name, one in found.pop("stored").items()}
    makers = {count: GraphFile(**one) for count, one in found.pop("makers").items()}
    shown = GraphFile(**found.pop("shown"))
    for name in (shown.file, *(one.file for one in stored.values()), *(one.file for one in makers.values())):
        # The folder may come from anywhere, so nothing outside it is opened.
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"expected the name of a file in the folder, found {name!r}")
    return ExportedSegment(stored=stored, makers=makers, shown=shown, **found)
