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


def rate_boost(steps: float, many_steps: float) -> float:
    """How much higher the rate of weights of convolutions is in a fit of so few steps, by Muon; 1 or more.

    HNeRV of 136k parameters, 33 steps: at the usual rate 12.8 dB, at 3.1 times that 19.1, at 5 times 19.4, at
    7.5 times 17.9; 99 steps: 21.5, at 1.75 times 22.4, at 3.1 times 22.2; 396 steps: 26.0. At width 100, 48
    steps: 12.7, at 4.4 times 28.0, at 6.2 times 27.5; 160 steps: 30.9, at 2.5 times 32.2. SNeRV, whose
    blocks are deep, 33 steps: 13.0, at 1.75 times 16.7, at 3.1 times 16.9; 99 steps: 21.0, at 1.5 times 21.3;
    132 steps: 22.2, at 2.1 times 21.2. Supermasks, of which Muon fits the encoder alone, lost by any.
    """
    return math.sqrt(max(1.0, many_steps / max(steps, 1.0)))


def cosine_with_warmup(fraction: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Learning-rate factor: a linear warm-up over `warmup`, then half a cosine down to `floor`."""
    if fraction < warmup:
        return max(fraction / warmup, 0.05)
    cosine = 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))
    return floor + (1 - floor) * cosine
