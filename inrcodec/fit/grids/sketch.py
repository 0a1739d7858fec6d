"""Fits samples roughly and codes nothing: for predictions, at a third of the time of the shortest fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.fit.grids.fit import MOST_MOTION, GridFit
from inrcodec.fit.grids.motion_rounds import ENTROPY_ROUNDS
from inrcodec.fit.grids.pace import Pace
from inrcodec.fit.grids.refinement import share_of_a_step
from inrcodec.fit.grids.shots import found_cuts
from inrcodec.fit.grids.source_planes import SegmentPlanes, with_chroma_of
from inrcodec.fit.grids.step_search import StepSearch
from inrcodec.fit.job import FitJob
from inrcodec.models.inrc.hierarchy import LEAST_SHOT
from inrcodec.models.layers.codes import as_tensor

EPOCHS = 1.0
"""Passes that the refinement of motion counts: the fewest that a fit has."""


@dataclass(frozen=True)
class Sketch:
    """A rough fit of some frames, not coded."""

    byte_count: float
    """Bytes of motion and latents by the entropy models, without those of the models."""
    squared_errors: NDArray[np.float64]
    """Mean squared error of each frame, of values in [0, 1], (T,)."""
    seconds: float


def sketched(job: FitJob, lengths: Sequence[int]) -> Sketch:
    """Fit the frames of `job`, which are samples of `lengths` frames, one after another.

    No frame is predicted from another sample. All samples are worked on together, because most of the time
    goes into calls whose number does not grow with the frames.
    """
    started, clip = time.monotonic(), job.clip.frames
    config = with_chroma_of(clip, job.plan.config)
    cuts, first = [], 0
    for length in lengths:
        cuts += [first] if first else []
        if length > LEAST_SHOT:
            cuts += [first + cut for cut in found_cuts(clip[first : first + length], config)]
        first += length
    # Shots that return to earlier ones need a version more.
    plan = job.plan.with_config(replace(config, cuts=tuple(cuts), version=min(config.version, 1)))
    segment = SegmentPlanes(as_tensor(clip).to(job.device), plan.config, plan.video)
    pace = Pace(job.deadline, EPOCHS, segment.frame_count, share_of_a_step(segment))
    fit = _Sketching(plan, segment, job, pace)
    fit.work()
    return Sketch(fit.byte_count, fit.squared_errors, time.monotonic() - started)


class _Sketching(GridFit):
    """A fit that ends after it has refined its motion once."""

    def work(self) -> None:
        """Search motion, choose latents, refine motion, and choose latents again, without trials of steps."""
        self.begin()
        self._latents.is_filtered, search = True, StepSearch()
        self._pass()
        latents, others = self._estimated_bits()
        self._step = self._next_step(search, latents, others)
        if others > MOST_MOTION * self._target_bits:
            self._prune_motion(1)
        rounds = self._rounds()
        rounds.refine(1.0)
        rounds.search_nodes(1)
        self._pass()

    def _pass(self) -> None:
        self._code()
        self._latents.fit_entropy(ENTROPY_ROUNDS)

    @property
    def byte_count(self) -> float:
        """As in `Sketch`."""
        return (self._latents.estimated_bits() + self._motion.bits()) / 8

    @property
    def squared_errors(self) -> NDArray[np.float64]:
        """As in `Sketch`."""
        return np.asarray(self._latents.coded.squared_error.double().cpu().numpy())
