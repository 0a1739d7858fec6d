"""Checkpoints of a fit: everything that its next step depends on, as tensors behind a seal."""

from __future__ import annotations

import hmac
import io
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from inrcodec.system.private import read_own

SEAL_BYTES = 32
LAYOUT = 2
"""Number of the form of the saved states; it increases whenever a part of a fit saves something else."""


class Stateful(Protocol):
    """A part of a fit with a state to restore: modules, optimisers, and the classes of `step_state`."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoints:
    """The checkpoint of one fit; `is_due` says when `interval_seconds` have passed since it was saved.

    `seal` makes a digest of `SEAL_BYTES`, which precedes the tensors, with a key of this encode. A checkpoint
    that is damaged or belongs to another fit is reported to `note` and ignored. `write(path, data)` stores
    the bytes, whole or not at all, and must not raise. Tensors are read with `weights_only`, so a checkpoint
    cannot run code.
    """

    def __init__(
        self,
        path: Path,
        seal: Callable[[bytes], bytes],
        interval_seconds: float,
        write: Callable[[Path, bytes], None],
        note: Callable[[str], None],
    ) -> None:
        self._path, self._seal, self._interval_seconds = path, seal, interval_seconds
        self._write, self._note = write, note
        self._saved_at = time.monotonic()

    @cached_property
    def _found(self) -> bytes | None:
        """The saved tensors, serialised; None if there is no valid checkpoint."""
        try:
            data = read_own(self._path)
        except FileNotFoundError:
            return None
        except OSError:
            data = b""
        seal, content = data[:SEAL_BYTES], data[SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(content)):
            self._note(
                f"{self._path} is damaged or belongs to another encode; fitting its segment from the start"
            )
            return None
        return content

    @property
    def exists(self) -> bool:
        """Whether there is a valid checkpoint to resume from."""
        return self._found is not None

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= self._interval_seconds

    def save(self, parts: Mapping[str, Stateful], position: Mapping[str, float | int | bool]) -> None:
        """Replace the checkpoint with the state of `parts` at `position`."""
        buffer = io.BytesIO()
        states = {name: part.state_dict() for name, part in parts.items()}
        torch.save({"parts": states, "position": dict(position)}, buffer)
        content = buffer.getvalue()
        self._write(self._path, self._seal(content) + content)
        self._saved_at = time.monotonic()

    def load(self, parts: Mapping[str, Stateful], device: torch.device) -> dict[str, Any] | None:
        """Restore `parts` and return the position; None if there is no valid checkpoint."""
        if self._found is None:
            return None
        saved = torch.load(io.BytesIO(self._found), map_location=device, weights_only=True)
        del self._found
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        position: dict[str, Any] = saved["position"]
        return position
