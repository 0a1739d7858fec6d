"""A decoder that renders each frame independently, from that frame's own values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inrcodec.models.graphs import FrameGraphs, Graph, Stored

Values = Mapping[str, Tensor]


class PerFrameDecoder:
    """A `FrameDecoder` and `GraphDecoder`: `render` of the `values_at` positions (B,), each (B, ...)."""

    def __init__(
        self, frame_count: int, values_at: Callable[[Tensor], Values], render: Callable[[Values], Tensor]
    ) -> None:
        self._frame_count, self._values_at, self._render = frame_count, values_at, render

    def __call__(self, positions: Tensor) -> Tensor:
        """See `FrameDecoder`."""
        return self._render(self._values_at(positions))

    def graphs(self) -> FrameGraphs:
        """See `GraphDecoder`; needs the tensors on the CPU."""
        values = self._values_at(torch.arange(1))

        def shown(*arguments: Tensor) -> tuple[Tensor]:
            return (self._render(dict(zip(values, arguments, strict=True))),)

        stored = {name: Stored(_ComputedValues(self._values_at, name, self._frame_count)) for name in values}
        return FrameGraphs(stored, Graph(shown, tuple(values)))


class _ComputedValues:
    """`FrameValues` that are computed for each slice: there may be 2^24 frames."""

    def __init__(self, values_at: Callable[[Tensor], Values], name: str, frame_count: int) -> None:
        self._values_at, self._name, self._frame_count = values_at, name, frame_count

    def __len__(self) -> int:
        return self._frame_count

    def __getitem__(self, frames: slice) -> Tensor:
        start, stop, step = frames.indices(self._frame_count)
        return self._values_at(torch.arange(start, stop, step))[self._name].float()
