"""The time that work may take, which can be shared out over its parts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

LEAST_SECONDS = 0.01
"""No part has less, however late it is: an encode refuses what is too short with a message of its own."""


@dataclass(frozen=True)
class Deadline:
    """`seconds` from `started`, or no limit. A copy that is sent elsewhere ends at the same moment."""

    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    """`time.monotonic()`."""

    @property
    def is_limited(self) -> bool:
        """Whether there is an end at all."""
        return self.seconds is not None

    @property
    def ends(self) -> float:
        """`time.monotonic()` of the end; infinite without a limit."""
        return math.inf if self.seconds is None else self.started + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the end, less than 0 after it; infinite without a limit."""
        return self.ends - time.monotonic()

    def share(self, part: float) -> Deadline:
        """A deadline for work that begins now and may take this part, 0 to 1, of the time left."""
        return self.at_most(part * self.left)

    def at_most(self, seconds: float) -> Deadline:
        """A deadline for work that begins now, of so many seconds, but not after this one."""
        if self.seconds is None:
            return Deadline()
        return Deadline(max(LEAST_SECONDS, min(seconds, self.left)))

    def less(self, seconds: float) -> Deadline:
        """The same, so many seconds earlier: what follows the work needs them."""
        return self if self.seconds is None else replace(self, seconds=self.seconds - seconds)

    def __reduce__(self) -> tuple[object, ...]:
        # Machines share the time of day, not what `time.monotonic` counts from.
        return _from_time_of_day, (self.seconds, time.time() + self.started - time.monotonic())


def _from_time_of_day(seconds: float | None, started: float) -> Deadline:
    return Deadline(seconds, started + time.monotonic() - time.time())
