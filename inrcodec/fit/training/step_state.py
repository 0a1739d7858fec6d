"""A step's result, and the state of a fit besides parameters and optimisers: clipping, order, noise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CLIP_FACTOR, CLIP_MEMORY = 2.0, 0.99
"""Maximum norm of gradients relative to its running mean, and the decay of that mean per step."""


@dataclass(frozen=True)
class StepResult:
    """Loss and rate of one step; all scalars."""

    error: Tensor
    """The loss without the rate term."""
    squared_error: Tensor
    """Mean squared error for the reported PSNR; has no gradient."""
    bits: Tensor
    """Estimated bits of the whole segment."""

    def detached(self) -> StepResult:
        """The same without gradients."""
        return StepResult(self.error.detach(), self.squared_error.detach(), self.bits.detach())


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
        if self._mean_norm is None:
            self._mean_norm = norm.clone()
        # In place, so that a CUDA graph can repeat it.
        self._mean_norm.lerp_(factor * norm, 1 - CLIP_MEMORY)

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
            order = torch.randperm(self._frame_count, generator=self._generator)
            # Waiting for the copy would make the loop wait for all earlier steps.
            self._order = torch.cat([self._order, order.to(self._order.device, non_blocking=True)])
        batch, self._order = self._order[: self._batch_frames], self._order[self._batch_frames :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        # Saving a slice would save the whole tensor behind it.
        return {"generator": self._generator.get_state(), "order": self._order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A checkpoint is loaded to the device of the fit.
        self._generator.set_state(state["generator"].cpu())
        self._order = state["order"]


class Noise:
    """Random numbers of each step, drawn on a device, as a `checkpoint.Stateful`.

    The generator is seeded anew for each step, by the seed of the fit and the number of the step. So the
    state is a number, and a fit that began on one device can be resumed on another.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device=device)
        self._seed, self._step = seed, 0

    def next(self) -> torch.Generator:
        """The generator of the next step."""
        self._step += 1
        return self.again()

    def again(self) -> torch.Generator:
        """The generator of the step that `next` began, once more."""
        # From seeds that differ in few bits, some generators draw similar numbers.
        mixed = hashlib.blake2b(f"{self._seed} {self._step - 1}".encode(), digest_size=8).digest()
        return self._generator.manual_seed(int.from_bytes(mixed))

    def state_dict(self) -> dict[str, Any]:
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._step = state["step"]
