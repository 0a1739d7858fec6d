"""The last step of rate control: scale the quantisation steps until the coded size meets its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitstream import Section
from inrcodec.coding.sections import Arrays, Steps, encode_section, to_rows
from inrcodec.models.family import STEPPED_ROLES, TensorSpec
from inrcodec.search import share_between
from inrcodec.system.deadline import Deadline

LARGEST_SYMBOL = 20_000
"""Steps are never so fine that a symbol would be larger than this."""
LEAST_STEP = 1e-30
"""Far above the smallest float32, so that the step of a tensor of zeros does not become zero."""
SMALLEST_FACTOR, LARGEST_FACTOR = 2.0**-16, 2.0**16
FIRST_GROWTH = 1.03
GOOD_FILL = 0.998
"""A file that fills this share of its limit is not worth another trial."""
FEW_TRIALS, TRIALS = 8, 24
NO_DEADLINE = Deadline()


@dataclass(frozen=True)
class CodedTensors:
    """Coded sections, the factor on all trained steps that gave them, and the size of their file."""

    sections: tuple[Section, ...]
    factor: float
    file_bytes: int
    ran_out_of_time: bool = False
    """Whether trials for a larger file stopped because of the deadline."""


class SectionCoder:
    """Codes a segment's tensors at any common factor on the trained steps; others are coded only once."""

    def __init__(self, specs: Sequence[TensorSpec], values: Arrays, steps: Mapping[str, Steps]) -> None:
        self._specs, self._values, self._steps = tuple(specs), values, steps
        self._fixed = {
            spec.name: encode_section(spec, values[spec.name], None)
            for spec in specs
            if spec.role not in STEPPED_ROLES
        }

    def code(self, factor: float) -> tuple[Section, ...]:
        """All sections with every step multiplied by `factor`, but never so fine that symbols overflow."""
        return tuple(
            self._fixed[spec.name] if spec.name in self._fixed else self._stepped(spec, factor)
            for spec in self._specs
        )

    def _stepped(self, spec: TensorSpec, factor: float) -> Section:
        value = self._values[spec.name]
        steps = np.atleast_1d(np.asarray(self._steps[spec.name], dtype=np.float64))
        rows = to_rows(spec, np.abs(value)) if len(steps) > 1 else np.abs(value).reshape(1, -1)
        finest = rows.max(axis=1, initial=0.0).astype(np.float64) / LARGEST_SYMBOL
        limited = np.maximum(np.maximum(steps * factor, finest), LEAST_STEP)
        if 2 * np.abs(value).max(initial=0.0) < limited.max():
            # All symbols are zero, for which one step takes fewer bytes than one per row.
            limited = limited.max(keepdims=True)
        return encode_section(spec, value, tuple(limited.tolist()))


def fit_to_size(
    coder: SectionCoder,
    measure: Callable[[tuple[Section, ...]], int],
    limit_bytes: int,
    least_bytes: int,
    may_refine: bool = True,
    deadline: Deadline = NO_DEADLINE,
) -> CodedTensors | None:
    """Sections whose file, as `measure` counts its bytes, is within `least_bytes`..`limit_bytes`.

    Prefers the trained steps unchanged, because training has rounded to them. Otherwise brackets the
    logarithm of the factor, interpolates between factors that fit and that do not, and returns about the
    largest file that fits, even if it is smaller than `least_bytes`. Returns None if the coarsest steps do
    not fit. Without `may_refine` no step becomes finer than trained, and a smaller file stays unchanged.
    Once something fits, no trial begins that would miss the deadline if it took as long as the last one.
    """
    trial_seconds = 0.0

    def attempt(factor: float) -> CodedTensors:
        nonlocal trial_seconds
        before = deadline.left
        sections = coder.code(factor)
        coded = CodedTensors(sections, factor, measure(sections))
        if deadline.is_limited:
            trial_seconds = before - deadline.left
        return coded

    def is_late() -> bool:
        return deadline.left < trial_seconds

    current = attempt(1.0)
    too_large = current.file_bytes > limit_bytes
    if not too_large and (current.file_bytes >= least_bytes or not may_refine):
        return current
    previous, growth = current, FIRST_GROWTH if too_large else 1 / FIRST_GROWTH
    while (current.file_bytes > limit_bytes) == too_large:
        if not SMALLEST_FACTOR < current.factor < LARGEST_FACTOR:
            return None if too_large else current
        if not too_large and is_late():
            return replace(current, ran_out_of_time=True)
        previous, current = current, attempt(current.factor * growth)
        growth *= growth
    fits, exceeds = (current, previous) if too_large else (previous, current)
    return _largest_between(attempt, is_late, fits, exceeds, limit_bytes, least_bytes)


def _largest_between(
    attempt: Callable[[float], CodedTensors],
    is_late: Callable[[], bool],
    fits: CodedTensors,
    exceeds: CodedTensors,
    limit_bytes: int,
    least_bytes: int,
) -> CodedTensors:
    """The largest file that fits, by trials between a factor that fits and one that exceeds the limit.

    A trial is where the file would just fit if its size were linear in the logarithm of the factor. After two
    trials on the same side the next is in the middle, because sizes may jump.
    """
    largest, aim = fits, limit_bytes * (1 + GOOD_FILL) / 2
    sides: list[bool] = []
    while len(sides) < TRIALS and largest.file_bytes < int(limit_bytes * GOOD_FILL):
        if len(sides) >= FEW_TRIALS and largest.file_bytes >= least_bytes:
            break
        if is_late():
            return replace(largest, ran_out_of_time=True)
        share = share_between(fits.file_bytes, exceeds.file_bytes, aim)
        if len(sides) > 1 and sides[-1] == sides[-2]:
            share = 0.5
        trial = attempt(fits.factor ** (1 - share) * exceeds.factor**share)
        sides.append(trial.file_bytes <= limit_bytes)
        if sides[-1]:
            fits, largest = trial, max(largest, trial, key=lambda one: one.file_bytes)
        else:
            exceeds = trial
    return largest
