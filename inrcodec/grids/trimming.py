"""Fills the bytes: latents are chosen at ever closer steps, and coded for real each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitstream import Section
from inrcodec.errors import NetworkTooLarge
from inrcodec.grids.steps import LEAST_STEP, StepSearch

TRIALS, FEW_TRIALS = 10, 3
"""At most, and those that may look for a file that is fuller than it must be."""
AIM, GOOD_FILL = 0.99, 0.985
"""Of the bytes: what trials aim at, and what the few are content with."""
LATE_FACTOR = 1.15
"""What a step grows by at least when time is over and nothing has fitted."""


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
        enough = filled_bytes if number > FEW_TRIALS else max(filled_bytes, GOOD_FILL * target_bytes)
        if best is not None and (best.size >= enough or is_late(1 if best.size >= filled_bytes else 0)):
            break
        search.add(step, trial.latent_bytes)
        following = search.next(AIM * target_bytes - (trial.size - trial.latent_bytes))
        if best is None and is_late(1):
            following = max(following, LATE_FACTOR * step)
        following = max(LEAST_STEP, following)
        if abs(following / step - 1) < 1e-5:
            break
        step = following
    if best is None:
        raise NetworkTooLarge("motion, coarse latents and their entropy models of this inrc", least)
    return best
