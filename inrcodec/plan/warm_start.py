"""Plans warm starts (`--resume-from`): the networks of an earlier file for the same frames, without torch.

Family, config, seed and segments come from the file, and fits start from its decoded tensors
(`fit.network_start`). Each segment gets the same share of the bytes as in the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitstream import Quality, Segment, Stream, StreamHeader, dump
from inrcodec.coding.opened_segment import OpenedSegment, open_segment, open_stream
from inrcodec.coding.sections import decode_sections
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import check_options
from inrcodec.naming import flag_of
from inrcodec.plan.budget import (
    SharedBudget,
    empty_segment,
    metadata_of,
    overhead_bytes,
    segment_bytes,
    stream_of,
    target_bytes,
)
from inrcodec.plan.network import SegmentPlan, check_fit
from inrcodec.settings.encode import SETTLED_BY_FILE, EncodeSettings
from inrcodec.system.names import STDIN, is_pipe
from inrcodec.text import counted
from inrcodec.video.properties import VideoProperties, header_of


@dataclass(frozen=True)
class Origin:
    """The file that a warm start begins with."""

    path: str
    header: StreamHeader
    segments: tuple[Segment, ...]
    video_bytes: int
    """Bytes of the same segments in a file written now, without audio and other extras."""

    @property
    def runs(self) -> list[range]:
        """Frames of each segment."""
        return [range(one.first_frame, one.first_frame + one.frame_count) for one in self.segments]

    @property
    def shares(self) -> list[float]:
        """Bytes of each segment in the file."""
        return [float(segment_bytes(one, self.video_bytes)) for one in self.segments]

    def target_bytes(self, settings: EncodeSettings, video: VideoInfo) -> int:
        """The requested size, or else the size of the file's video."""
        if settings.bpp is None and settings.size_bytes is None:
            return self.video_bytes
        return target_bytes(settings, video)


def read_origin(settings: EncodeSettings, properties: VideoProperties) -> Origin | None:
    """The file of `settings.resume_from`, checked against the source's frames, or None without that setting.

    Raises `UsageError` for a file that is missing, has other frames or contradicts other settings, and
    `BitstreamError` for a damaged file.
    """
    if settings.resume_from is None:
        return None
    path = os.fspath(settings.resume_from)
    if path == STDIN or is_pipe(path):
        raise UsageError(f"--resume-from {path}: expected a file, found a pipe")
    with open_stream(path) as reader:
        header, segments = reader.header, tuple(segment for _, _, segment in reader.segments())
    _check_frames(path, header, properties)
    _check_settings(path, open_segment(segments[0], header), settings)
    now = header_of(properties, (header.coded_width, header.coded_height))
    whole = Stream(now, segments, Quality(0.0), metadata_of(settings.mask is not None))
    return Origin(path, header, segments, len(dump(whole)))


def _check_frames(path: str, header: StreamHeader, properties: VideoProperties) -> None:
    found = (properties.width, properties.height, properties.frame_count)
    if found != (header.width, header.height, header.frame_count):
        raise UsageError(
            f"--resume-from: {path} holds {counted(header.frame_count, 'frame')} of "
            f"{header.width}x{header.height}, the source gives {found[2]} of "
            f"{found[0]}x{found[1]}; select the same with --frames, --every, --crop and --scale"
        )


def _check_settings(path: str, first: OpenedSegment, settings: EncodeSettings) -> None:
    """Raise `UsageError` for settings that the file fixes, unless they are the default or as in the file."""
    check_options(first.family, settings)
    usual = EncodeSettings()
    held = {"model": first.family.name, "seed": first.segment.seed}
    for name in SETTLED_BY_FILE:
        if getattr(settings, name) not in (getattr(usual, name), held.get(name)):
            raise UsageError(f"--resume-from continues the networks of {path}: leave {flag_of(name)} out")


def continued_plans(
    origin: Origin, parts: Sequence[VideoProperties], budget: SharedBudget, settings: EncodeSettings
) -> list[SegmentPlan]:
    """The networks of the file for the frames of each segment, each with its share of the budget.

    Raises `BitstreamError`, and `TargetUnreachable` with the smallest size that these networks can reach.
    """
    plans, smallest = [], 0
    for number, (segment, part) in enumerate(zip(origin.segments, parts, strict=True)):
        plan = _continued(origin, replace(segment, first_frame=0), part, settings)
        target = budget.target(number)
        if budget.total_bytes >= origin.video_bytes:
            # Shares are rounded, but the file's own segments must always fit into a file of its size.
            target = max(target, plan.target_bytes)
        plan = replace(plan, target_bytes=target, filled_bytes=min(target, budget.filled(number)))
        # With context coding, every tensor has a step, so the smallest file needs no values.
        values = {} if plan.family.has_contexts else decode_sections(plan.specs, segment.sections)
        least = plan.least_bytes(values)
        if least > target:
            smallest = max(smallest, budget.total_for(number, least))
        plans.append(plan)
    if smallest:
        error = TargetUnreachable(
            f"{budget.total_bytes} bytes are too few for the networks of {origin.path}; the smallest "
            f"reachable is --size {smallest}"
        )
        error.smallest_bytes = smallest
        raise error
    return plans


def _continued(
    origin: Origin, start: Segment, part: VideoProperties, settings: EncodeSettings
) -> SegmentPlan:
    """The network of a segment; its target is the size that it has now as a separate file."""
    is_masked = settings.mask is not None
    header = header_of(part, (origin.header.coded_width, origin.header.coded_height))
    opened = open_segment(start, header)
    empty = empty_segment(header, start.family, start.seed, start.config, opened.specs)
    own_bytes = len(dump(stream_of(header, start, 0.0, is_masked)))
    plan = SegmentPlan(
        family=opened.family,
        config=opened.config,
        header=header,
        video=opened.video,
        seed=start.seed,
        specs=opened.specs,
        target_bytes=own_bytes,
        overhead_bytes=overhead_bytes(header, empty, is_masked),
        filled_bytes=own_bytes,
        is_masked=is_masked,
        start=start,
    )
    check_fit(plan, settings)
    return plan
