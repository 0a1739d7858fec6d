"""Finds the quantisation step of latents that fills the target bytes.

The bits of latents fall with about a power of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bitstream import Section
from inrcodec.errors import NetworkTooLarge
from inrcodec.plan.budget import AIMED_FILL, Short
from inrcodec.search import Tried, bracket, share_between, within

FIRST_STEP, FIRST_BPP = 0.9, 0.055
"""A latent step and the bits per pixel it gave for one clip, from which the step search starts."""
BITS_POWER = 1.4
"""The assumed exponent p of bits ~ step^-p, until trials show it."""
LEAST_STEP = 4e-3
"""The finest step: frames are exact up to rounding to 8 bits, and latents still far below their maximum."""
LEAST_POWER, MOST_POWER = 0.7, 3.0
"""Plausible range of the exponent."""
LARGEST_CHANGE = 3.0
"""Largest factor between the steps of consecutive trials while the target is not bracketed."""
INNER = 0.05
"""Share of the bracket that the next step stays away from each end."""
TRIALS, PATIENT_TRIALS = 10, 3
"""Maximum trials, and the usual number of first trials that aim for a fuller file than required."""
PATIENT_FILL = 0.985
"""Share of the target bytes that satisfies these first trials."""
LATER_MARGIN = 0.02
"""Share of the target bytes by which each trial after the first ones aims for less while none has fitted."""
LATE_FILL, LATE_MARGIN = 0.98, 0.25
"""Share of the target bytes that a trial aims for when time is up and none has fitted, and by how much less,
as a share of the logarithm of what the last one was too large: the power law is only about right."""


def first_step(pixel_count: int, target_bits: float) -> float:
    """A guess of the step that gives `target_bits` for a segment of `pixel_count` pixels."""
    guess: float = FIRST_STEP * (FIRST_BPP * pixel_count / target_bits) ** (1 / BITS_POWER)
    return guess


class StepSearch:
    """Proposes the next step from earlier trials. Sizes may have any unit and count as at least 1."""

    def __init__(self) -> None:
        self._trials: list[Tried] = []
        """Logarithms of steps, and negated logarithms of sizes, which rise with the step."""

    def add(self, step: float, size: float) -> None:
        self._trials.append((math.log(step), -math.log(max(size, 1.0))))

    def next(self, target: float) -> float:
        """The step to try next for the size `target`, from the trials nearest to it."""
        wanted = -math.log(max(target, 1.0))
        finer, coarser = bracket(self._trials, wanted)
        if finer is not None and coarser is not None:
            return self._between(finer, coarser, wanted)
        # Steps that leave no latents have equal sizes: start from the one on the target's side.
        onwards = 1 if coarser is None else -1
        place, value = min(self._trials, key=lambda one: (abs(one[1] - wanted), -onwards * one[0]))
        change = (wanted - value) / self._power()
        return math.exp(place + within(change, -math.log(LARGEST_CHANGE), math.log(LARGEST_CHANGE)))

    def _power(self) -> float:
        """The exponent between the last two trials, limited to the plausible range."""
        if len(self._trials) < 2:
            return BITS_POWER
        (one, first), (other, second) = self._trials[-2:]
        if abs(one - other) < 1e-3:
            return BITS_POWER
        return within((second - first) / (other - one), LEAST_POWER, MOST_POWER)

    def _between(self, finer: Tried, coarser: Tried, wanted: float) -> float:
        if finer[0] >= coarser[0]:
            # Choices depend on earlier ones, so sizes need not fall with the step: try a step in between.
            return math.exp((finer[0] + coarser[0]) / 2 + 0.01 * len(self._trials))
        share = share_between(finer[1], coarser[1], wanted, INNER)
        return math.exp(finer[0] + share * (coarser[0] - finer[0]))


@dataclass(frozen=True)
class Trial:
    """The segment coded with one step."""

    sections: tuple[Section, ...]
    size: int
    """Bytes of the whole file."""
    psnr_db: float

    @property
    def latent_bytes(self) -> int:
        return len(self.sections[-1].payload)


@dataclass(frozen=True)
class Filled:
    """The trial that was chosen, and whether trials stopped because of the deadline."""

    trial: Trial
    ran_out_of_time: bool

    def short_of(self, filled_bytes: int) -> Short | None:
        """Why the trial has fewer than `filled_bytes`; None if it has not."""
        if self.trial.size >= filled_bytes:
            return None
        return "time" if self.ran_out_of_time else "model"


def fill(
    code: Callable[[float], Trial],
    step: float,
    target_bytes: int,
    filled_bytes: int,
    is_late: Callable[[int], bool],
    report: Callable[[int, float, Trial], None],
    kept: Trial | None = None,
    patient_trials: int = PATIENT_TRIALS,
) -> Filled:
    """The best trial of at most `target_bytes`, and if possible at least `filled_bytes`.

    `code` makes the trial of a step and `step` is the first step. `report` gets the number of each trial,
    from 1, its step and the trial. `is_late(n)` says whether n more trials would miss the deadline. While the
    best trial has fewer than `filled_bytes`, or there is none but `kept`, one more may use the time reserved
    for the end; one after a full trial needs time for two. `kept`, an earlier trial that fits, is returned if
    no new one fills the bytes or has a better PSNR. The first `patient_trials` want `PATIENT_FILL`. Raises
    `NetworkTooLarge` if no trial fits.
    """

    def chosen() -> Trial | None:
        if kept is None or best is None:
            return best or kept
        return best if best.size >= filled_bytes or best.psnr_db > kept.psnr_db else kept

    search, best, least = StepSearch(), None, 0
    for number in range(1, TRIALS + 1):
        so_far = chosen()
        if so_far is not None and is_late(_trials_needed(so_far, best, filled_bytes)):
            return Filled(so_far, ran_out_of_time=True)
        trial = code(step)
        report(number, step, trial)
        least = min(least or trial.size, trial.size)
        if trial.size <= target_bytes and (best is None or trial.psnr_db > best.psnr_db):
            best = trial
        enough = filled_bytes if number > patient_trials else max(filled_bytes, PATIENT_FILL * target_bytes)
        if best is not None and best.size >= enough:
            break
        search.add(step, trial.latent_bytes)
        aim = AIMED_FILL
        if best is None and number > PATIENT_TRIALS:
            # Choices depend on earlier ones, so a coarser step may take as many bytes.
            aim -= LATER_MARGIN * (number - PATIENT_TRIALS)
        if best is None and is_late(1):
            aim = min(aim, LATE_FILL * (target_bytes / trial.size) ** LATE_MARGIN)
        following = max(LEAST_STEP, search.next(aim * target_bytes - (trial.size - trial.latent_bytes)))
        if abs(following / step - 1) < 1e-5:
            break
        step = following
    so_far = chosen()
    if so_far is None:
        raise NetworkTooLarge("the motion, coarse latents and entropy models of this inrc segment", least)
    return Filled(so_far, ran_out_of_time=False)


def _trials_needed(so_far: Trial, best: Trial | None, filled_bytes: int) -> int:
    """Trials for which there must be time to go on: more if a trial could only fill a full file better."""
    if best is None or so_far.size < filled_bytes:
        return 0
    return 2 if so_far is best else 1
