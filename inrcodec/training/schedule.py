"""How far a fit is, by steps or by the clock, and the learning rate at each point."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass
class StepClock:
    """Progress by counted steps: the same settings give the same fit."""

    total_steps: int

    def fraction(self, step: int) -> float:
        """Share of the schedule done before step `step`, 0 to 1."""
        return step / self.total_steps

    def continue_from(self, fraction: float) -> None:
        """Nothing: steps count on from where they were."""

    def seconds_left(self, step: int, steps_per_second: float) -> float:
        return (self.total_steps - step) / max(steps_per_second, 1e-9)


@dataclass
class WallClock:
    """Progress by elapsed time: the fit ends on time whatever the machine's speed."""

    deadline: float
    """`time.monotonic()` at which the fit must stop, seconds."""
    started: float = field(default_factory=time.monotonic)

    def fraction(self, step: int) -> float:
        return min(1.0, (time.monotonic() - self.started) / max(self.deadline - self.started, 1e-9))

    def continue_from(self, fraction: float) -> None:
        """Spread what is left of the schedule over the time that is left; be at `fraction` of it now."""
        now = time.monotonic()
        if fraction >= 1:
            self.started, self.deadline = now - 1, now
        else:
            self.started = now - fraction / (1 - fraction) * max(0.0, self.deadline - now)

    def seconds_left(self, step: int, steps_per_second: float) -> float:
        return max(0.0, self.deadline - time.monotonic())


Clock = StepClock | WallClock


def cosine_with_warmup(fraction: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Learning-rate factor: a linear warm-up over `warmup`, then half a cosine down to `floor`."""
    if fraction < warmup:
        return max(fraction / warmup, 0.05)
    cosine = 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))
    return floor + (1 - floor) * cosine
