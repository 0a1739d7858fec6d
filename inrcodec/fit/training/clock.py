"""Progress of a fit, by steps or by time, and the learning rate schedule."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from inrcodec.search import within

RECENT_STEPS = 9
"""Steps whose median shows the present speed of the machine."""
MOST_SLOWDOWN = 4.0
"""Limit of the factor by which a reserve grows."""


@dataclass
class StepClock:
    """Progress by number of steps: the same settings give the same fit."""

    total_steps: int

    def fraction(self, step: int) -> float:
        """Fraction of the schedule done before step `step`, 0 to 1."""
        return step / self.total_steps

    def continue_from(self, fraction: float) -> None:
        """Do nothing: a checkpoint restores the number of steps."""

    def expected_steps(self, step: int) -> float:
        """Expected total number of steps, estimated at step `step`."""
        return self.total_steps

    def seconds_left(self, step: int, steps_per_second: float) -> float:
        return (self.total_steps - step) / max(steps_per_second, 1e-9)


@dataclass
class WallClock:
    """Progress by elapsed time: the fit ends on time at any speed of the machine."""

    deadline: float
    """`time.monotonic()` at which the fit, and what follows it, must have ended, seconds."""
    # Not `time.monotonic` itself: a test that sets the clock replaces the name in `time`.
    started: float = field(default_factory=lambda: time.monotonic())
    step_seconds: float = 0.0
    """Approximate time of a step when the fit begins; 0 if unknown: the first steps show it."""
    reserve: float = 0.0
    """Seconds that what follows the fit would take now; it takes longer if steps become slower."""
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS), init=False)
    """Durations of the last steps, seconds."""
    _last: tuple[int, float] | None = field(default=None, init=False)
    """The last step seen, and when."""
    _reached: float = field(default=0.0, init=False)

    def fraction(self, step: int) -> float:
        """Fraction of the schedule done before step `step`, 0 to 1; it never falls."""
        now = time.monotonic()
        self._observe(step, now)
        passed = (now - self.started) / max(self._ends - self.started, 1e-9)
        self._reached = min(1.0, max(self._reached, passed))
        return self._reached

    def _observe(self, step: int, now: float) -> None:
        if self._last is not None and step > self._last[0]:
            self._recent.append((now - self._last[1]) / (step - self._last[0]))
            if not self.step_seconds and len(self._recent) == RECENT_STEPS:
                self.step_seconds = median(self._recent)
        if self._last is None or step > self._last[0]:
            self._last = step, now

    @property
    def _ends(self) -> float:
        """`time.monotonic()` at which the fit must end at the present speed, seconds."""
        slowdown = 1.0
        if self.step_seconds and len(self._recent) == RECENT_STEPS:
            slowdown = within(median(self._recent) / self.step_seconds, 1.0, MOST_SLOWDOWN)
        return self.deadline - self.reserve * slowdown

    def continue_from(self, fraction: float) -> None:
        """Set the progress to `fraction` and spread the rest of the schedule over the remaining time."""
        self._reached = fraction
        if fraction < 1:
            now = time.monotonic()
            self.started = now - fraction / (1 - fraction) * max(0.0, self._ends - now)

    def expected_steps(self, step: int) -> float:
        return step + self.seconds_left(step, 0.0) / max(self.step_seconds, 1e-9)

    def seconds_left(self, step: int, steps_per_second: float) -> float:
        return max(0.0, self._ends - time.monotonic())


Clock = StepClock | WallClock


def rate_boost(steps: float, many_steps: float) -> float:
    """Factor, at least 1, on Muon's learning rate of convolution weights in a fit of fewer than `many_steps`.

    PSNR of Bunny at quarter size, 0.1 bpp, at the usual rate and at multiples of it, dB:

        HNeRV    33 steps   12.8; x3.1 19.1; x5 19.4; x7.5 17.9
                 99         21.5; x1.75 22.4; x3.1 22.2
                 132        22.7; x2.1 23.3
                 264        25.2; x1.5 25.1
        NeRV     33         12.4; x2.1 12.9; x4.4 14.3
        SNeRV    33         13.0; x1.75 16.7; x3.1 16.9
                 99         21.0; x1.5 21.3
                 132        22.2; x1.2 22.3; x2.1 21.2
        SNeRV-T  33         12.8; x1.75 13.3; x4.4 12.4
                 132        21.8; x1.5 21.9; x2.1 20.4

    Sixteen frames of Carphone at 88x72, HNeRV of width 100, 48 steps: 12.7; x4.4 28.0; x6.2 27.5. Every
    factor made supermasks worse, where Muon fitted only the encoder then. All of these fits took longer steps
    for small matrices than now. Without those, boosted fits reach 19.4 dB for HNeRV at 33 steps, 23.5 for
    HNeRV at 132, and 17.2 for SNeRV at 33.
    """
    return math.sqrt(max(1.0, many_steps / max(steps, 1.0)))


def cosine_with_warmup(fraction: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Learning rate factor: a linear warm-up over the fraction `warmup`, then half a cosine to `floor`."""
    if fraction < warmup:
        return max(fraction / warmup, 0.05)
    cosine = 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))
    return floor + (1 - floor) * cosine
