"""A time limit that can be divided among parts of the work."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

LEAST_SECONDS = 0.01
"""Minimum time of any part, however late it is; an encode itself reports when the time is too short."""


@dataclass(frozen=True)
class Deadline:
    """A limit of `seconds` after `started`, or none. A copy sent elsewhere ends at the same moment."""

    seconds: float | None = None
    # Not `time.monotonic` itself: a test that sets the clock replaces the name in `time`.
    started: float = field(default_factory=lambda: time.monotonic())
    """Start, as `time.monotonic()`."""

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.seconds is not None

    @property
    def ends(self) -> float:
        """End, as `time.monotonic()`; infinite without a limit."""
        return math.inf if self.seconds is None else self.started + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the end, negative after it; infinite without a limit."""
        return self.ends - time.monotonic()

    def share(self, part: float) -> Deadline:
        """A deadline for work that begins now and may take the fraction `part`, 0 to 1, of the time left."""
        return self.at_most(part * self.left)

    def at_most(self, seconds: float) -> Deadline:
        """A deadline for work that begins now and may take `seconds`, but not beyond this deadline."""
        if self.seconds is None:
            return Deadline()
        return Deadline(max(LEAST_SECONDS, min(seconds, self.left)))

    def less(self, seconds: float) -> Deadline:
        """The same deadline, `seconds` earlier: they are reserved for what follows the work."""
        return self if self.seconds is None else replace(self, seconds=self.seconds - seconds)

    def __reduce__(self) -> tuple[object, ...]:
        # Machines share the time of day, but not the origin of `time.monotonic`.
        return _from_time_of_day, (self.seconds, time.time() + self.started - time.monotonic())


def _from_time_of_day(seconds: float | None, started: float) -> Deadline:
    return Deadline(seconds, started + time.monotonic() - time.time())
