"""`manifest.json` of an export: what a player has to know, as the two players here read it."""

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
"""Of ONNX: the first with GELU, and with the look-up of GridSample as it still is."""


@dataclass(frozen=True)
class StoredFile:
    """A value of every frame of a segment, frame after frame in one file, little-endian."""

    file: str
    """From the manifest's folder."""
    type: str
    """`float32`, `int32`, `int16` or `int8`; a graph takes float32."""
    shape: tuple[int, ...]
    """Of one frame's, with a first axis of 1."""
    scale: float
    """What the file holds is multiplied by it."""
    offsets: tuple[int, ...] | None
    """Where each frame's gzip stream begins and where the last one ends; None where there are none."""


@dataclass(frozen=True)
class GraphFile:
    """An ONNX model. Its `inputs` are the values `stored`, then states, of several references in turn."""

    file: str
    stored: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """`frame`, uint8 (1, height, width, 3), or states."""


@dataclass(frozen=True)
class ExportedSegment:
    """A run of frames that is made by models of its own."""

    first_frame: int
    frame_count: int
    family: str
    stored: Mapping[str, StoredFile]
    shown: GraphFile
    """Gives the frame, of stored values and of the frame's own states, if there are any."""
    states: tuple[str, ...]
    makers: Mapping[str, GraphFile]
    """By the number of references (`0`, `1`, `2`): gives a frame's states."""
    references: tuple[tuple[int, ...], ...]
    """Of each frame, counted from the segment's first; empty where there are no states."""


@dataclass(frozen=True)
class Manifest:
    """All that an export has besides its files."""

    source: str
    """Name of the .inrv file."""
    width: int
    """Pixels, of the frames as they are displayed."""
    height: int
    frame_count: int
    frame_rate: str
    """Frames a second, a fraction such as `30000/1001`."""
    times: tuple[float, ...] | None
    """Seconds at which each frame is shown; None at a constant rate."""
    sample_aspect_ratio: float
    """Width of a pixel over its height."""
    segments: tuple[ExportedSegment, ...]
    opset: int = OPSET

    def dump(self, folder: Path) -> None:
        """Write it into `folder`."""
        head = {"format": FORMAT, "version": VERSION, "generator": f"inrc {__version__}"}
        text = json.dumps(head | asdict(self), indent=1, allow_nan=False)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """What `Manifest.dump` wrote; raises `UsageError` for a folder that is no export of this version."""
    try:
        found: dict[str, Any] = _with_tuples(json.loads((folder / NAME).read_text(encoding="utf-8")))
        if (found.pop("format"), found.pop("version")) != (FORMAT, VERSION):
            raise UsageError(f"{folder} is no export that this version of inrc reads")
        found.pop("generator")
        segments = tuple(_segment(one) for one in found.pop("segments"))
        return Manifest(segments=segments, **found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} is no export of inrc: {type(error).__name__}: {error}") from error


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export of any version, which may be replaced."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def _with_tuples(value: Any) -> Any:
    """The same with tuples for lists, as the dataclasses have them."""
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
        # A folder may come from anywhere: nothing outside of it is opened.
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"expected the name of a file in the folder, found {name!r}")
    return ExportedSegment(stored=stored, makers=makers, shown=shown, **found)
