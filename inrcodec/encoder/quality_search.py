"""Finds the smallest file that reaches a mean PSNR or VMAF: trials, then full fits, by a secant on the size.

    source -> survey -> trials (a sixth of the effort) -> full fits until one is at or just above the quality

Every fit is an encode to a size, and every quality is measured on a real file. The smallest file that reaches
the target becomes the output. Trials give the slope of quality over size, and an estimate of the size. The
gain of a full fit over a trial of the same size is guessed for the first full fit, which then measures it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.encoder.resume import Resumable, request_of
from inrcodec.encoder.resume_folder import digest_of
from inrcodec.encoder.searched_fits import Fit, StoredFits
from inrcodec.encoder.searched_metric import METRICS
from inrcodec.encoder.size_search import Point, SizeSearch
from inrcodec.errors import TargetUnreachable
from inrcodec.models.family import VideoInfo
from inrcodec.naming import flag_of
from inrcodec.progress import Part, Progress
from inrcodec.settings.encode import DEFAULT_BPP, EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import claimed_output, output_errors
from inrcodec.system.pipes import rereadable
from inrcodec.video import survey_video
from inrcodec.video.selection import settled

Encode = Callable[[str, str, EncodeSettings, Progress, Deadline], EncodeResult]
"""Encodes a source to an output of the size in the settings."""
TRIAL_SHARE = 1 / 6
"""Epochs of a trial, as a fraction of the epochs of a full fit."""
MOST_TRIALS, MOST_FITS = 3, 7
LEAST_TRIAL_STEPS = 500
"""Minimum steps of a trial; a shorter one would not predict a full fit, so trials are skipped."""
TRIAL_TIME = 0.08
"""Fraction of `--time` for each trial."""
TIMED_TRIALS, TIMED_FITS = 2, 3
"""Maximum trials, and full fits of equal time, that share `--time`."""
JOB_OF_TRIAL, JOB_OF_FIT = 0.05, 0.4
"""Share of the job that a trial counts as, and share of the rest of it that a full fit counts as: how many
there will be is not known."""
CLOSING_SECONDS = 0.3
"""Part of `--time` that is reserved for copying the result to the output, seconds."""
ENOUGH_BYTES_PER_PIXEL = 3.0
"""Maximum size tried, bytes per pixel: that of uncompressed pixels."""


def search_each(
    requests: Sequence[tuple[str, str]],
    settings: EncodeSettings,
    progress: Progress,
    deadline: Deadline,
    ended: Ended | None,
    refused: Mapping[int, Exception],
    encode: Encode,
) -> list[EncodeResult | Exception]:
    """Search for each source in turn; all share the time of `deadline`.

    An exception takes the place of a source's result, as in `encode.encode_all`; `refused` has the errors of
    sources that were refused before any work, by index.
    """
    results: list[EncodeResult | Exception] = []
    for index, (source, output) in enumerate(requests):
        # A search does not know how many fits it takes, so reports are of one fit, not of a share of the job.
        part = Part(progress, name=source if len(requests) > 1 else "")
        share = deadline.share(1 / (len(requests) - index)) if len(requests) > 1 else deadline
        try:
            if index in refused:
                raise refused[index]
            result: EncodeResult | Exception = encode_to_quality(
                source, output, settings, part, encode, share
            )
        except Exception as error:
            result = error
        results.append(result)
        if ended is not None:
            ended(index, result)
    return results


def encode_to_quality(
    source: str,
    output: str,
    settings: EncodeSettings,
    progress: Progress,
    encode: Encode,
    deadline: Deadline | None = None,
) -> EncodeResult:
    """Encode `source` to nearly the smallest file of the mean PSNR or VMAF that the settings ask for.

    If no fit reaches it, writes the closest one and raises `TargetUnreachable`. Repeating an interrupted
    search resumes it at its last fit.
    """
    deadline = deadline or Deadline(settings.time_seconds)
    with claimed_output(output, settings.overwrite) as file, rereadable(source, output) as path:
        settings = replace(settings, source=settled(path, settings.source, progress))
        survey = survey_video(path, settings.source, 0, progress)
        properties = survey.properties
        video = VideoInfo(properties.width, properties.height, properties.frame_count)
        request = request_of(settings, survey)
        resumable = Resumable(output, request, "", deadline.started, settings, progress)
        del survey
        search = _Search(
            path,
            source,
            settings,
            video,
            resumable,
            progress,
            # Time used by earlier attempts counts.
            Deadline(deadline.seconds, resumable.folder.started).less(CLOSING_SECONDS),
            encode,
        )
        best = search.run()
        with output_errors(output), open(search.path_of(best), "rb") as found:
            shutil.copyfileobj(found, file, 1 << 20)
    resumable.remove()
    metric, target, reached = search.metric, search.target, search.quality_of(best)
    if reached < target:
        raise TargetUnreachable(_unreached(search, best, output))
    if best.size_bytes <= search.sizes.least_bytes and reached > target + metric.scale.close:
        progress.note(f"{output} is the smallest file that this {best.result.family} can make")
    seconds = time.monotonic() - resumable.folder.started
    return replace(metric.with_target(best.result, target), seconds=seconds)


def _unreached(search: _Search, best: Fit, output: str) -> str:
    settings, metric, quality = search.settings, search.metric, search.quality_of(best)
    effort = "--epochs or --time" if settings.time_seconds is None else "--time"
    other = "--model" if settings.parameters is None else "--parameters or --model"
    return (
        f"no fit reached {metric.template.format(f'{search.target:g}')}; {output} is the best one, "
        f"{best.video_bytes} bytes at {metric.text(quality)}: give more {effort}, another {other}, or "
        f"{flag_of(search.field)} {metric.floor(quality):.2f}"
    )


@dataclass
class _Search:
    """The search for one source: a sequence of fits, each chosen from the results before it."""

    path: str
    """File that the fits read: the source, or a copy of a pipe."""
    source: str
    """Name of the source in reports."""
    settings: EncodeSettings
    video: VideoInfo
    resumable: Resumable
    progress: Progress
    deadline: Deadline
    encode: Encode
    fits: list[Fit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.field = self.settings.searched or ""
        self.metric = METRICS[self.field]
        self.target: float = getattr(self.settings, self.field)
        self._measuring_seconds = 0.0
        self._epochs = self.settings.epochs or self.settings.procedure.epochs
        # All fits of one source would repeat the same notes.
        self._of_fits = Part(self.progress, repeats_notes=False)
        self._stored = StoredFits(self.resumable, self.progress)
        self._known = self._stored.read()
        self._stored.save(self._known)
        trials = TIMED_TRIALS if self.deadline.is_limited else MOST_TRIALS if self._is_tried() else 0
        self.sizes = SizeSearch(
            self.target,
            self.metric.scale,
            first_bytes=max(1, int(DEFAULT_BPP * self.video.pixel_count / 8)),
            most_bytes=math.ceil(ENOUGH_BYTES_PER_PIXEL * self.video.pixel_count),
            most_trials=trials,
            most_fits=TIMED_FITS if self.deadline.is_limited else MOST_FITS,
        )

    def run(self) -> Fit:
        """The best fit: the smallest that reaches the target, or else the one closest to it."""
        for sizes, is_trial in ((self.sizes.of_trials(), True), (self.sizes.of_fits(), False)):
            for size in sizes:
                if self._fit(size, is_trial) is None:
                    break
        reaching = [one for one in self.fits if self.quality_of(one) >= self.target]
        if reaching:
            return min(reaching, key=lambda one: one.video_bytes)
        return max(self.fits, key=self.quality_of)

    def quality_of(self, fit: Fit) -> float:
        """The mean over the frames, in the metric of the target."""
        return self.metric.value(fit.result)

    def _is_tried(self) -> bool:
        """Whether a trial has enough steps to be useful."""
        trial_epochs = TRIAL_SHARE * self._epochs
        steps = trial_epochs * self.video.frame_count / self.settings.procedure.batch_frames
        return steps >= LEAST_TRIAL_STEPS

    def path_of(self, fit: Fit) -> Path:
        return self._stored.path(self.fits.index(fit))

    def _fit(self, size: int, is_trial: bool) -> Fit | None:
        """The next fit, made now or by an earlier attempt; None if the time is too short for it."""
        number = len(self.fits)
        name = f"{'trial' if is_trial else 'fit'} {number + 1}"
        if number < len(self._known) and self._known[number].is_trial == is_trial:
            fit = self._measured(self._known[number], number, self._of_fits)
            if fit.size_bytes > size:
                self.sizes.least_bytes = fit.size_bytes
        else:
            try:
                share = JOB_OF_TRIAL if is_trial else JOB_OF_FIT * (1 - self._of_fits.done)
                told = self._of_fits.part(share, title=f"{self.source}, {name}", place=name)
                size, result = self._encoded(size, is_trial, str(self._stored.path(number)), told)
                fit = Fit(size, is_trial, result, digest_of(self._stored.path(number)))
                # Kept before its quality is measured: stopping then loses no fit.
                self._known = [*self.fits, fit]
                self._stored.save(self._known)
                fit = self._measured(fit, number, told)
                told.end()
            except TargetUnreachable:
                if is_trial or self.fits:
                    return None
                raise
            self._known = []
        self.fits.append(fit)
        point = Point(fit.size_bytes, self.quality_of(fit))
        (self.sizes.trials if is_trial else self.sizes.fits).append(point)
        self._stored.save([*self.fits, *self._known[len(self.fits) :]])
        quality = self.metric.template.format(f"{point.quality:.2f}")
        self.progress.note(f"{name}: {fit.video_bytes:,} bytes, {quality}")
        return fit

    def _measured(self, fit: Fit, number: int, progress: Progress) -> Fit:
        """The fit with its quality in the metric of the target."""
        started, path = time.monotonic(), str(self._stored.path(number))
        result = self.metric.measured(fit.result, self.path, path, self.settings, progress)
        self._measuring_seconds = max(self._measuring_seconds, time.monotonic() - started)
        return replace(fit, result=result)

    def _encoded(self, size: int, is_trial: bool, path: str, progress: Progress) -> tuple[int, EncodeResult]:
        """Encode to the size, or to the smallest size for which there is a network; returns that size too."""
        while True:
            settings = self._settings_of(size, is_trial)
            try:
                return size, self.encode(self.path, path, settings, progress, self._share(is_trial))
            except TargetUnreachable as error:
                if error.smallest_bytes is None or error.smallest_bytes <= size:
                    raise
                self.sizes.least_bytes = size = error.smallest_bytes

    def _settings_of(self, size: int, is_trial: bool) -> EncodeSettings:
        unsearched: dict[str, Any] = {self.field: None}
        settings = replace(self.settings, **unsearched, size_bytes=size, overwrite=True)
        if is_trial and not settings.names_workers:
            # Processes would be started anew for each trial.
            settings = replace(settings, workers=None)
        if self.deadline.is_limited:
            return settings
        return replace(settings, epochs=self._epochs * (TRIAL_SHARE if is_trial else 1))

    def _share(self, is_trial: bool) -> Deadline:
        """The deadline of the fit that begins now."""
        whole = self.deadline.seconds
        if whole is None:
            return Deadline()
        # The quality is measured after the fit.
        deadline = self.deadline.less(self._measuring_seconds)
        if is_trial:
            return deadline.at_most(TRIAL_TIME * whole)
        return deadline.share(1 / (TIMED_FITS - len(self.sizes.fits)))
