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
        values = self._values_at(torch.arange(self._frame_count))

        def shown(*arguments: Tensor) -> tuple[Tensor]:
            return (self._render(dict(zip(values, arguments, strict=True))),)

        stored = {name: Stored(value.float()) for name, value in values.items()}
        return FrameGraphs(stored, Graph(shown, tuple(values)))
