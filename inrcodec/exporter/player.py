"""Renders an export with onnxruntime as the page does, for the export's check and for other programs."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inrcodec.exporter.manifest import ExportedSegment, GraphFile, load_manifest
from inrcodec.exporter.values import read_stored

KEPT_STATES = 16
"""Frames whose states are cached: more than a frame is made from in a group of 64."""

States = list[NDArray[np.float32]]


class Player:
    """The frames of an export, in any order; raises `UsageError` for a folder that is not an export."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self.manifest = load_manifest(self._folder)
        self._renderer: SegmentPlayer | None = None

    def __len__(self) -> int:
        return self.manifest.frame_count

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """The frame (height, width, 3)."""
        frame = range(len(self))[index]
        for segment in self.manifest.segments:
            place = frame - segment.first_frame
            if 0 <= place < segment.frame_count:
                if self._renderer is None or self._renderer.segment is not segment:
                    self._renderer = SegmentPlayer(self._folder, segment)
                return self._renderer.frame(place)
        raise IndexError(f"no segment has frame {frame}")


class SegmentPlayer:
    """The frames of one segment, counted from its first."""

    def __init__(self, folder: Path, segment: ExportedSegment) -> None:
        self._folder, self.segment = folder, segment
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._states: OrderedDict[int, States] = OrderedDict()

    def frame(self, place: int) -> NDArray[np.uint8]:
        """The frame (height, width, 3) as displayed."""
        states = self._states_of(place) if self.segment.states else []
        (shown,) = self._run(self.segment.shown, place, states)
        frame: NDArray[np.uint8] = shown[0]
        return frame

    def _states_of(self, place: int) -> States:
        """The states of a frame: cached, or made along with all that they depend on."""
        waiting = [place]
        while waiting:
            current = waiting[-1]
            references = self.segment.references[current]
            missing = [one for one in references if one not in self._states]
            if current in self._states or not missing:
                waiting.pop()
                self._keep(current, references)
            else:
                waiting += missing
        return self._states[place]

    def _keep(self, place: int, references: tuple[int, ...]) -> None:
        """Make the states of a frame whose references are cached; evict the least recently used ones."""
        for used in references:
            if used in self._states:
                self._states.move_to_end(used)
        if place not in self._states:
            given = [state for one in references for state in self._states[one]]
            self._states[place] = self._run(self.segment.makers[str(len(references))], place, given)
        self._states.move_to_end(place)
        while len(self._states) > KEPT_STATES:
            self._states.popitem(last=False)

    def _run(self, graph: GraphFile, place: int, states: States) -> States:
        if graph.file not in self._sessions:
            self._sessions[graph.file] = _session(self._folder / graph.file)
        stored = [read_stored(self._folder, self.segment.stored[name], place) for name in graph.stored]
        given = dict(zip(graph.inputs, [*stored, *states], strict=True))
        made: States = self._sessions[graph.file].run(list(graph.outputs), given)
        return made


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Errors only: remarks about a graph would go to stderr, which is not ours to write to.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
