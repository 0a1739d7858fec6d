"""Plans the network of each segment to fit its target size, before any fitting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bitstream import DEFAULT_LIMITS, LimitExceeded, Section, Segment, StreamHeader, dump, load
from inrcodec.coding.opened_segment import open_segment
from inrcodec.coding.sections import Arrays
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    AnyFamily,
    BudgetTooSmall,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    prunable_weights,
)
from inrcodec.models.registry import family_of, packed_config
from inrcodec.plan.budget import (
    SharedBudget,
    empty_segment,
    least_file_bytes,
    overhead_bytes,
    stream_of,
    target_bytes,
)
from inrcodec.search import first_that
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import LOSSES, Preset
from inrcodec.text import counted
from inrcodec.video.properties import VideoProperties, header_of

CODED_WEIGHT, CODED_EMBEDDING = 0.86, 0.9
"""Ratio of entropy-coded bits to those of min-max quantisation, measured on fits of two clips."""


@dataclass(frozen=True)
class SegmentPlan:
    """The network of one segment and the maximum bytes of its file."""

    family: AnyFamily
    config: Any
    header: StreamHeader
    video: VideoInfo
    seed: int
    specs: tuple[TensorSpec, ...]
    target_bytes: int
    overhead_bytes: int
    filled_bytes: int
    """Minimum bytes for the target to count as used."""
    is_masked: bool = False
    """Whether a mask leaves some pixels to the network."""
    start: Segment | None = None
    """Segment of an earlier file for a warm start; None for random values."""

    def with_config(self, config: Any) -> SegmentPlan:
        """The plan with another config, and thus with its tensors."""
        return replace(self, config=config, specs=self.family.tensors(config, self.video))

    @cached_property
    def packed_config(self) -> bytes:
        return packed_config(self.family, self.config)

    @property
    def parameter_count(self) -> int:
        """Transmitted values: weights, biases, scales and embeddings."""
        return sum(spec.count for spec in self.specs)

    @property
    def payload_bytes(self) -> int:
        """Bytes left for coded symbols."""
        return self.target_bytes - self.overhead_bytes

    def file(self, sections: tuple[Section, ...]) -> bytes:
        """The segment as a complete file, with a placeholder for its PSNR."""
        segment = Segment(
            0, self.video.frame_count, self.family.wire_id, self.seed, self.packed_config, sections
        )
        return dump(stream_of(self.header, segment, 0.0, self.is_masked))

    def file_bytes(self, sections: tuple[Section, ...]) -> int:
        """Length of that file."""
        return len(self.file(sections))

    def least_bytes(self, values: Arrays | None = None) -> int:
        """Bytes of this network's smallest file; see `least_file_bytes`."""
        empty = empty_segment(self.header, self.family.wire_id, self.seed, self.packed_config, self.specs)
        return least_file_bytes(self.header, empty, self.specs, self.is_masked, values)


def plan_segment(
    properties: VideoProperties, settings: EncodeSettings, target: int | None = None
) -> SegmentPlan:
    """The network for a video as one segment, in a file of `target` bytes or of the size in `settings`.

    Raises `UsageError`, and `TargetUnreachable` with the smallest size that the model can reach.
    """
    video = VideoInfo(properties.width, properties.height, properties.frame_count)
    target = target_bytes(settings, video) if target is None else target
    header = header_of(properties, (properties.width, properties.height))
    budget = shared_budget(target, header, [range(properties.frame_count)], [1.0], settings)
    return plan_segments([properties], budget, settings)[0]


def _too_large(error: Exception) -> UsageError:
    return UsageError(
        f"this video is too large for one file: {error}; shrink it with --scale, or ask for fewer bits"
    )


def shared_budget(
    total: int, header: StreamHeader, runs: Sequence[range], shares: Sequence[float], settings: EncodeSettings
) -> SharedBudget:
    """The budget of a file; raises `UsageError` for a video that readers would refuse."""
    try:
        DEFAULT_LIMITS.check("max_segments", len(runs))
        return SharedBudget(total, header, runs, shares, settings.mask is not None)
    except (LimitExceeded, ValueError) as error:
        raise _too_large(error) from error


def plan_segments(
    segments: Sequence[VideoProperties], budget: SharedBudget, settings: EncodeSettings
) -> list[SegmentPlan]:
    """The networks of all segments of a file, each with its share of the budget.

    Raises the errors of `plan_segment`.
    """
    family = family_of(settings)
    videos = [VideoInfo(one.width, one.height, one.frame_count) for one in segments]
    plans, smallest = [], 0
    for number, (properties, video) in enumerate(zip(segments, videos, strict=True)):
        target = budget.target(number)
        try:
            plan = _plan_that_fits(family, properties, video, target, settings)
            plans.append(replace(plan, filled_bytes=budget.filled(number)))
        except BudgetTooSmall:
            reachable = _smallest_reachable(family, properties, video, target, settings)
            smallest = max(smallest, budget.total_for(number, reachable))
    if not smallest:
        return plans
    target, pixel_count = budget.total_bytes, sum(video.pixel_count for video in videos)
    frame_count = sum(video.frame_count for video in videos)
    network = family.name if settings.parameters is None else f"{family.name} of {settings.parameters} values"
    parts = "" if len(videos) == 1 else f" in {len(videos)} segments"
    error = TargetUnreachable(
        f"{target} bytes ({8 * target / pixel_count:.4g} bpp) are too few for {network} and "
        f"{counted(frame_count, 'frame')} of {videos[0].width}x{videos[0].height}{parts}; "
        f"the smallest reachable is --size {smallest} (--bpp {_rounded_up(8 * (smallest + 1) / pixel_count)})"
    )
    error.smallest_bytes = smallest
    raise error


