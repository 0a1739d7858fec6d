"""Plans the encode of one source: reads it once, cuts it into segments and plans the model of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitstream import DEFAULT_LIMITS, Extras, StreamHeader
from inrcodec.encoder.cost import READING_PHASES, READING_SHARE
from inrcodec.errors import UsageError
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import family_of
from inrcodec.plan.budget import SharedBudget, target_bytes, with_size
from inrcodec.plan.cuts import LARGEST_SEGMENT_BYTES, cut, difficulties
from inrcodec.plan.network import SegmentPlan, plan_segments, shared_budget
from inrcodec.plan.warm_start import continued_plans, read_origin
from inrcodec.progress import Part, Progress
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video import Survey, check_mask_length, cut_holes, read_extras, survey_video
from inrcodec.video.properties import header_of, part_properties
from inrcodec.video.selection import part_of, settled


@dataclass(frozen=True, eq=False)
class SurveyedSource:
    """One source after a first pass over its frames."""

    path: str
    settings: EncodeSettings
    """The settings with frames and pixels in place of times and relative sizes, and with bytes in place of a
    bitrate."""
    survey: Survey
    extras: Extras

    @property
    def video(self) -> VideoInfo:
        properties = self.survey.properties
        return VideoInfo(properties.width, properties.height, properties.frame_count)

    @property
    def epochs(self) -> float:
        """The requested passes over the frames."""
        return self.settings.epochs or self.settings.procedure.epochs


@dataclass(frozen=True, eq=False)
class PlannedSource:
    """The segments of one source, each with its model, before any fitting."""

    runs: Sequence[range]
    """The frames of each segment."""
    budget: SharedBudget
    plans: Sequence[SegmentPlan]
    header: StreamHeader


def survey_source(path: str, settings: EncodeSettings, whole: Part) -> SurveyedSource:
    """Read the source at `path` once; it must be readable again. Raises `UsageError` and `NotAVideo`."""
    reading = whole.part(READING_SHARE, phases=READING_PHASES, predicts=False)

    def check_size(width: int, height: int) -> None:
        _check_size(settings, width, height)

    source = settled(path, settings.source, reading)
    survey = survey_video(path, source, LARGEST_SEGMENT_BYTES, reading, check_size)
    reading.end()
    survey = replace(survey, properties=replace(survey.properties, part=part_of(source)))
    settings = with_size(replace(settings, source=source), survey.properties)
    extras = read_extras(path, settings.source, survey.window, whole)
    return SurveyedSource(path, settings, _with_holes(survey, settings, whole), extras)


def plan_source(surveyed: SurveyedSource) -> PlannedSource:
    """Cut the video and plan its models. Raises `UsageError` and `TargetUnreachable`."""
    settings, survey, video = surveyed.settings, surveyed.survey, surveyed.video
    properties = survey.properties
    origin = read_origin(settings, properties)
    most = family_of(settings).most_frames(video.width, video.height)
    frame_bytes = video.width * video.height * 3 * (1 if properties.bit_depth == 8 else 2)
    runs = cut(settings.segment, video.frame_count, frame_bytes, survey.changes, most)
    runs = runs if origin is None else origin.runs
    if settings.mask is not None and survey.clip is None:
        check_mask_length(settings.mask, video.frame_count)
    total = target_bytes(settings, video) if origin is None else origin.target_bytes(settings, video)
    header = header_of(properties, (video.width, video.height))
    shares = difficulties(runs, survey.spatial, survey.temporal) if origin is None else origin.shares
    budget = shared_budget(total, header, runs, shares, settings)
    parts = [part_properties(properties, run) for run in runs]
    plans = (
        plan_segments(parts, budget, settings)
        if origin is None
        else continued_plans(origin, parts, budget, settings)
    )
    first = plans[0].header
    header = header_of(properties, (first.coded_width, first.coded_height))
    return PlannedSource(runs, budget, plans, header)


def _check_size(settings: EncodeSettings, width: int, height: int) -> None:
    """Raise `UsageError` for frames that no file could hold."""
    most = family_of(settings).most_frames(width, height)
    if most == 0 or max(width, height) > DEFAULT_LIMITS.max_dimension:
        raise UsageError(f"frames of {width}x{height} pixels are too large; shrink them with --scale")


def _with_holes(survey: Survey, settings: EncodeSettings, progress: Progress) -> Survey:
    """The survey with the holes of the mask cut into its frames, if it holds them."""
    if settings.mask is None or survey.clip is None:
        return survey
    return replace(survey, clip=cut_holes(survey.clip, settings.mask, progress))
