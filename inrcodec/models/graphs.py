"""A decoder said in graphs of fixed shapes, which other programs can run: what an export asks of a family.

    values stored of a frame, states of its references --maker--> states of the frame
    values stored of a frame, its own states           --shown--> the frame

A network that makes each frame by itself has only the last line, without states. Free of torch at import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Stored:
    """A value that every frame of a segment has: `scale` times `values`."""

    values: Tensor
    """(T, ...), float32 or whole numbers; a graph takes those of one frame as float32 (1, ...)."""
    scale: float = 1.0


@dataclass(frozen=True)
class Graph:
    """A function of float32 tensors (1, ...) whose shapes and operations are the same for all frames."""

    function: Callable[..., tuple[Tensor, ...]]
    """Takes the `stored` values in this order, then states: of each reference in turn, or a frame's own."""
    stored: tuple[str, ...]
    name: str = ""
    """Of what depends on nothing but shapes: graphs of one name and of equal shapes are the same."""


@dataclass(frozen=True)
class FrameGraphs:
    """How the frames of one segment are made."""

    stored: Mapping[str, Stored]
    shown: Graph
    """Gives one tensor, the frame: (1, 3, height, width), in [0, 1] but for what overshoots."""
    states: tuple[str, ...] = ()
    """Names of what is kept of a frame for those that are made from it."""
    makers: Mapping[int, Graph] = field(default_factory=dict)
    """By the number of references: gives the states of a frame."""
    references: tuple[tuple[int, ...], ...] = ()
    """Of each frame, counted from the segment's first; empty where there are no states."""


@runtime_checkable
class GraphDecoder(Protocol):
    """A `FrameDecoder` that can be exported."""

    def graphs(self) -> FrameGraphs: ...
