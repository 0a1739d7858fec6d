"""Encodes one source in steps: plan, hand out segments as jobs, accept their results, write the file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch

from bitstream import Quality, StreamWriter
from inrcodec.encoder.cost import expected_seconds
from inrcodec.encoder.planned import plan_source, survey_source
from inrcodec.encoder.progress import SourceProgress
from inrcodec.encoder.result import EncodeResult
from inrcodec.encoder.resume import Resumable, request_of
from inrcodec.encoder.segment import CodedSegment, SegmentFigures
from inrcodec.encoder.workers.job import SegmentJob, Workers
from inrcodec.errors import InrcError, NetworkTooLarge, WorkerLost
from inrcodec.metrics import summarise_psnr
from inrcodec.plan.budget import (
    LEAST_FILL,
    Short,
    bits_per_pixel,
    metadata_of,
    size_of,
)
from inrcodec.plan.cuts import share_of_time
from inrcodec.progress import Part
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import check_output_file, claimed_output, output_errors
from inrcodec.system.pipes import rereadable
from inrcodec.text import counted
from inrcodec.video import cut_holes
from inrcodec.video.survey import SegmentClips

_REASONS: Mapping[Short, str] = {
    "time": "time ran out before it was filled",
    "model": "this model cannot use more",
    "weight_bits": "limited by the requested bits",
}


class SourceEncoding:
    """The state of the encode of one source; workers fit its segments.

    The constructor raises `UsageError`, `NotAVideo` and `TargetUnreachable` before any fitting.
    """

    def __init__(
        self,
        index: int,
        source: str,
        output: str,
        settings: EncodeSettings,
        workers: Workers,
        progress: Part,
        deadline: Deadline,
        is_alone: bool = True,
    ) -> None:
        """`index` identifies the source among several; `is_alone` says that it is the only one."""
        self._is_alone = is_alone
        self.index, self._source, self._output = index, source, output
        self._settings, self._workers, self._progress, self._deadline = settings, workers, progress, deadline
        with ExitStack() as claim:
            # Two encodes of the same output would use each other's checkpoints.
            self._file = claim.enter_context(claimed_output(output, settings.overwrite))
            self._path = claim.enter_context(rereadable(source, output))
            self._prepare()
            self._claim = claim.pop_all()

    def _prepare(self) -> None:
        """Read the source once, plan, and load the finished segments of an earlier attempt."""
        progress = self._progress
        surveyed = survey_source(self._path, self._settings, progress)
        settings = self._settings = surveyed.settings
        self._survey, self._extras, self.video = surveyed.survey, surveyed.extras, surveyed.video
        self._epochs = surveyed.epochs
        planned = plan_source(surveyed)
        self.runs: Sequence[range] = planned.runs
        """The frames of each segment."""
        self._budget, self._plans, self._header = planned.budget, planned.plans, planned.header
        total, device = self._budget.total_bytes, self._workers.description
        check_output_file(self._output, settings.overwrite, total + size_of(self._extras))
        self.segments = SourceProgress(
            progress,
            self._source,
            self._plans,
            total,
            device,
            min(self._workers.count, len(self.runs)),
            self._is_alone and min(self._workers.count, len(self.runs)) == 1,
            expected_seconds(self._plans, self._epochs, device, torch.get_num_threads()),
        )
        request = request_of(settings, self._survey)
        self._resumable = Resumable(self._output, request, device, self._deadline.started, settings, progress)
        self._coded = [self._resumable.finished(*numbered) for numbered in enumerate(self._plans)]
        if self._resumable.is_resumed:
            are = "is" if len(self.runs) == 1 else "are"
            progress.note(
                f"resuming: {self.finished_count} of {counted(len(self.runs), 'segment')} {are} finished"
            )

    @property
    def finished_count(self) -> int:
        """Number of coded segments."""
        return sum(one is not None for one in self._coded)

    def is_finished(self, number: int) -> bool:
        return self._coded[number] is not None

    def jobs(self, sources_after: int) -> Iterator[SegmentJob]:
        """The remaining segments in order; the frames of each are read when it is requested.

        With `--time`, the time left is shared in proportion to frames, as if `sources_after` sources of the
        same length followed. Raises `NotAVideo` if frames have since gone missing.
        """
        settings = self._settings
        clips = SegmentClips(self._survey, self._path, settings.source, self.runs)
        todo = [number for number in range(len(self.runs)) if not self.is_finished(number)]
        expected = self.segments.expected_seconds
        if todo and (expected is not None or not self._workers.reports):
            if settings.time_seconds is not None:
                self.segments.state(self._deadline.seconds, None)
            else:
                left = sum(self.segments.seconds_of(number) or 0.0 for number in todo)
                side_by_side = min(self._workers.count, len(todo))
                self.segments.state(left / side_by_side if left else None, self._epochs)
        after = [len(run) for run in self.runs] * sources_after
        for position, number in enumerate(todo):
            clip = clips.read(number)
            if settings.mask is not None and self._survey.clip is None:
                clip = cut_holes(clip, settings.mask, self._progress, self.runs[number])
            lengths = [len(self.runs[one]) for one in todo[position:]] + after
            deadline = self._deadline_of(number, lengths, self.index + 1 + sources_after)
            key, plan = (self.index, number), self._plans[number]
            self.segments.of(number).ends = deadline.ends
            yield SegmentJob(key, plan, clip, settings, deadline, self._resumable.folder)

    def _deadline_of(self, number: int, lengths: Sequence[int], sources: int) -> Deadline:
        """The deadline of segment `number`, the first of the remaining ones, which have these `lengths`.

        In a resumed encode, a segment without a checkpoint gets at least its original share again, even if
        earlier attempts used up the time.
        """
        whole, folder = self._deadline, self._resumable.folder
        if whole.seconds is None:
            return whole
        # Time used by earlier attempts counts.
        own = Deadline(whole.seconds, folder.started).share(share_of_time(lengths, self._workers.count))
        if self._resumable.is_resumed and not folder.fit_path(number).exists():
            first = min(1.0, self.segments.share(number) * self._workers.count / sources) * whole.seconds
            return Deadline(max(own.left, first))
        return own

    def accept(self, number: int, coded: CodedSegment) -> None:
        """Store the coded segment `number`."""
        self._resumable.store(number, self._plans[number], coded)
        self._coded[number] = coded
        psnr = coded.figures.psnr_db
        self.segments.measured(len(psnr), sum(psnr) / len(psnr), len(coded.data))

    def give_up(self, number: int, error: Exception) -> Exception:
        """Record that segment `number` cannot be coded; returns the error for the whole source."""
        if isinstance(error, InrcError) and not isinstance(error, WorkerLost):
            # A fit that diverged would do so again from its checkpoint; after other failures it may succeed.
            self._resumable.give_up(number)
        if isinstance(error, NetworkTooLarge):
            return NetworkTooLarge(error.what, self._budget.total_for(number, error.least_bytes))
        return error

    def abandon(self, error: BaseException) -> None:
        """Write no output and release its name; keep the files for resuming."""
        self._claim.__exit__(type(error), error, error.__traceback__)

    def finish(self) -> EncodeResult:
        """Write the file from all segments; raises `OutputError`."""
        coded = [one for one in self._coded if one is not None]
        quality = summarise_psnr([value for one in coded for value in one.figures.psnr_db])
        with self._claim, output_errors(self._output):
            writer = StreamWriter(self._file, self._header)
            for run, one in zip(self.runs, coded, strict=True):
                writer.append(replace(one.segment, first_frame=run.start))
            metadata = metadata_of(self._settings.mask is not None)
            writer.finish(Quality(quality.mean_db), metadata, extras=self._extras)
            file_bytes = self._file.tell()
        self._resumable.remove()
        return self._result(coded, file_bytes)

    def _result(self, coded: Sequence[CodedSegment], file_bytes: int) -> EncodeResult:
        settings, total, video = self._settings, self._budget.total_bytes, self.video
        psnr = [value for one in coded for value in one.figures.psnr_db]
        quality = summarise_psnr(psnr)
        video_bytes = file_bytes - size_of(self._extras)
        figures, frames = [one.figures for one in coded], video.frame_count
        short = _short_of_size(figures) if video_bytes < LEAST_FILL * total else None
        if short is not None:
            self._progress.note(f"the file uses {video_bytes / total:.0%} of its target: {_REASONS[short]}")
        kept = sum(one.is_kept for one in figures)
        if kept:
            self._progress.note(
                f"{kept} of {counted(len(coded), 'fit')} came out worse than {settings.resume_from}: "
                "the earlier segments are kept"
            )
        losses = [value for one in figures for value in one.quantisation_losses_db]
        return EncodeResult(
            file_bytes=file_bytes,
            extras_bytes=size_of(self._extras),
            target_bytes=total,
            bpp=bits_per_pixel(video_bytes, video),
            psnr_db=quality.mean_db,
            psnr_p1_db=quality.first_percentile_db,
            masked_share=sum(one.masked_share * len(one.psnr_db) for one in figures) / frames,
            quantisation_loss_db=float(np.mean(losses)),
            step_factor=math.prod(one.step_factor for one in figures) ** (1 / len(figures)),
            family=self._plans[0].family.name,
            parameter_count=sum(one.parameter_count for one in figures),
            width=video.width,
            height=video.height,
            frames=frames,
            segments=len(coded),
            steps=sum(one.steps for one in figures),
            epochs=sum(one.epochs * len(one.psnr_db) for one in figures) / frames,
            fit_seconds=sum(one.fit_seconds for one in figures),
            seconds=time.monotonic() - self._resumable.folder.started,
            device=self._workers.description,
            segments_kept=kept,
            short_of_size=short,
            psnr_frames_db=psnr,
            courses=[one.course for one in figures],
        )


def _short_of_size(figures: Sequence[SegmentFigures]) -> Short:
    """Why a file of these segments is short: time if it was short in any segment."""
    reasons = [one.short_of_size for one in figures if one.short_of_size is not None]
    return "time" if "time" in reasons else reasons[0] if reasons else "model"
