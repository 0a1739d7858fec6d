"""Refines the motion of a segment round by round, within the time that the pace allows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from inrcodec.fit.grids.motion import MotionFit
from inrcodec.fit.grids.pace import Pace
from inrcodec.progress import Progress

ROUNDS_A_TURN = 24
"""Rounds of refinement by gradients between prunings."""
NODE_SEARCHES = 4
"""Searches of all nodes of the finest motion grid."""
ENTROPY_ROUNDS = 16
"""Optimiser steps of fitting an entropy model again, after its symbols have changed."""
TRIALS_AFTER = 7
"""Trials for which there must be time after the refinement."""


@dataclass(frozen=True)
class MotionRounds:
    """Refines `motion`; `fineness` (T,), `step` and `price` are those of `MotionFit.refine`."""

    motion: MotionFit
    pace: Pace
    progress: Progress
    fineness: Tensor
    step: float
    price: float

    def take_turns(self, frame_count: int, turns: int) -> None:
        """Repeat `refine` and `search_nodes`, `turns` times or while there is time."""
        for _ in range(turns):
            if self.pace.is_late(TRIALS_AFTER):
                break
            self.refine(1.0, ROUNDS_A_TURN)
            self.search_nodes(frame_count)

    def refine(self, share: float, rounds: int | None = None) -> None:
        """Refine and prune in turn, for at most a `share` of the time that is left.

        Each turn restarts the learning rate schedule. The default of `rounds` is what the pace plans.
        """
        rounds, lasts, done = rounds or self.pace.refining_rounds(), self.pace.lasts(share), 0

        def goes_on() -> bool:
            nonlocal done
            done += 1
            self.progress.stage("refining motion", done, rounds)
            return lasts() and not self.pace.is_late(TRIALS_AFTER)

        while done < rounds and lasts():
            turn = min(ROUNDS_A_TURN, rounds - done)
            self.motion.refine(turn, self.fineness, self.step, self.price, goes_on)
            self.motion.fit_entropy(ENTROPY_ROUNDS)
            self.motion.prune(self.fineness, self.step, self.price)
            self.motion.fit_entropy(ENTROPY_ROUNDS)

    def search_nodes(self, frame_count: int) -> None:
        """Refine the finest grid by the prediction of the decoder; see `node_search`."""
        done, total = 0, NODE_SEARCHES * frame_count

        def goes_on(frames: int) -> bool:
            nonlocal done
            self.progress.stage("searching nodes of motion", done, total)
            done += frames
            return not self.pace.is_late(TRIALS_AFTER)

        for _ in range(NODE_SEARCHES):
            self.motion.search_nodes(self.fineness, self.step, self.price, goes_on)
            self.motion.fit_entropy(ENTROPY_ROUNDS)
