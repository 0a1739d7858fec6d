"""Divides the time of an `inrc` fit among its parts, by the deadline or by the requested epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inrcodec.errors import TargetUnreachable
from inrcodec.fit.training.clock import Clock, StepClock, WallClock
from inrcodec.progress import Progress
from inrcodec.system.deadline import Deadline

MOST_REFINEMENTS, FEWEST_REFINEMENTS = 144, 4
"""Bounds of the rounds of motion refinement."""
REFINEMENTS_AN_EPOCH = 2
"""Rounds of motion refinement for each epoch of a fit without a deadline."""
MOST_TURNS, TURN_ROUNDS = 24, 48
"""Most turns of refining and searching motion after the first, and the rounds that one counts as."""
REFINING_SHARE = 0.3
"""Share of the remaining time that motion refinement may take."""
NETWORK_FRAMES = 4
"""Frames that one optimiser step of the network counts as, to convert steps to epochs."""
SEARCHING_SHARE, FIRST_SHARE = 0.25, 0.1
"""Share of the remaining time that motion search may take, and that each part of the work may take between it
and the first trial."""
BEGINNING_TRIALS, BEGINNING_ROUNDS = 64, 24
"""Trials for which there must be time, or rounds of motion refinement, for a fit to begin in two ways."""
RESERVED_TRIALS = 2
"""Trials of coding to size for which time is left after the network."""
CHECK = 1.0
"""Time for decoding and measuring the file, in trials."""
MOST_LATENESS = 0.5
"""Share of the time by which a file may come late if the first passes took too long."""

PASSES, ROUND, TURN, NETWORK_PASS = 16.5, 0.1, 7.0, 0.4
"""Time of a fit by epochs after its first passes, in latent passes: for the passes of the step searches with
their entropy models, the search of nodes and the coding; for a round of motion refinement; for another turn;
and for network steps that see as many pixels as all frames have. The figures are rough: they were counted for
two clips of 176x144 and 480x270."""


def passes_of(epochs: float) -> float:
    """The time of a fit by `epochs` without network steps, in latent passes after its first ones."""
    return PASSES + ROUND * _refining_rounds(epochs) + TURN * _further_turns(epochs)


def _refining_rounds(epochs: float) -> int:
    return round(min(MOST_REFINEMENTS, max(FEWEST_REFINEMENTS, REFINEMENTS_AN_EPOCH * epochs)))


def _further_turns(epochs: float) -> int:
    rounds = REFINEMENTS_AN_EPOCH * epochs - MOST_REFINEMENTS
    return min(MOST_TURNS, max(0, int(rounds // TURN_ROUNDS)))


class Cost:
    """Seconds that a repeated piece of work takes: a rise counts at once, a fall by a third.

    The second time counts alone: the first one also prepares what all others use.
    """

    def __init__(self) -> None:
        self.seconds = self.last = 0.0
        self._count = 0

    @contextmanager
    def timed(self, pieces: int = 1) -> Iterator[None]:
        """Measure the work in this context, which consists of equal `pieces`."""
        started = time.monotonic()
        yield
        self.add((time.monotonic() - started) / pieces)

    def add(self, seconds: float) -> None:
        before = seconds if self._count < 2 else self.seconds
        self.seconds, self.last = max(seconds, (2 * before + seconds) / 3), seconds
        self._count += 1


class Pace:
    """Plans by what choosing the latents of all frames and entropy coding took when they were last done."""

    def __init__(self, deadline: Deadline, epochs: float, frame_count: int, step_share: float) -> None:
        """Without a deadline the fit takes `epochs` passes over the frames.

        A step of the network sees the fraction `step_share` of the pixels of all frames.
        """
        self._deadline, self._epochs, self._frame_count = deadline, epochs, frame_count
        self._step_share = step_share
        self._started = time.monotonic()
        self.choosing, self.coding = Cost(), Cost()
        self.refining, self.searching = Cost(), Cost()
        """Time of a round of motion refinement, and of the search of the nodes of one frame."""
        self.has_begun = False

    @property
    def is_limited(self) -> bool:
        """Whether there is a deadline."""
        return self._deadline.is_limited

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def epochs(self, network_steps: int) -> float:
        """The requested epochs, or with a deadline those that `network_steps` amount to."""
        if not self._deadline.is_limited:
            return self._epochs
        return NETWORK_FRAMES * network_steps / self._frame_count

    def begin(self, progress: Progress, has_network: bool) -> None:
        """Report how long the fit will take. Raises `TargetUnreachable` if the time is too short."""
        self.has_begun = True
        if not self._deadline.is_limited:
            network = NETWORK_PASS * self._network_steps * self._step_share if has_network else 0.0
            passes = passes_of(self._epochs) + network
            # The first pass also loads libraries and allocates memory, so the last one counts.
            progress.expect(passes * self.choosing.last, self._epochs)
            return
        # A file that comes a little late is worth more than a refusal at the end of the time.
        allowed = self._deadline.left + MOST_LATENESS * (self._deadline.seconds or 0.0)
        if self._seconds_of(1) > allowed:
            more = math.ceil(self._seconds_of(RESERVED_TRIALS) - self._deadline.left)
            raise TargetUnreachable(f"--time is too short to fit anything; give at least {more} seconds more")
        progress.expect(max(self._deadline.left, self._seconds_of(1)), None)

    @property
    def trial_seconds(self) -> float:
        """Seconds to choose and code the latents of all frames once."""
        return self.choosing.seconds + self.coding.seconds

    def _seconds_of(self, trials: float) -> float:
        return (trials + CHECK) * self.trial_seconds

    def is_late(self, trials: float) -> bool:
        """Whether `trials` more trials, and the check, would miss the deadline."""
        return self._seconds_of(trials) > self._deadline.left

    def may_begin_again(self) -> bool:
        """Whether the first passes are a small part of the fit, so that it can be begun in two ways."""
        if self._deadline.is_limited:
            return not self.is_late(BEGINNING_TRIALS)
        return self.refining_rounds() >= BEGINNING_ROUNDS

    def lasts(self, share: float) -> Callable[[], bool]:
        """A function that is true until `share` of the time that is left now has passed."""
        ends = self.end_of(share)
        return lambda: time.monotonic() < ends

    def end_of(self, share: float) -> float:
        """`time.monotonic()` when `share` of the time that is left now has passed."""
        return time.monotonic() + share * max(0.0, self._deadline.left)

    def rounds_until(self, ends: float, trials: float) -> int:
        """Rounds of motion refinement for which there is time until `ends`.

        There must be time for a search of all nodes and for `trials` trials after them.
        """
        if not self._deadline.is_limited:
            return MOST_REFINEMENTS
        round_seconds = self.refining.seconds or ROUND * self.choosing.seconds
        after = self._frame_count * self.searching.seconds + self._seconds_of(trials)
        seconds = min(ends, self._deadline.ends - after) - time.monotonic()
        return int(max(0.0, seconds) / max(round_seconds, 1e-9))

    def refining_rounds(self) -> int:
        if self._deadline.is_limited:
            return MOST_REFINEMENTS
        return _refining_rounds(self._epochs)

    def further_turns(self) -> int:
        """Turns of refining and searching motion after the first: with a deadline while there is time."""
        if self._deadline.is_limited:
            return MOST_TURNS
        return _further_turns(self._epochs)

    def network_clock(self) -> Clock:
        if not self._deadline.is_limited:
            return StepClock(self._network_steps)
        return WallClock(self._deadline.ends, reserve=self._seconds_of(RESERVED_TRIALS))

    @property
    def _network_steps(self) -> int:
        """Steps of the network in a fit by epochs."""
        return max(1, round(self._epochs * self._frame_count / NETWORK_FRAMES))
