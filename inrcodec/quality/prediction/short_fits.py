"""Fits samples with the real encoder: measures their gain over an ordinary codec, and the speed of this
machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from inrcodec.encoder.cost import expected_seconds
from inrcodec.encoder.planned import PlannedSource, SurveyedSource
from inrcodec.fit.grids.fit import MODEL_BITS
from inrcodec.fit.grids.sketch import EPOCHS, sketched
from inrcodec.fit.job import FitJob
from inrcodec.fit.registry import fit_of
from inrcodec.plan.network import SegmentPlan, plan_segment
from inrcodec.progress import Silent
from inrcodec.quality.prediction.rival_curve import RivalCurve, pooled_psnr_db
from inrcodec.quality.prediction.samples import Sampling
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import SourceSettings
from inrcodec.system.deadline import Deadline
from inrcodec.video import Clip, VideoProperties, cut_holes
from inrcodec.video.ordinary_codecs import Frames, Rival
from inrcodec.video.survey import SegmentClips

SKETCH_SHARE = 0.7
"""Time of a sketch, as a share of that of a fit of `EPOCHS` of its samples one by one."""
SMALLNESS = 1.5
"""Time of a short fit for each of its pixels, as a multiple of that of a fit of a whole video, whose frames
are worked on together. See `benchmarks/prediction.py`."""
_ENOUGH_BYTES = 1 << 20


@dataclass(frozen=True)
class ShortFit:
    """The samples, fitted."""

    gain_db: float
    """How much higher their PSNR is than that of the ordinary codec at as many bytes."""
    seconds: float
    expected_seconds: float
    """The seconds that the table of speeds gives for them, which are smaller than a video."""


def fixed_bytes(plans: Sequence[SegmentPlan]) -> float:
    """Bytes of a file that do not grow with its length: headers, and the parameters of entropy models."""
    return sum(plan.overhead_bytes + MODEL_BITS / 8 for plan in plans)


def fit_samples(
    surveyed: SurveyedSource,
    sampling: Sampling,
    stretches: Sequence[Frames],
    rival: Rival,
    factor: float,
    device: torch.device,
) -> ShortFit:
    """Fit the samples to the bytes that `rival` has for them at the rate factor of the whole video.

    Raises `TargetUnreachable` if the bytes are too few, and `RivalFailed`.
    """
    samples = sampling.samples(stretches)
    lengths = [*map(len, samples)]
    rate = surveyed.survey.properties.frame_rate
    curve = RivalCurve(rival, samples, rate, sum(lengths), are_side_by_side=True)
    joined = np.concatenate(samples)
    properties = _properties_of(joined, surveyed.survey.properties)
    plan = plan_segment(properties, _short(surveyed.settings, _ENOUGH_BYTES))
    size_bytes = round(curve.at(factor).file_bytes + fixed_bytes([plan]))
    settings = _short(surveyed.settings, size_bytes)
    plan = plan_segment(properties, settings)
    sketch = sketched(FitJob(plan, Clip(joined, properties), settings, device), lengths)
    expected = expected_seconds([plan], EPOCHS, device.type, torch.get_num_threads()) or 0.0
    smallness = min(SMALLNESS, surveyed.video.pixel_count / plan.video.pixel_count)
    quality_db = pooled_psnr_db(sketch.squared_errors, len(samples))
    gain_db = quality_db - curve.psnr_db(sketch.byte_count)
    return ShortFit(gain_db, sketch.seconds, SKETCH_SHARE * smallness * expected)


def _short(settings: EncodeSettings, size_bytes: int) -> EncodeSettings:
    """The settings of a short fit: the same model, another size and length."""
    return EncodeSettings(
        model=settings.model,
        model_options=settings.model_options,
        size_bytes=size_bytes,
        epochs=EPOCHS,
        seed=settings.seed,
        source=SourceSettings(),
    )


def _properties_of(sample: Frames, properties: VideoProperties) -> VideoProperties:
    frame_count, height, width = sample.shape[:3]
    return replace(
        properties,
        width=width,
        height=height,
        frame_count=frame_count,
        timestamps=None,
        last_duration=None,
        part=None,
    )


class _Timed(Exception):
    """Ends a fit as soon as it knows how long it will take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Ends(Silent):
    """A `Progress` that ends the fit before its first step."""

    def expect(self, seconds: float, epochs: float | None) -> None:
        raise _Timed(seconds)


def network_seconds(surveyed: SurveyedSource, planned: PlannedSource, device: torch.device) -> float | None:
    """Seconds of the fits of all segments, one after another, by the steps that the first one times.

    None if it does not say. Raises what a fit raises before its first step.
    """
    settings, run = surveyed.settings, planned.runs[0]
    clips = SegmentClips(surveyed.survey, surveyed.path, settings.source, planned.runs)
    clip = clips.read(0)
    if settings.mask is not None and surveyed.survey.clip is None:
        clip = cut_holes(clip, settings.mask, Silent(), run)
    # With a time limit, a fit would expect to take just that.
    own = replace(settings, time_seconds=None, epochs=surveyed.epochs)
    try:
        fit_of(planned.plans[0].family).fit(FitJob(planned.plans[0], clip, own, device, Deadline(), _Ends()))
    except _Timed as timed:
        return timed.seconds * surveyed.video.frame_count / len(run)
    return None
