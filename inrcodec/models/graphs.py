"""A decoder as graphs of fixed shapes, which other programs can run: what a family provides for an export.

    stored values of a frame, states of its references --maker--> states of the frame
    stored values of a frame, its own states           --shown--> the frame

A network that renders each frame independently has only the last line, without states. Importing this module
does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


class FrameValues(Protocol):
    """The values of T frames, in order: a tensor, or values that are computed where they are sliced."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice) -> Tensor: ...


@dataclass(frozen=True)
class Stored:
    """A value stored for every frame of a segment: `scale` times `values`."""

    values: FrameValues
    """(T, ...), float32 or integers; a graph takes the values of one frame as float32 (1, ...)."""
    scale: float = 1.0


@dataclass(frozen=True)
class Graph:
    """A function of float32 tensors (1, ...) whose shapes and operations are the same for all frames."""

    function: Callable[..., tuple[Tensor, ...]]
    """Takes the `stored` values in order, then the states of each reference in turn or the frame's own."""
    stored: tuple[str, ...]
    name: str = ""
    """Given if the graph depends on shapes alone: graphs of equal names and shapes are then identical."""


@dataclass(frozen=True)
class FrameGraphs:
    """The graphs and stored values that render the frames of one segment."""

    stored: Mapping[str, Stored]
    shown: Graph
    """Returns one tensor, the frame: (1, 3, height, width), in [0, 1] apart from overshoot."""
    states: tuple[str, ...] = ()
    """Names of the tensors of a frame that are kept for frames predicted from it."""
    makers: Mapping[int, Graph] = field(default_factory=dict)
    """By number of references: the graph that returns the states of a frame."""
    references: tuple[tuple[int, ...], ...] = ()
    """For each frame, its references, counted from the segment's first; empty without states."""


@runtime_checkable
class GraphDecoder(Protocol):
    """A `FrameDecoder` that can be exported."""

    def graphs(self) -> FrameGraphs: ...
