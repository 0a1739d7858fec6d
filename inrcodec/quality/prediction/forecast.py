"""Makes a prediction: reads and plans as an encode does, measures samples, and extrapolates.

source -> survey -> plan -> x264 on stretches -> short fits of samples -> each length of a fit
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import torch

from inrcodec.encoder.cost import expected_seconds
from inrcodec.encoder.planned import PlannedSource, SurveyedSource, plan_source, survey_source
from inrcodec.encoder.size_search import PSNR_SCALE
from inrcodec.errors import TargetUnreachable
from inrcodec.fit.grids.sketch import EPOCHS
from inrcodec.models.registry import family_of
from inrcodec.plan.budget import AIMED_FILL, LEAST_FILL, bits_per_pixel, size_of
from inrcodec.progress import EncodePlan, Part, Progress
from inrcodec.quality.prediction.gain import Gain, bytes_range, psnr_range
from inrcodec.quality.prediction.lengths import Length, lengths_of, seconds_range
from inrcodec.quality.prediction.result import Evidence, Outcome, Prediction, Range
from inrcodec.quality.prediction.rival_curve import RivalCurve
from inrcodec.quality.prediction.samples import Window, read_stretches, sampling_of
from inrcodec.quality.prediction.short_fits import ShortFit, fit_samples, fixed_bytes, network_seconds
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import local_worker_count
from inrcodec.system.device import choose_device, describe_device
from inrcodec.video.ordinary_codecs import Frames, RivalFailed, parse_rival

RIVAL = parse_rival("x264:medium")
"""The ordinary codec whose curve is extrapolated to the whole video."""
LEAST_TIME = 0.4
"""Share of the time of the shortest fit by epochs within which a fit with a time limit finds a file."""
FIRST_GAIN_DB = 1.0
"""How much better than the ordinary codec a fit is taken to be before any sample was fitted."""
_ENCODING, _FITTING = f"encoding with {RIVAL.name}", "fitting samples"
_READING_SHARE, _PHASES = 0.2, ((_ENCODING, 0.3), (_FITTING, 0.7))


def forecast(
    path: str, source: str, output: str | None, settings: EncodeSettings, progress: Progress
) -> Prediction:
    """Carry out `predict.predict` for a checked request; `path` is the source, or the copy of a pipe."""
    started, whole = time.monotonic(), Part(progress)
    device = choose_device(settings.device)
    reading = whole.part(_READING_SHARE)
    surveyed = survey_source(path, settings, reading)
    reading_seconds = time.monotonic() - started
    reading.end()
    work = whole.part(1 - _READING_SHARE, phases=_PHASES)
    made = _Forecast(surveyed, device, work)
    prediction = made.prediction(source, output, started, reading_seconds)
    work.end()
    return prediction


@dataclass
class _Forecast:
    """The measurements of one prediction."""

    surveyed: SurveyedSource
    device: torch.device
    progress: Part
    remarks: list[str] = field(default_factory=list)
    curve: RivalCurve | None = None
    fit: ShortFit | None = None

    def __post_init__(self) -> None:
        settings = self.surveyed.settings
        self.family, self.target_db = family_of(settings), settings.psnr_db
        self.sampling = sampling_of(self.surveyed.video, self.surveyed.survey.changes)
        self.workers = 1
        if settings.workers is not None and settings.names_workers:
            self.workers = max(1, local_worker_count(settings.workers))
            if local_worker_count(settings.workers) == 0:
                self.remarks.append("time: that of one worker like this machine; Ray is not asked")

    def prediction(
        self, source: str, output: str | None, started: float, reading_seconds: float
    ) -> Prediction:
        surveyed = self.surveyed
        stretches = read_stretches(surveyed, self.sampling)
        planned = self._measured(stretches)
        gain = None if self.fit is None else Gain(self.fit.gain_db)
        slowness = 1.0 if self.fit is None else self.fit.seconds / self.fit.expected_seconds
        network = network_seconds(surveyed, planned, self.device) if self.family.is_trained else None
        side_by_side = min(self.workers, len(planned.runs))

        def seconds_of(epochs: float) -> float | None:
            if network is not None:
                return network * epochs / surveyed.epochs / side_by_side
            threads = torch.get_num_threads()
            fits = expected_seconds(planned.plans, epochs, self.device.type, threads, slowness)
            return None if fits is None else fits / side_by_side

        lengths = lengths_of(self.family, surveyed.settings, seconds_of)
        if self.target_db is not None and gain is not None:
            asked = next(one for one in lengths if one.is_asked)
            planned = self._planned_for(self.target_db, gain, asked.epochs, planned)
        outcomes = []
        self._check_limit(seconds_of(EPOCHS))
        for length in lengths:
            seconds = seconds_range(length, seconds_of, reading_seconds, self.target_db is not None)
            outcomes.append(self._outcome(length, planned, gain, seconds))
        plans, video = planned.plans, surveyed.video
        asked_outcome = next(one for one in outcomes if one.is_asked)
        made = Prediction(
            source=source,
            output=output,
            width=video.width,
            height=video.height,
            frames=video.frame_count,
            segments=len(planned.runs),
            model=self.family.name,
            parameter_count=sum(plan.parameter_count for plan in plans),
            device=describe_device(self.device),
            workers=side_by_side,
            target_bytes=planned.budget.total_bytes,
            psnr_target_db=self.target_db,
            extras_bytes=size_of(surveyed.extras),
            outcomes=tuple(outcomes),
            rival=RIVAL.name,
            rival_psnr_db=self._rival_psnr_db(asked_outcome),
            evidence=self._evidence(stretches, started),
            remarks=tuple(self.remarks),
        )
        if asked_outcome.file_bytes is not None:
            self.progress.plan(_plan_of(made, asked_outcome))
        return made

    def _check_limit(self, least_seconds: float | None) -> None:
        """Remark on a time limit that is too short for the shortest fit, of `least_seconds`."""
        limit = self.surveyed.settings.time_seconds
        if limit is not None and least_seconds is not None and limit < LEAST_TIME * least_seconds:
            self.remarks.append(f"{limit:g} s are probably too short for any file")

    def _measured(self, stretches: list[Frames]) -> PlannedSource:
        """Measure the ordinary codec and fit the samples; returns the plan of the encode."""
        surveyed, sampling = self.surveyed, self.sampling
        planned = self._planned(surveyed)
        try:
            self.progress.stage(_ENCODING, 0, 1)
            curve = self._curve(stretches)
            if self.target_db is None:
                factor = curve.factor_of(self._usable(planned))
            else:
                factor = curve.factor_of(curve.file_bytes(self.target_db - FIRST_GAIN_DB))
            self.curve = curve
            self.progress.stage(_ENCODING, 1, 1)
            if self.family.is_trained:
                self.remarks.append(
                    f"PSNR: unknown, because a short fit of {self.family.name} says nothing about a long one"
                )
                return planned
            if surveyed.settings.resume_from is not None:
                self.remarks.append("PSNR and time: those of a fit from the start")
            self.progress.stage(_FITTING, 0, 1)
            self.fit = fit_samples(surveyed, sampling, stretches, RIVAL, factor, self.device)
            self.progress.stage(_FITTING, 1, 1)
        except (RivalFailed, TargetUnreachable) as error:
            self.remarks.append(f"PSNR: unknown, because samples could not be measured ({error.text})")
        return planned

    def _curve(self, stretches: list[Frames]) -> RivalCurve:
        video, window = self.surveyed.video, self.sampling.window
        share = window.width * window.height / (video.width * video.height)
        rate = self.surveyed.survey.properties.frame_rate
        if not RIVAL.is_installed:
            raise RivalFailed(f"this build of FFmpeg has no {RIVAL.encoder.name}")
        return RivalCurve(RIVAL, stretches, rate, video.frame_count, share)

    def _usable(self, planned: PlannedSource) -> float:
        """Bytes of the file that grow with the video."""
        return max(1.0, AIMED_FILL * planned.budget.total_bytes - fixed_bytes(planned.plans))

    def _planned_for(
        self, target_db: float, gain: Gain, epochs: float, planned: PlannedSource
    ) -> PlannedSource:
        """The plan of a file of the size that is expected to reach a PSNR."""
        curve = self.curve
        if curve is None:
            return planned
        if not curve.reaches(target_db + PSNR_SCALE.aim - gain.of(epochs)):
            self.remarks.append(f"bytes: unknown, because {target_db:g} dB are beyond {RIVAL.name}")
            self.curve = None
            return planned
        growing = bytes_range(curve, gain, epochs, target_db + PSNR_SCALE.aim).expected
        size_bytes = math.ceil((growing + fixed_bytes(planned.plans)) / AIMED_FILL)
        settings = replace(self.surveyed.settings, psnr_db=None, size_bytes=size_bytes)
        return self._planned(replace(self.surveyed, settings=settings))

    def _planned(self, surveyed: SurveyedSource) -> PlannedSource:
        """The plan of an encode; a search for a PSNR begins at the smallest size that there is."""
        try:
            return plan_source(surveyed)
        except TargetUnreachable as error:
            if self.target_db is None or error.smallest_bytes is None:
                raise
            settings = replace(surveyed.settings, psnr_db=None, size_bytes=error.smallest_bytes)
            return plan_source(replace(surveyed, settings=settings))

    def _outcome(
        self, length: Length, planned: PlannedSource, gain: Gain | None, seconds: Range | None
    ) -> Outcome:
        curve, fixed = self.curve, fixed_bytes(planned.plans)
        size: Range | None
        quality: Range | None = None
        if self.target_db is None:
            total = planned.budget.total_bytes
            size = Range(AIMED_FILL * total, LEAST_FILL * total, total)
            if gain is not None and curve is not None:
                quality = psnr_range(curve, gain, length.epochs, self._usable(planned))
        elif gain is not None and curve is not None:
            quality = Range(
                self.target_db + PSNR_SCALE.aim, self.target_db, self.target_db + PSNR_SCALE.close
            )
            size = bytes_range(curve, gain, length.epochs, quality.expected)
            size = Range(size.expected + fixed, size.low + fixed, size.high + fixed)
        else:
            size = None
        has_time = length.limit_seconds is not None
        rival = None if curve is None or quality is None else round(curve.file_bytes(quality.expected))
        return Outcome(
            name=length.name,
            is_asked=length.is_asked,
            epochs=None if has_time else length.epochs,
            file_bytes=size,
            bpp=None if size is None else bits_per_pixel(round(size.expected), self.surveyed.video),
            psnr_db=quality,
            seconds=seconds,
            rival_bytes=rival,
        )

    def _rival_psnr_db(self, asked: Outcome) -> float | None:
        if self.curve is None or asked.file_bytes is None:
            return None
        return self.curve.psnr_db(asked.file_bytes.expected)

    def _evidence(self, stretches: list[Frames], started: float) -> Evidence:
        sampling, video = self.sampling, self.surveyed.video
        window: Window = sampling.fit_window
        return Evidence(
            samples=0 if self.fit is None else len(sampling.fits),
            frames=len(sampling.fits[0][1]),
            width=window.width,
            height=window.height,
            gain_db=None if self.fit is None else self.fit.gain_db,
            rival_share=sum(one[..., 0].size for one in stretches) / video.pixel_count,
            seconds=time.monotonic() - started,
        )


def _plan_of(made: Prediction, asked: Outcome) -> EncodePlan:
    """The plan as an encode reports it."""
    return EncodePlan(
        source=made.source,
        width=made.width,
        height=made.height,
        frame_count=made.frames,
        model=made.model,
        parameter_count=made.parameter_count,
        target_bytes=made.target_bytes,
        device=made.device if made.workers == 1 else f"{made.workers} x {made.device}",
        expected_seconds=None if asked.seconds is None else asked.seconds.expected,
        epochs=asked.epochs,
    )
