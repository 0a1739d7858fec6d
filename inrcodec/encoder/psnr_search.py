"""Finds the smallest file that reaches a mean PSNR: trial fits, then full fits, by a secant on the size.

    source -> survey -> trials (a sixth of the effort) -> full fits until one is at or just above the PSNR

Every fit is an encode to a size, and every PSNR is measured on a real file. The smallest file that reaches
the target becomes the output. Trials give the slope of PSNR over size, and an estimate of the size. The gain
of a full fit over a trial of the same size is guessed for the first full fit, which then measures it.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.encoder.resume import Resumable, request_of
from inrcodec.encoder.resume_folder import FolderWriter, digest_of
from inrcodec.encoder.size_search import CLOSE_DB, Point, SizeSearch
from inrcodec.errors import TargetUnreachable
from inrcodec.models.family import VideoInfo
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
_FITS = "fits.json"


@dataclass(frozen=True)
class _Fit:
    """A finished fit of the search."""

    size_bytes: int
    is_trial: bool
    result: EncodeResult
    digest: str
    """SHA-256 of its file, hexadecimal."""

    @property
    def point(self) -> Point:
        return Point(self.size_bytes, self.result.psnr_db)

    @property
    def video_bytes(self) -> int:
        return self.result.file_bytes - self.result.extras_bytes


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
            result: EncodeResult | Exception = encode_to_psnr(source, output, settings, part, encode, share)
        except Exception as error:
            result = error
        results.append(result)
        if ended is not None:
            ended(index, result)
    return results


def encode_to_psnr(
    source: str,
    output: str,
    settings: EncodeSettings,
    progress: Progress,
    encode: Encode,
    deadline: Deadline | None = None,
) -> EncodeResult:
    """Encode `source` to nearly the smallest file whose mean PSNR is at least `settings.psnr_db`.

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
    target = search.target_db
    if best.result.psnr_db < target:
        raise TargetUnreachable(_unreached(target, best, settings, output))
    if best.size_bytes <= search.sizes.least_bytes and best.result.psnr_db > target + CLOSE_DB:
        progress.note(f"{output} is the smallest file that this {best.result.family} can make")
    seconds = time.monotonic() - resumable.folder.started
    return replace(best.result, seconds=seconds, psnr_target_db=target)


def _unreached(target_db: float, best: _Fit, settings: EncodeSettings, output: str) -> str:
    reached = math.floor(100 * best.result.psnr_db) / 100
    effort = "--epochs or --time" if settings.time_seconds is None else "--time"
    other = "--model" if settings.parameters is None else "--parameters or --model"
    return (
        f"no fit reached {target_db:g} dB; {output} is the best one, {best.video_bytes} bytes at "
        f"{reached:.2f} dB: give more {effort}, another {other}, or --psnr {reached:.2f}"
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
    fits: list[_Fit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.target_db = self.settings.psnr_db or 0.0
        self._epochs = self.settings.epochs or self.settings.procedure.epochs
        self._folder = self.resumable.folder
        # All fits of one source would repeat the same notes.
        self._of_fits = Part(self.progress, repeats_notes=False)
        self._write = FolderWriter(self._folder, self.progress)
        self._known = self._read()
        self._save()
        trials = TIMED_TRIALS if self.deadline.is_limited else MOST_TRIALS if self._is_tried() else 0
        self.sizes = SizeSearch(
            self.target_db,
            first_bytes=max(1, int(DEFAULT_BPP * self.video.pixel_count / 8)),
            most_bytes=math.ceil(ENOUGH_BYTES_PER_PIXEL * self.video.pixel_count),
            most_trials=trials,
            most_fits=TIMED_FITS if self.deadline.is_limited else MOST_FITS,
        )

    def run(self) -> _Fit:
        """The best fit: the smallest that reaches the target, or else the one closest to it."""
        for sizes, is_trial in ((self.sizes.of_trials(), True), (self.sizes.of_fits(), False)):
            for size in sizes:
                if self._fit(size, is_trial) is None:
                    break
        reaching = [one for one in self.fits if one.result.psnr_db >= self.target_db]
        if reaching:
            return min(reaching, key=lambda one: one.video_bytes)
        return max(self.fits, key=lambda one: one.result.psnr_db)

    def _is_tried(self) -> bool:
        """Whether a trial has enough steps to be useful."""
        trial_epochs = TRIAL_SHARE * self._epochs
        steps = trial_epochs * self.video.frame_count / self.settings.procedure.batch_frames
        return steps >= LEAST_TRIAL_STEPS

    def path_of(self, fit: _Fit) -> Path:
        return self._path(self.fits.index(fit))

    def _path(self, number: int) -> Path:
        return self._folder.path / f"fit-{number}.inrv"

    def _fit(self, size: int, is_trial: bool) -> _Fit | None:
        """The next fit, made now or by an earlier attempt; None if the time is too short for it."""
        number = len(self.fits)
        name = f"{'trial' if is_trial else 'fit'} {number + 1}"
        if number < len(self._known) and self._known[number].is_trial == is_trial:
            fit = self._known[number]
            if fit.size_bytes > size:
                self.sizes.least_bytes = fit.size_bytes
        else:
            try:
                share = JOB_OF_TRIAL if is_trial else JOB_OF_FIT * (1 - self._of_fits.done)
                told = self._of_fits.part(share, title=f"{self.source}, {name}", place=name)
                size, result = self._encoded(size, is_trial, str(self._path(number)), told)
                told.end()
            except TargetUnreachable:
                if is_trial or self.fits:
                    return None
                raise
            fit = _Fit(size, is_trial, result, digest_of(self._path(number)))
            self._known = []
        self.fits.append(fit)
        (self.sizes.trials if is_trial else self.sizes.fits).append(fit.point)
        self._save()
        found = f"{fit.video_bytes:,} bytes, {fit.result.psnr_db:.2f} dB"
        self.progress.note(f"{name}: {found}")
        return fit

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
        settings = replace(self.settings, psnr_db=None, size_bytes=size, overwrite=True)
        if self.deadline.is_limited:
            return settings
        return replace(settings, epochs=self._epochs * (TRIAL_SHARE if is_trial else 1))

    def _share(self, is_trial: bool) -> Deadline:
        """The deadline of the fit that begins now."""
        whole = self.deadline.seconds
        if whole is None:
            return Deadline()
        if is_trial:
            return self.deadline.at_most(TRIAL_TIME * whole)
        return self.deadline.share(1 / (TIMED_FITS - len(self.sizes.fits)))

    def _save(self) -> None:
        fits = [dataclasses.asdict(one) for one in [*self.fits, *self._known[len(self.fits) :]]]
        self._write(self._folder.path / _FITS, self._folder.sealed(_FITS, fits))

    def _read(self) -> list[_Fit]:
        """The fits of an earlier attempt, up to the first whose file is missing or another."""
        if not self.resumable.is_resumed:
            return []
        known: list[_Fit] = []
        try:
            for one in self._folder.read_sealed(_FITS):
                known.append(_Fit(**{**one, "result": EncodeResult(**one["result"])}))
                if digest_of(self._path(len(known) - 1)) != known[-1].digest:
                    return known[:-1]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError):
            path = self._folder.path / _FITS
            self.progress.note(f"{path} is damaged or belongs to another encode; searching from the start")
            return []
        return known
