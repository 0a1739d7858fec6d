"""What a fit remembers from step to step besides its weights: the order of frames, the norm of gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CLIP_FACTOR, CLIP_MEMORY = 2.0, 0.99
"""Gradients are cut to this multiple of their norm's running mean, and how long the mean remembers."""


class Clipping:
    """Scales down gradients whose norm is far above its running mean: at the high rates that short fits need,
    one such step would throw a fit back by many decibels."""

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
    """Endless batches of frame indices on a device: every pass a new order, from the seed.

    Frames drawn by the root of their error were no better (HNeRV, 3 epochs of Bunny at a quarter).
    """

    def __init__(self, frame_count: int, batch_frames: int, seed: int, device: torch.device) -> None:
        self._frame_count, self._batch_frames = frame_count, batch_frames
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64, device=device)

    def next(self) -> Tensor:
        """Indices (B,)."""
        while len(self._order) < self._batch_frames:
            # One copy to the device a pass: a copy a step would make the loop wait for the device.
            order = torch.randperm(self._frame_count, generator=self._generator)
            self._order = torch.cat([self._order, order.to(self._order.device)])
        batch, self._order = self._order[: self._batch_frames], self._order[self._batch_frames :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        # A slice would be saved with all that it is a slice of.
        return {"generator": self._generator.get_state(), "order": self._order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._generator.set_state(state["generator"].cpu())
        self._order = state["order"]


class Noise:
    """A generator on a device, as one more thing with a state."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"].cpu())
