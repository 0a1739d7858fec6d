"""Finds the step of the latents that fills the bytes: their bits fall with about a power of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bitstream import Section
from inrcodec.errors import NetworkTooLarge
from inrcodec.plan.budget import AIMED_FILL
from inrcodec.search import Tried, bracket, share_between, within

BITS_POWER = 1.4
"""Of the step, that bits fall with: where nothing else is known."""
LEAST_STEP = 4e-3
"""So fine that frames are exact but for their rounding to 8 bits, and latents far from their largest."""
LEAST_POWER, MOST_POWER = 0.7, 3.0
LARGEST_CHANGE = 3.0
"""Of the step from one trial to the next, while the steps tried do not lie on both sides."""
INNER = 0.05
"""Share of a bracket that the next step keeps from each end."""
TRIALS, PATIENT_TRIALS = 10, 3
"""At most, and those that may look for a file that is fuller than it must be."""
PATIENT_FILL = 0.985
"""Share of the bytes that these are content with."""
LATE_FACTOR = 1.15
"""What a step grows by at least when time is over and nothing has fitted."""


class StepSearch:
    """Trials of steps, and the next one. Sizes are in any unit, and above 0."""

    def __init__(self) -> None:
        self._trials: list[Tried] = []
        """Logarithms of steps, and of sizes, negated: they fall with the step."""

    def add(self, step: float, size: float) -> None:
        self._trials.append((math.log(step), -math.log(max(size, 1.0))))

    def next(self, target: float) -> float:
        """A step for the size `target`, from the two trials nearest to it."""
        wanted = -math.log(max(target, 1.0))
        finer, coarser = bracket(self._trials, wanted)
        if finer is not None and coarser is not None:
            return self._between(finer, coarser, wanted)
        # Of equal sizes, which a step that leaves nothing gives, the one on the wanted side.
        onwards = 1 if coarser is None else -1
        place, value = min(self._trials, key=lambda one: (abs(one[1] - wanted), -onwards * one[0]))
        change = (wanted - value) / self._power()
        return math.exp(place + within(change, -math.log(LARGEST_CHANGE), math.log(LARGEST_CHANGE)))

    def _power(self) -> float:
        """Of the last two trials, within what is plausible."""
        if len(self._trials) < 2:
            return BITS_POWER
        (one, first), (other, second) = self._trials[-2:]
        if abs(one - other) < 1e-3:
            return BITS_POWER
        return within((second - first) / (other - one), LEAST_POWER, MOST_POWER)

    def _between(self, finer: Tried, coarser: Tried, wanted: float) -> float:
        if finer[0] >= coarser[0]:
            # Sizes that do not fall with the step: choices depend on those before.
            return math.exp((finer[0] + coarser[0]) / 2 + 0.01 * len(self._trials))
        share = share_between(finer[1], coarser[1], wanted, INNER)
        return math.exp(finer[0] + share * (coarser[0] - finer[0]))


@dataclass(frozen=True)
class Trial:
    """What came of a step."""

    sections: tuple[Section, ...]
    size: int
    """Bytes of the whole file."""
    psnr_db: float

    @property
    def latent_bytes(self) -> int:
        return len(self.sections[-1].payload)


def fill(
    code: Callable[[float], Trial],
    step: float,
    target_bytes: int,
    filled_bytes: int,
    is_late: Callable[[int], bool],
    report: Callable[[int, float, Trial], None],
) -> Trial:
    """The best trial of at most `target_bytes`, of `filled_bytes` where steps can be found for that.

    `code` makes the trial of a step, `step` is the first one, and `report` gets each with its number from 1
    on. `is_late` says whether so many more would end too late; what time is kept for the end may go into one
    more where the best leaves more of the bytes than it should. Raises `NetworkTooLarge` when none fits.
    """
    search, best, least = StepSearch(), None, 0
    for number in range(1, TRIALS + 1):
        trial = code(step)
        report(number, step, trial)
        least = min(least or trial.size, trial.size)
        if trial.size <= target_bytes and (best is None or trial.psnr_db > best.psnr_db):
            best = trial
        enough = filled_bytes if number > PATIENT_TRIALS else max(filled_bytes, PATIENT_FILL * target_bytes)
        if best is not None and (best.size >= enough or is_late(1 if best.size >= filled_bytes else 0)):
            break
        search.add(step, trial.latent_bytes)
        following = search.next(AIMED_FILL * target_bytes - (trial.size - trial.latent_bytes))
        if best is None and is_late(1):
            following = max(following, LATE_FACTOR * step)
        following = max(LEAST_STEP, following)
        if abs(following / step - 1) < 1e-5:
            break
        step = following
    if best is None:
        raise NetworkTooLarge("motion, coarse latents and their entropy models of this inrc", least)
    return best
