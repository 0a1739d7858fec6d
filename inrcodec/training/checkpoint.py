"""Checkpoints of a fit: all that its next step depends on, as tensors, written whole or not at all."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    """A part of a fit that can be put back as it was: modules, optimisers, and what `stepping` holds."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoints:
    """The one checkpoint of one fit, replaced at most every `interval_seconds`.

    `write(path, data)` puts the bytes in their place; it may raise nothing. Tensors are read with
    `weights_only`: a checkpoint can run no code.
    """

    def __init__(self, path: Path, interval_seconds: float, write: Callable[[Path, bytes], None]) -> None:
        self._path, self._interval_seconds, self._write = path, interval_seconds, write
        self._saved_at = time.monotonic()

    @property
    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self._path.exists()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self._interval_seconds

    def save(self, parts: Mapping[str, Stateful], position: Mapping[str, float | int | bool]) -> None:
        """Replace the checkpoint by the state of `parts` at `position`."""
        buffer = io.BytesIO()
        states = {name: part.state_dict() for name, part in parts.items()}
        torch.save({"parts": states, "position": dict(position)}, buffer)
        self._write(self._path, buffer.getvalue())
        self._saved_at = time.monotonic()

    def load(self, parts: Mapping[str, Stateful], device: torch.device) -> dict[str, Any] | None:
        """Put `parts` back as they were and return the position, or None where nothing was saved."""
        if not self.exists:
            return None
        saved = torch.load(self._path, map_location=device, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        position: dict[str, Any] = saved["position"]
        return position
