"""How the library reports: a small protocol that the console implements and tests can ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodePlan:
    """What an encode is about to do, stated before the work starts."""

    source: str
    width: int
    height: int
    frame_count: int
    model: str
    parameter_count: int
    target_bytes: int
    device: str
    expected_seconds: float | None
    """Estimate of the time the work will take, from a step and a frame that were timed; None where they were
    timed elsewhere."""
    epochs: float | None
    """Passes over the frames, or None when `--time` decides."""


@dataclass(frozen=True)
class FitReport:
    """The state of a fit at one step."""

    fraction: float
    """Elapsed share of the schedule, 0 to 1."""
    psnr_db: float
    """Running PSNR of the training batches, dB."""
    predicted_bpp: float
    steps_per_second: float
    seconds_left: float


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame of a fit; both are uint8 (height, width, 3)."""

    source: NDArray[np.uint8]
    fit: NDArray[np.uint8]


class Progress(Protocol):
    """Receives what the library has to say; every method must return quickly."""

    def plan(self, plan: EncodePlan) -> None: ...

    def fit(self, report: FitReport) -> None: ...

    def stage(self, name: str, done: int, total: int) -> None:
        """`done` of `total` units (frames, trials) of the stage `name` are finished."""

    def picture(self, draw: Callable[[], Picture]) -> None:
        """A fit could be shown as it is now: by `draw`, which takes time and is called by who wants it."""

    def note(self, message: str) -> None:
        """A warning or remark worth one line."""

    def detail(self, message: str) -> None:
        """A remark for `-v` only."""


class Silent:
    """A `Progress` that says nothing; the default of the library."""

    def plan(self, plan: EncodePlan) -> None:
        pass

    def fit(self, report: FitReport) -> None:
        pass

    def stage(self, name: str, done: int, total: int) -> None:
        pass

    def picture(self, draw: Callable[[], Picture]) -> None:
        pass

    def note(self, message: str) -> None:
        pass

    def detail(self, message: str) -> None:
        pass
