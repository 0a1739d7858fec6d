"""State of a fit besides parameters and optimisers: norm of gradients, order of frames, noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CLIP_FACTOR, CLIP_MEMORY = 2.0, 0.99
"""Maximum norm of gradients relative to its running mean, and the decay of that mean per step."""


class Clipping:
    """Scales down gradients whose norm is far above its running mean.

    At the high learning rates that short fits need, one such step would cost many decibels.
    """

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self._parameters = parameters
        self._mean_norm: Tensor | None = None

    def apply(self) -> None:
        gradients = [one.grad for one in self._parameters if one.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        limit = norm if self._mean_norm is None else CLIP_FACTOR * self._mean_norm
        factor = (limit / (norm + 1e-12)).clamp(max=1.0)
        torch._foreach_mul_(gradients, factor)
        before = norm if self._mean_norm is None else self._mean_norm
        self._mean_norm = CLIP_MEMORY * before + (1 - CLIP_MEMORY) * factor * norm

    def state_dict(self) -> dict[str, Any]:
        return {"mean_norm": self._mean_norm}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._mean_norm = state["mean_norm"]


class Batches:
    """Endless batches of frame indices on a device, in a new order per pass that depends on the seed.

    Sampling frames in proportion to the root of their error was no better (HNeRV, 3 epochs of Bunny at
    quarter size).
    """

    def __init__(self, frame_count: int, batch_frames: int, seed: int, device: torch.device) -> None:
        self._frame_count, self._batch_frames = frame_count, batch_frames
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64, device=device)

    def next(self) -> Tensor:
        """Indices (B,)."""
        while len(self._order) < self._batch_frames:
            # One copy to the device per pass: a copy per step would make the loop wait for the device.
            order = torch.randperm(self._frame_count, generator=self._generator)
            self._order = torch.cat([self._order, order.to(self._order.device)])
        batch, self._order = self._order[: self._batch_frames], self._order[self._batch_frames :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        # Saving a slice would save the whole tensor behind it.
        return {"generator": self._generator.get_state(), "order": self._order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._generator.set_state(state["generator"].cpu())
        self._order = state["order"]


class Noise:
    """A random generator on a device, as a `checkpoint.Stateful`."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"].cpu())
