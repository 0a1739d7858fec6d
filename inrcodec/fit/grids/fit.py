"""Fits and codes one segment of the `inrc` family with a given hierarchy, within its bytes and time.

1. Search the motion and prune it, and choose latents once.
2. Choose latents and fit the entropy models in turn, until a quantisation step gives about the target bits.
3. Refine the motion by gradients, prune it and search its nodes; then repeat 2.
4. Fit the refining network to the decoded frames.
5. Choose and code the latents again at ever closer steps, until the file fits its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Section
from inrcodec.coding.grid_sections import DecodedGrids, GridSymbols, encode_contextual
from inrcodec.fit.grids.entropy import parameters, set_parameters
from inrcodec.fit.grids.latents import LatentFit
from inrcodec.fit.grids.motion import STEP, MotionFit, searched_field, to_grids
from inrcodec.fit.grids.motion_rounds import ENTROPY_ROUNDS, TRIALS_AFTER, MotionRounds
from inrcodec.fit.grids.pace import FIRST_SHARE, SEARCHING_SHARE, Pace
from inrcodec.fit.grids.refinement import RefiningFit, coded_network
from inrcodec.fit.grids.report import Teller, picture
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.start import decoded_start, motion_grids
from inrcodec.fit.grids.step_search import (
    LEAST_STEP,
    PATIENT_TRIALS,
    Filled,
    StepSearch,
    Trial,
    fill,
    first_step,
)
from inrcodec.fit.job import FitJob, FittedSegment
from inrcodec.models.inrc.block_sizes import SIZES
from inrcodec.models.inrc.inrc import NETWORK_BITS
from inrcodec.models.inrc.prediction import step_sizes
from inrcodec.models.inrc.shapes import network_specs
from inrcodec.plan.budget import AIMED_FILL
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import Picture
from inrcodec.system.device import compute_dtype

PRICE = 0.1
"""The multiplier lambda of rate-distortion optimisation: squared error per bit, in squared latent steps."""
CLOSE, CLOSE_ENOUGH = 0.08, 0.01
"""Relative deviation from the target bits allowed before refining motion, and before fitting the network."""
SEARCHES, PRUNINGS = 4, 1
"""Maximum steps tried per step search, and pruning rounds after the motion search."""
LEAST_SHARE = 0.05
"""Minimum share of the target bits for motion and latents, whatever the rest takes."""
MOST_MOTION = 0.5
"""Share of the target bits for motion and entropy models above which motion is pruned again."""
MODEL_BITS = 8.0 * 350
"""Approximate bits of the parameters of both entropy models."""
SEARCHING_TRIALS, TRIALS_AGAIN = 3, 2
"""Trials for which there must be time to try another step, and after another refinement of a filled file."""
TRIES_AGAIN = 3
"""Refinements of a filled file in turn that may gain nothing."""
BITS_A_DB = 0.2
"""Rise of the logarithm of the bits with the PSNR in dB, about."""
FIRST_ROUNDS = 60
"""Optimiser steps of fitting an entropy model the first time; later they are `ENTROPY_ROUNDS`."""


class GridFit:
    """The fit of a segment with a given hierarchy: `begin`, then `run`."""

    _motion: MotionFit

    def __init__(self, plan: SegmentPlan, segment: SegmentPlanes, job: FitJob, pace: Pace) -> None:
        """`plan` replaces that of `job`."""
        self._plan, self._segment, self._pace = plan, segment, pace
        self._seed, self._progress = job.settings.seed, job.progress
        self._teller = Teller(job.progress, segment.frame_count, plan.video.pixel_count)
        self._latents = LatentFit(segment, is_filtered=not pace.is_limited)
        self._network_bits: float = NETWORK_BITS * sum(one.count for one in network_specs(plan.config.width))
        self._other_bits = 8.0 * plan.overhead_bytes
        self._step = first_step(plan.video.pixel_count, self._target_bits)
        self._fineness, self._coded_step = torch.ones(0), 0.0
        self._network_start: Mapping[str, NDArray[np.float32]] | None = None
        self._refining: RefiningFit | None = None

    @property
    def _target_bits(self) -> float:
        """Target bits of motion, latents and their entropy models."""
        whole: float = 8 * AIMED_FILL * self._plan.target_bytes - self._other_bits - self._network_bits
        return max(whole, LEAST_SHARE * 8 * self._plan.target_bytes)

    @property
    def _price(self) -> float:
        """The multiplier lambda as squared error of planes per bit."""
        return PRICE * self._step**2

    def begin(self) -> None:
        """Start from the `--resume-from` file's segment or search the motion, and choose latents once."""
        if (start := self._start()) is not None:
            self._network_start = start.network
            return
        self._search_motion()
        self._code()
        self._latents.fit_entropy(FIRST_ROUNDS, self._pace.lasts(FIRST_SHARE))
        # The step was a guess, and this pass shows how far it was off.
        self._step = self._next_step(StepSearch(), *self._estimated_bits())

    def begin_like(self, other: GridFit) -> None:
        """Begin with what `other`, another hierarchy of the same frames, has found."""
        segment = self._segment
        is_same = torch.from_numpy((segment.tree.references == other._segment.tree.references).all(1))
        grids = self._searched((~is_same).nonzero()[:, 0].tolist())
        for grid, known in zip(grids, other._motion.grids, strict=True):
            grid[is_same] = known.detach()[is_same]
        self._motion = MotionFit(segment, grids)
        self._step = other._step
        self._motion.entropy.start_like(other._motion.entropy)
        self._latents.start_like(other._latents)

    def first_cost(self) -> float:
        """Prune and pass once more: the logarithm of the bits, in which lower quality counts as more bits."""
        self._prune_motion(1)
        # Blocks of one size take half the time, and compare as well.
        self._code(sizes=1)
        self._latents.fit_entropy(ENTROPY_ROUNDS)
        bits = self._latents.estimated_bits() + self._motion.bits()
        return math.log(bits) - BITS_A_DB * self._latents.coded.psnr_db

    def settle(self) -> None:
        """Fit the entropy models, which began with those of another hierarchy, to the latents of this one."""
        self._motion.fit_entropy(FIRST_ROUNDS // 2)
        self._latents.fit_entropy(ENTROPY_ROUNDS)

    def run(self) -> FittedSegment:
        """Fit and code the segment after `begin`; raises `TargetUnreachable` if it does not fit."""
        self._find_step(CLOSE, SEARCHES)
        # A complete segment without a network, which is kept in case that time runs out later.
        without = coded_network(self._plan.config.width)
        early = self._filled(without, None, patient_trials=0) if self._pace.is_limited else None
        if not self._pace.is_late(TRIALS_AFTER):
            self._latents.is_filtered = True
            self._rounds().first(has_network=self._plan.config.width > 0)
            self._find_step(CLOSE_ENOUGH, SEARCHES)
        if self._plan.config.width:
            self._segment.forget_small_components()
        refining = RefiningFit(self._segment, self._seed, self._network_start)
        steps = self._fit_network(refining)
        filled = self._filled(coded_network(self._plan.config.width, refining), early)
        # Time that was kept back for trials and not needed improves the motion; a network has used its own.
        tries = TRIES_AGAIN if self._pace.is_limited and self._segment.frame_count > 1 and not steps else 0
        while tries and not self._pace.is_late(TRIALS_AGAIN):
            before, filled = filled, self._again(filled)
            tries = tries - 1 if filled is before else TRIES_AGAIN
        course, trial = tuple(self._teller.course.points), filled.trial
        epochs, seconds = self._pace.epochs(steps), self._pace.seconds
        short = filled.short_of(self._plan.filled_bytes)
        return FittedSegment(self._plan, trial.sections, steps, epochs, seconds, course, short_of_size=short)

    def _again(self, filled: Filled) -> Filled:
        """Refine the motion and fill the bytes again; returns `filled` itself if that has no lower PSNR."""
        self._rounds(TRIALS_AGAIN).again()
        self._code()
        self._latents.fit_entropy(ENTROPY_ROUNDS)
        again = self._filled(coded_network(self._plan.config.width), filled, patient_trials=0)
        return again if again.trial.psnr_db > filled.trial.psnr_db else filled

    def _search_motion(self) -> None:
        """Search and prune motion; with a deadline, in a part of the time."""
        self._motion = MotionFit(self._segment, self._searched())
        self._motion.fit_entropy(FIRST_ROUNDS // 2, self._pace.lasts(FIRST_SHARE))
        self._prune_motion(PRUNINGS, self._pace.lasts(FIRST_SHARE))

    def _searched(self, frames: Sequence[int] | None = None) -> list[torch.Tensor]:
        """Grids with the motion of `frames`, by default all; with a deadline, found in a part of the time."""
        lasts = self._pace.lasts(SEARCHING_SHARE) if self._pace.is_limited else None
        report = partial(self._progress.stage, "searching motion")
        return to_grids(searched_field(self._segment, report, lasts, frames))

    def _filled(
        self, network: tuple[Section, ...], early: Filled | None, patient_trials: int = PATIENT_TRIALS
    ) -> Filled:
        return fill(
            lambda step: self._trial(step, network),
            self._step,
            self._plan.target_bytes,
            self._plan.filled_bytes,
            self._pace.is_late,
            self._teller.trial,
            None if early is None else early.trial,
            patient_trials,
        )

    def _start(self) -> DecodedGrids | None:
        """Start from the `--resume-from` file's segment, if there is one."""
        segment, start = self._segment, decoded_start(self._plan)
        if start is not None:
            self._motion = MotionFit(segment, motion_grids(start, self._plan, segment.device))
            set_parameters((self._latents.entropy, self._motion.entropy), start.parameters)
            self._latents.start(start.symbols)
            self._step = start.symbols.latent_step
        return start

    def _code(self, sizes: int = SIZES) -> None:
        """Choose latents for the current motion and step, with the first `sizes` of groups."""
        with self._pace.choosing.timed():
            field = self._motion.field()
            self._fineness = step_sizes(field, self._segment.tree, *self._segment.config.fineness)
            self._latents.code(field, self._fineness * self._step, PRICE, sizes)
        self._coded_step = self._step
        self._progress.picture(self._picture)

    def _find_step(self, close: float, most: int) -> None:
        """Choose latents and fit their entropy model at up to `most` steps, until the bits are close enough.

        `close` is the accepted relative deviation from the target bits.
        """
        search = StepSearch()
        for number in range(most):
            self._code()
            if not self._pace.has_begun:
                self._sections(())  # Only to measure entropy coding.
                self._pace.begin(self._progress, has_network=self._plan.config.width > 0)
            self._latents.fit_entropy(ENTROPY_ROUNDS)
            latents, others = self._estimated_bits()
            bits = latents + others
            rest, psnr_db = self._network_bits + self._other_bits, self._latents.coded.psnr_db
            motion = others - MODEL_BITS
            self._teller.step_tried(self._step, bits, self._target_bits, motion, rest, psnr_db)
            self._progress.stage("finding the quantisation step", number + 1, most)
            is_finest = bits < self._target_bits and self._step <= LEAST_STEP
            if is_finest or abs(bits / self._target_bits - 1) < close:
                return
            self._step = self._next_step(search, latents, others)
            if self._pace.is_late(SEARCHING_TRIALS):
                return  # The next trial is of this step.
            if others > MOST_MOTION * self._target_bits:
                self._prune_motion(1)
        self._code()

    def _next_step(self, search: StepSearch, latents: float, others: float) -> float:
        """The step to try after the present one gave `latents` bits, where all else takes `others` bits."""
        search.add(self._step, latents)
        target = max(LEAST_SHARE * self._target_bits, self._target_bits - others)
        return max(LEAST_STEP, search.next(target))

    def _prune_motion(self, rounds: int, goes_on: Callable[[], bool] = lambda: True) -> None:
        for _ in range(rounds):
            if not goes_on():
                break
            fineness = step_sizes(self._motion.field(), self._segment.tree, *self._segment.config.fineness)
            self._motion.prune(fineness.mean((1, 2, 3)), self._step, self._price)
            self._motion.fit_entropy(ENTROPY_ROUNDS)

    def _estimated_bits(self) -> tuple[float, float]:
        """The bits of latents, and of motion and entropy models."""
        return self._latents.estimated_bits(), self._motion.bits() + MODEL_BITS

    def _rounds(self, trials_after: int = TRIALS_AFTER) -> MotionRounds:
        fineness, step, price = self._fineness.mean((1, 2, 3)), self._step, self._price
        parts = self._motion, self._segment, self._pace, self._progress
        return MotionRounds(*parts, fineness, step, price, trials_after)

    def _fit_network(self, refining: RefiningFit) -> int:
        self._refining, clock = refining, self._pace.network_clock()
        coded_bits = sum(self._estimated_bits()) + self._other_bits

        def report(fraction: float, error: float, bits: float, step: int) -> None:
            error, bits = error + self._segment.chroma_error, coded_bits + bits
            self._teller.network(clock, fraction, error, bits, step, self._picture)

        self._teller.network_begins()
        dtype = compute_dtype("auto", self._segment.device)
        return refining.run(self._latents.frames, self._price, clock, dtype, report)

    def _picture(self) -> Picture:
        weights = {} if self._refining is None else self._refining.quantised()
        return picture(self._segment, self._latents.frames, weights)

    def _trial(self, step: float, network: tuple[Section, ...]) -> Trial:
        """Choose the latents at `step` and entropy-code everything."""
        if step != self._coded_step:
            self._step = step
            self._code()
        sections = self._sections(network)
        return Trial(sections, self._plan.file_bytes(sections), self._latents.coded.psnr_db)

    def _sections(self, network: tuple[Section, ...]) -> tuple[Section, ...]:
        symbols = GridSymbols(
            motion=self._motion.symbols(),
            motion_step=STEP,
            **self._latents.coded.arrays(),
            latent_step=float(torch.tensor(self._step, dtype=torch.float32)),
        )
        models = parameters(self._latents.entropy, self._motion.entropy)
        with self._pace.coding.timed():
            return encode_contextual(self._plan.config, self._plan.video, models, network, symbols)
