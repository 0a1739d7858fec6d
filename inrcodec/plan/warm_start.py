"""`--resume-from`: the networks of an earlier file, planned anew for the same frames; free of torch.

Family, config, seed and segments are the file's, and its decoded tensors are what fits begin with
(`continuing`). Each segment gets the share of the bytes that it has in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitstream import Quality, Segment, Stream, StreamHeader, dump
from inrcodec.coding.opened_segment import OpenedSegment, open_segment, open_stream
from inrcodec.coding.sections import decode_sections
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.models.family import VideoInfo
from inrcodec.models.registry import check_options
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
from inrcodec.settings.encode import SETTLED_BY_FILE, EncodeSettings, flag_of
from inrcodec.system.files import STDIN, is_pipe
from inrcodec.video.properties import VideoProperties, header_of


@dataclass(frozen=True)
class Origin:
    """The file that an encode goes on from."""

    path: str
    header: StreamHeader
    segments: tuple[Segment, ...]
    video_bytes: int
    """What the same segments take in a file that is written now, sound and the like left out."""

    @property
    def runs(self) -> list[range]:
        """The frames of each segment."""
        return [range(one.first_frame, one.first_frame + one.frame_count) for one in self.segments]

    @property
    def shares(self) -> list[float]:
        """What each segment takes of the file, relative to the others."""
        return [float(segment_bytes(one, self.video_bytes)) for one in self.segments]

    def target_bytes(self, settings: EncodeSettings, video: VideoInfo) -> int:
        """The size that was asked for, or else the file's own."""
        if settings.bpp is None and settings.size_bytes is None:
            return self.video_bytes
        return target_bytes(settings, video)


def read_origin(settings: EncodeSettings, properties: VideoProperties) -> Origin | None:
    """The file of `settings.resume_from`, None where there is none, checked against the source's frames.

    Raises `UsageError` for one that is missing, holds other frames, or contradicts what else was asked for,
    and `BitstreamError` for one that is damaged.
    """
    path = settings.resume_from
    if path is None:
        return None
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
            f"--resume-from: {path} holds {header.frame_count} frames of {header.width}x{header.height}, the "
            f"source gives {found[2]} of {found[0]}x{found[1]}; choose the same with --frames, --every, "
            "--crop and --scale"
        )


def _check_settings(path: str, first: OpenedSegment, settings: EncodeSettings) -> None:
    """Refuse what the file settles already, where it is neither the default nor what the file has."""
    check_options(first.family, settings)
    usual = EncodeSettings()
    held = {"model": first.family.name, "seed": first.segment.seed}
    for name in SETTLED_BY_FILE:
        if getattr(settings, name) not in (getattr(usual, name), held.get(name)):
            raise UsageError(f"--resume-from goes on with the networks of {path}: leave {flag_of(name)} out")


def continued_plans(
    origin: Origin, parts: Sequence[VideoProperties], budget: SharedBudget, settings: EncodeSettings
) -> list[SegmentPlan]:
    """The networks of the file for the frames of each segment, each with its share of the budget.

    Raises `TargetUnreachable` with the smallest size of these networks, and `BitstreamError`.
    """
    plans, smallest = [], 0
    for number, (segment, part) in enumerate(zip(origin.segments, parts, strict=True)):
        plan = _continued(origin, replace(segment, first_frame=0), part, settings)
        target = budget.target(number)
        if budget.total_bytes >= origin.video_bytes:
            # Shares are rounded: what is in the file always fits into one of its size.
            target = max(target, plan.target_bytes)
        plan = replace(plan, target_bytes=target, filled_bytes=min(target, budget.filled(number)))
        # Where symbols have contexts, all has steps.
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
    """The network of a segment, with what it takes as a file of its own for a target."""
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
