"""Segments as graphs and inputs, each compared with our decoder as soon as its files are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bitstream import Segment, StreamHeader
from inrcodec.decoder.render import SegmentRenderer
from inrcodec.errors import InrcError, UsageError
from inrcodec.exporter.manifest import ExportedSegment, Manifest
from inrcodec.exporter.onnx_graphs import GraphWriter
from inrcodec.exporter.player import SegmentPlayer
from inrcodec.exporter.values import write_stored
from inrcodec.models.graphs import GraphDecoder
from inrcodec.models.registry import family_by_wire_id
from inrcodec.progress import Progress
from inrcodec.video.properties import VideoProperties, displayed, properties_of
from inrcodec.video.timestamps import frame_time

LARGEST_DIFFERENCE = 1
"""Of 255, between a frame of an export and of our decoder in float32: what rounding may do."""


class SegmentExport:
    """Segments in the making, each checked as soon as its files are written."""

    def __init__(self, folder: Path, header: StreamHeader, check: str, progress: Progress) -> None:
        self._folder, self._header, self._check, self._progress = folder, header, check, progress
        self._writer = GraphWriter(folder, header.rotation // 90)
        self._segments: list[ExportedSegment] = []
        self.checked_frames = self.largest_difference = 0

    def add(self, number: int, segment: Segment) -> None:
        """Write the graphs and inputs of a segment; raises `InrcError` where their frames are others."""
        self._progress.stage("exporting", segment.first_frame, self._header.frame_count)
        renderer = SegmentRenderer(segment, self._header, torch.device("cpu"), torch.float32)
        family = family_by_wire_id(segment.family)
        if not isinstance(renderer.decoder, GraphDecoder):
            raise UsageError(f"files of {family.name} cannot be exported")
        graphs = renderer.decoder.graphs()
        name = f"segment-{number:04}"
        stored = {
            key: write_stored(self._folder, f"{name}-{key}.bin", one) for key, one in graphs.stored.items()
        }
        shown, makers = self._writer.write(graphs, name)
        exported = ExportedSegment(
            first_frame=segment.first_frame,
            frame_count=segment.frame_count,
            family=family.name,
            stored=stored,
            shown=shown,
            states=graphs.states,
            makers=makers,
            references=graphs.references,
        )
        self._compare(SegmentPlayer(self._folder, exported), renderer)
        self._segments.append(exported)

    def _compare(self, player: SegmentPlayer, renderer: SegmentRenderer) -> None:
        segment = player.segment
        places = checked_places(segment.frame_count, self._check)
        for done, place in enumerate(places):
            frame = segment.first_frame + place
            expected, found = renderer.render([frame])[0], player.frame(place)
            difference = int(np.abs(expected.astype(np.int16) - found).max())
            if difference > LARGEST_DIFFERENCE:
                raise InrcError(
                    f"the exported models show another frame {frame} than our decoder: by up to "
                    f"{difference} of 255, where {LARGEST_DIFFERENCE} is rounding; nothing was written"
                )
            self.largest_difference = max(self.largest_difference, difference)
            self._progress.stage("checking", done + 1, len(places))
        self.checked_frames += len(places)

    def manifest(self, name: str) -> Manifest:
        video = displayed(properties_of(self._header))
        return Manifest(
            source=name,
            width=video.width,
            height=video.height,
            frame_count=video.frame_count,
            frame_rate=str(video.frame_rate),
            times=_times(video),
            sample_aspect_ratio=float(video.sample_aspect_ratio) or 1.0,
            segments=tuple(self._segments),
        )


def checked_places(frame_count: int, check: str) -> Sequence[int]:
    """Frames of a segment that are compared: the first, the middle and the last, or with `all` every one."""
    if check == "all":
        return range(frame_count)
    return sorted({0, frame_count // 2, frame_count - 1})


def _times(video: VideoProperties) -> tuple[float, ...] | None:
    """Seconds at which frames are shown; None at a constant rate."""
    if video.timestamps is None:
        return None
    return tuple(float(frame_time(video, index)) for index in range(video.frame_count))
