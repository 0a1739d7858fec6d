"""Divides the time of an `inrc` fit among its parts, by the deadline or by the requested epochs."""

from __future__ import annotations

import math
import time

from inrcodec.errors import TargetUnreachable
from inrcodec.fit.training.clock import Clock, StepClock, WallClock
from inrcodec.progress import Progress
from inrcodec.system.deadline import Deadline

MOST_REFINEMENTS, FEWEST_REFINEMENTS = 144, 4
"""Bounds of the rounds of motion refinement; without a deadline there is one per epoch."""
REFINING_SHARE = 0.5
"""Share of the remaining time that motion refinement may take."""
NETWORK_FRAMES = 4
"""Frames that one optimiser step of the network counts as, to convert steps to epochs."""
RESERVE = 6.0
"""Time for coding to size and checking, in latent passes."""


class Pace:
    """Plans in latent passes: choosing and coding the latents of all frames once takes `code_seconds`."""

    def __init__(self, deadline: Deadline, epochs: float, frame_count: int) -> None:
        """Without a deadline the fit takes `epochs` passes over the frames."""
        self._deadline, self._epochs, self._frame_count = deadline, epochs, frame_count
        self._started = time.monotonic()
        self.code_seconds = 0.0
        self.has_begun = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def epochs(self, network_steps: int) -> float:
        """The requested epochs, or with a deadline those that `network_steps` amount to."""
        if not self._deadline.is_limited:
            return self._epochs
        return NETWORK_FRAMES * network_steps / self._frame_count

    def begin(self, progress: Progress) -> None:
        """Report how long the fit will take. Raises `TargetUnreachable` if the time is too short."""
        self.has_begun = True
        if not self._deadline.is_limited:
            # A round of motion refinement and an epoch of the network each take about half a latent pass.
            choices = 10 + 0.5 * (self.refining_rounds() + self._epochs)
            progress.expect(2 * self.seconds + choices * self.code_seconds, self._epochs)
            return
        missing = RESERVE * self.code_seconds - self._deadline.left
        if missing > 0:
            more = math.ceil(missing)
            raise TargetUnreachable(f"--time is too short to fit anything; give at least {more} seconds more")
        progress.expect(self._deadline.left, None)

    def is_late(self, passes: int) -> bool:
        """Whether `passes` more latent passes, coding and checking included, would miss the deadline."""
        return (passes + RESERVE / 2) * self.code_seconds > self._deadline.left

    def refining_rounds(self) -> int:
        if self._deadline.is_limited:
            return MOST_REFINEMENTS
        return round(min(MOST_REFINEMENTS, max(FEWEST_REFINEMENTS, self._epochs)))

    def refining_ends(self) -> float:
        """The `time.monotonic()` at which motion refinement must stop, seconds."""
        return time.monotonic() + REFINING_SHARE * max(0.0, self._deadline.left)

    def network_clock(self) -> Clock:
        if not self._deadline.is_limited:
            return StepClock(max(1, round(self._epochs * self._frame_count / NETWORK_FRAMES)))
        return WallClock(self._deadline.less(RESERVE * self.code_seconds).ends)