def check_fit(plan: SegmentPlan, settings: EncodeSettings) -> None:
    """Raise `UsageError` if the fitting options do not suit this network or these frames."""
    if settings.prune and not prunable_weights(plan.specs):
        raise UsageError(f"--prune: {plan.family.name} has no weights to prune")
    _check_frame_size(settings.procedure.loss, plan.video)


def _check_frame_size(loss: str, video: VideoInfo) -> None:
    least = LOSSES[loss].least_side
    if min(video.width, video.height) < least:
        raise UsageError(
            f"--loss {loss} needs frames of at least {least} pixels a side; these are "
            f"{video.width}x{video.height}"
        )


def planned_bits(procedure: Preset) -> SymbolBits:
    """Expected bits per symbol after `procedure`.

    For pruned weights only their positions are coded, at the entropy of being pruned. With 8 bits and 0, 10
    and 50 % pruned, this predicts 6.9, 6.7 and 4.4 bits per weight; measured: 6.9, 6.7 to 7.0, and 4.4.
    """
    if procedure.minmax is None:
        return TRAINED_FOR_RATE
    pruned, weight = procedure.prune, CODED_WEIGHT * procedure.minmax.weight
    place = -sum(share * math.log2(share) for share in (pruned, 1 - pruned) if share > 0)
    return SymbolBits((1 - pruned) * weight + place, weight, CODED_EMBEDDING * procedure.minmax.embedding)


def _rounded_up(value: float) -> str:
    """`value` rounded up to four significant digits, as decimal text."""
    digits = 3 - math.floor(math.log10(value))
    return f"{math.ceil(value * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def _plan(
    family: AnyFamily, properties: VideoProperties, video: VideoInfo, target: int, settings: EncodeSettings
) -> SegmentPlan:
    """Plan twice: the first network only serves to count the bytes that are not coded symbols."""
    overhead, symbol_bits = 0, planned_bits(settings.procedure)
    is_masked = settings.mask is not None
    for _ in range(2):
        payload_bits = max(0.0, 8.0 * (target - overhead))
        config = _network(family, video, payload_bits, symbol_bits, settings)
        specs = family.tensors(config, video)
        header = header_of(properties, family.coded_size(config, video))
        segment = empty_segment(header, family.wire_id, settings.seed, packed_config(family, config), specs)
        overhead = overhead_bytes(header, segment, is_masked)
    _check_limits(header, segment)
    plan = SegmentPlan(
        family, config, header, video, settings.seed, specs, target, overhead, target, is_masked
    )
    check_fit(plan, settings)
    return plan


def _plan_that_fits(
    family: AnyFamily, properties: VideoProperties, video: VideoInfo, target: int, settings: EncodeSettings
) -> SegmentPlan:
    """A plan whose file can meet the target, however coarsely quantised; raises `BudgetTooSmall`."""
    plan = _plan(family, properties, video, target, settings)
    least = plan.least_bytes()
    if least > target:
        raise BudgetTooSmall(8.0 * least)
    return plan


def _network(
    family: AnyFamily,
    video: VideoInfo,
    payload_bits: float,
    symbol_bits: SymbolBits,
    settings: EncodeSettings,
) -> Any:
    """The config of the widest network for `--parameters`, or else for the bits available."""
    if settings.parameters is None:
        return family.plan(video, payload_bits, settings.model_options, settings.seed, symbol_bits)
    smallest = _smallest(family, video, settings)
    if any(spec.role is Role.LEVELS for spec in family.tensors(smallest, video)):
        raise UsageError(f"--parameters: {family.name} is planned by its bits; give --bpp or --size instead")
    try:
        config = _counted(family, video, settings.parameters, settings)
    except BudgetTooSmall:
        config = smallest
    if _count(family, config, video) > settings.parameters:
        least = _count(family, smallest, video)
        options = " with these options" if settings.model_options else ""
        raise UsageError(f"--parameters: the smallest {family.name} for this video{options} has {least}")
    return config


def _counted(family: AnyFamily, video: VideoInfo, count: float, settings: EncodeSettings) -> Any:
    """The config of the widest network of at most `count` values; raises `BudgetTooSmall`."""
    return family.plan(video, count, settings.model_options, settings.seed, SymbolBits(1, 1, 1))


def _smallest(family: AnyFamily, video: VideoInfo, settings: EncodeSettings) -> Any:
    """The config of the smallest network that the family plans with the given options."""
    count = 0.0
    while True:
        try:
            return _counted(family, video, count, settings)
        except BudgetTooSmall as error:
            # A larger budget may add embedding channels, and then has to grow further.
            count = error.minimum_bits if error.minimum_bits > count else 1.1 * count + 1


def _count(family: AnyFamily, config: Any, video: VideoInfo) -> int:
    return sum(spec.count for spec in family.tensors(config, video))


def _check_limits(header: StreamHeader, segment: Segment) -> None:
    """Raise `UsageError` for a video that readers would refuse, before hours are spent on fitting."""
    try:
        load(dump(stream_of(header, segment, 0.0)))
        open_segment(segment, header)
    except (LimitExceeded, ValueError) as error:
        raise _too_large(error) from error


def _smallest_reachable(
    family: AnyFamily, properties: VideoProperties, video: VideoInfo, target: int, settings: EncodeSettings
) -> int:
    """The smallest target in bytes for which there is a network."""

    def is_reachable(size: int) -> bool:
        try:
            _plan_that_fits(family, properties, video, size, settings)
        except BudgetTooSmall:
            return False
        return True

    low, high = target, max(1, target)
    while not is_reachable(high):
        low, high = high, 2 * high
    return first_that(is_reachable, low, high)
