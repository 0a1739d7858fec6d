"""Refines the motion of a segment round by round, within the time that the pace allows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from inrcodec.fit.grids.motion import MotionFit
from inrcodec.fit.grids.pace import REFINING_SHARE, Pace
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.progress import Progress

ROUNDS_A_TURN = 24
"""Rounds of refinement by gradients between prunings."""
FEWEST_ROUNDS = 8
"""Rounds of such a turn for which there must be time."""
NODE_SEARCHES = 4
"""Searches of all nodes of the finest motion grid."""
ENTROPY_ROUNDS = 16
"""Optimiser steps of fitting an entropy model again, after its symbols have changed."""
TRIALS_AFTER = 5
"""Trials for which there must be time after the refinement."""


@dataclass(frozen=True)
class MotionRounds:
    """Refines `motion`; `fineness` (T,), `step` and `price` are those of `MotionFit.refine`.

    With a deadline, all work ends when there is time for `trials_after` trials only.
    """

    motion: MotionFit
    segment: SegmentPlanes
    pace: Pace
    progress: Progress
    fineness: Tensor
    step: float
    price: float
    trials_after: int = TRIALS_AFTER

    def first(self, has_network: bool) -> None:
        """Refine the motion after the first latents; with a deadline, a network needs a part of the time."""
        # A file of an older version that is continued predicts in another way than `search_nodes`.
        if not self.segment.config.is_overlapped:
            self.refine(REFINING_SHARE)
            return
        if self.pace.is_limited:
            # A search gains most in a second, so what may be cut short begins with one.
            self.search_nodes(1)
        self.refine(REFINING_SHARE)
        self.search_nodes()
        if not (self.pace.is_limited and has_network):
            self._take_turns(self.pace.further_turns())

    def again(self) -> None:
        """Refine the motion once more in a part of the time that is left."""
        self.refine(REFINING_SHARE, ROUNDS_A_TURN)
        if self.segment.config.is_overlapped:
            self.search_nodes(1)

    def _take_turns(self, turns: int) -> None:
        """Repeat `refine` and `search_nodes`, `turns` times or while there is time."""
        for _ in range(turns):
            if self.pace.is_late(self.trials_after):
                break
            self.refine(1.0, ROUNDS_A_TURN)
            self.search_nodes()

    def refine(self, share: float, rounds: int | None = None) -> None:
        """Refine and prune in turn, for at most a `share` of the time that is left.

        Each turn restarts the learning rate schedule, and with a deadline has as many rounds as there is time
        for: motion that is rounded at a high learning rate is worse than before, and so is motion that no
        search of nodes follows. The default of `rounds` is what the pace plans.
        """
        rounds, ends, done = rounds or self.pace.refining_rounds(), self.pace.end_of(share), 0

        def goes_on() -> bool:
            nonlocal done
            done += 1
            self.progress.stage("refining motion", done, rounds)
            return not self.pace.is_late(self.trials_after)

        while done < rounds:
            wanted = min(ROUNDS_A_TURN, rounds - done)
            turn = min(wanted, self.pace.rounds_until(ends, self.trials_after))
            if turn < min(FEWEST_ROUNDS, wanted):
                break
            with self.pace.refining.timed(turn):
                self.motion.refine(turn, self.fineness, self.step, self.price, goes_on)
            self.motion.fit_entropy(ENTROPY_ROUNDS)
            self.motion.prune(self.fineness, self.step, self.price)
            self.motion.fit_entropy(ENTROPY_ROUNDS)

    def search_nodes(self, searches: int | None = None) -> None:
        """Refine the finest grid by the prediction of the decoder; see `node_search`."""
        searches = searches or NODE_SEARCHES
        done, total = 0, searches * self.segment.frame_count

        def goes_on(frames: int) -> bool:
            nonlocal done
            self.progress.stage("searching nodes of motion", done, total)
            if self.pace.is_late(self.trials_after):
                return False
            done += frames
            return True

        for _ in range(searches):
            before, started = done, time.monotonic()
            self.motion.search_nodes(self.fineness, self.step, self.price, goes_on)
            if done == before:
                break
            self.pace.searching.add((time.monotonic() - started) / (done - before))
            self.motion.fit_entropy(ENTROPY_ROUNDS)
