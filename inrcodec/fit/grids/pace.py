"""How long the parts of a fit of `inrc` may take: by the clock, or by the epochs that were asked for."""

from __future__ import annotations

import math
import time

from inrcodec.errors import TargetUnreachable
from inrcodec.fit.training.clock import Clock, StepClock, WallClock
from inrcodec.progress import Progress
from inrcodec.system.deadline import Deadline

MOST_REFINEMENTS, FEWEST_REFINEMENTS = 144, 4
"""Rounds of refining the motion; of a fit by epochs as many as those, in these bounds."""
REFINING_SHARE = 0.5
"""Of the time, which motion may take."""
NETWORK_FRAMES = 4
"""Frames that a step of the network counts for."""
RESERVE = 6.0
"""What coding to size and checking take, in choices of all latents."""


class Pace:
    """Counts in the seconds that one choice of all latents takes, `code_seconds`."""

    def __init__(self, deadline: Deadline, epochs: float, frame_count: int) -> None:
        """Without a limit the fit has `epochs` passes over the frames."""
        self._deadline, self._epochs, self._frame_count = deadline, epochs, frame_count
        self._started = time.monotonic()
        self.code_seconds = 0.0
        self.has_begun = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def epochs(self, network_steps: int) -> float:
        """What was asked for, or what came of the time."""
        if not self._deadline.is_limited:
            return self._epochs
        return NETWORK_FRAMES * network_steps / self._frame_count

    def begin(self, progress: Progress) -> None:
        """Tell how long it will take. Raises `TargetUnreachable` where time is too short."""
        self.has_begun = True
        if not self._deadline.is_limited:
            # A round of refining and an epoch of the network both take about half as long as a choice.
            choices = 10 + 0.5 * (self.refining_rounds() + self._epochs)
            progress.expect(2 * self.seconds + choices * self.code_seconds, self._epochs)
            return
        missing = RESERVE * self.code_seconds - self._deadline.left
        if missing > 0:
            more = math.ceil(missing)
            raise TargetUnreachable(f"--time is too short to fit anything; give at least {more} seconds more")
        progress.expect(self._deadline.left, None)

    def is_late(self, passes: int) -> bool:
        """Whether so many more choices of latents would end too late, coding and checking included."""
        return (passes + RESERVE / 2) * self.code_seconds > self._deadline.left

    def refining_rounds(self) -> int:
        if self._deadline.is_limited:
            return MOST_REFINEMENTS
        return round(min(MOST_REFINEMENTS, max(FEWEST_REFINEMENTS, self._epochs)))

    def refining_ends(self) -> float:
        """The time of `time.monotonic` at which refining the motion stops."""
        return time.monotonic() + REFINING_SHARE * max(0.0, self._deadline.left)

    def network_clock(self) -> Clock:
        if not self._deadline.is_limited:
            return StepClock(max(1, round(self._epochs * self._frame_count / NETWORK_FRAMES)))
        return WallClock(self._deadline.less(RESERVE * self.code_seconds).ends)
