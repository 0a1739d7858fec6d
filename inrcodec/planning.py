"""What will be fitted: the network that a target pays for, decided before any work starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bitstream import LimitExceeded, Segment, StreamHeader, dump, load
from inrcodec.budget import empty_segment, overhead_bytes, stream_of, target_bytes
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.models.family import AnyFamily, BudgetTooSmall, TensorSpec, VideoInfo
from inrcodec.models.registry import family_by_name
from inrcodec.opening import open_segment
from inrcodec.settings import EncodeSettings
from inrcodec.video.properties import VideoProperties, header_of


@dataclass(frozen=True)
class SegmentPlan:
    """One segment's network and the bytes its file may take."""

    family: AnyFamily
    config: Any
    header: StreamHeader
    video: VideoInfo
    seed: int
    specs: tuple[TensorSpec, ...]
    target_bytes: int
    overhead_bytes: int
    is_masked: bool = False
    """Whether some pixels are left to the network."""

    @cached_property
    def packed_config(self) -> bytes:
        return self.family.pack(self.config)

    @property
    def parameter_count(self) -> int:
        """Transmitted values: weights, biases, scales and embeddings."""
        return sum(spec.count for spec in self.specs)

    @property
    def payload_bytes(self) -> int:
        """What is left for coded symbols."""
        return self.target_bytes - self.overhead_bytes


def plan_segment(properties: VideoProperties, settings: EncodeSettings) -> SegmentPlan:
    """The network for a whole video as one segment.

    Raises `UsageError`, and `TargetUnreachable` naming the smallest file that the model can make.
    """
    family = family_by_name(settings.model)
    video = VideoInfo(properties.width, properties.height, properties.frame_count)
    target = target_bytes(settings, video)
    try:
        return _plan(family, properties, video, target, settings)
    except BudgetTooSmall:
        smallest = _smallest_reachable(family, properties, video, target, settings)
    raise TargetUnreachable(
        f"{target} bytes ({8 * target / video.pixel_count:.4g} bpp) are too few for {family.name} and "
        f"{video.frame_count} frames of {video.width}x{video.height}; the smallest reachable is "
        f"--size {smallest} (--bpp {_rounded_up(8 * (smallest + 1) / video.pixel_count)})"
    )


def _rounded_up(value: float) -> str:
    """A decimal text of four digits that is not below `value`."""
    digits = 3 - math.floor(math.log10(value))
    return f"{math.ceil(value * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def _plan(
    family: AnyFamily, properties: VideoProperties, video: VideoInfo, target: int, settings: EncodeSettings
) -> SegmentPlan:
    """Plan twice: the first network only serves to count the bytes that are not symbols."""
    overhead, is_masked = 0, settings.mask is not None
    for _ in range(2):
        payload_bits = max(0.0, 8.0 * (target - overhead))
        config = family.plan(video, payload_bits, settings.model_options, settings.seed)
        specs = family.tensors(config, video)
        header = header_of(properties, family.coded_size(config, video))
        segment = empty_segment(header, family.wire_id, settings.seed, family.pack(config), specs)
        overhead = overhead_bytes(header, segment, is_masked)
    _check_limits(header, segment)
    return SegmentPlan(family, config, header, video, settings.seed, specs, target, overhead, is_masked)


def _check_limits(header: StreamHeader, segment: Segment) -> None:
    """Raise `UsageError` for a video that a reader would refuse, before hours are spent on its file."""
    try:
        load(dump(stream_of(header, segment, 0.0)))
        open_segment(segment, header)
    except LimitExceeded as error:
        raise UsageError(f"this video is too large for one file: {error}") from error


def _smallest_reachable(
    family: AnyFamily, properties: VideoProperties, video: VideoInfo, target: int, settings: EncodeSettings
) -> int:
    """The smallest target, in bytes, for which `_plan` finds a network."""

    def is_reachable(size: int) -> bool:
        try:
            _plan(family, properties, video, size, settings)
        except BudgetTooSmall:
            return False
        return True

    low, high = target, max(1, target)
    while not is_reachable(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_reachable(middle) else (middle, high)
    return high
