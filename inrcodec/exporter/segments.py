"""Exports segments as graphs and inputs, each compared with our decoder once its files are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Limits, Segment, StreamHeader
from bitstream.timestamps import last_seconds
from inrcodec.decoder.render import SegmentRenderer
from inrcodec.errors import InrcError, UsageError
from inrcodec.exporter.manifest import ExportedSegment, Manifest
from inrcodec.exporter.onnx_graphs import GraphWriter
from inrcodec.exporter.player import SegmentPlayer
from inrcodec.exporter.values import write_stored
from inrcodec.models.graphs import GraphDecoder
from inrcodec.models.registry import family_and_config
from inrcodec.progress import Progress
from inrcodec.video.properties import VideoProperties, displayed, properties_of

LARGEST_DIFFERENCE = 1
"""Largest difference, of 255, that rounding may cause between an export and our decoder in float32."""


class SegmentExport:
    """Exports segments one by one into a folder, checks each, and describes them all in a manifest."""

    def __init__(
        self, folder: Path, header: StreamHeader, limits: Limits, check: str, progress: Progress
    ) -> None:
        self._folder, self._header, self._progress = folder, header, progress
        self._limits, self._check = limits, check
        self._writer = GraphWriter(folder, header.rotation // 90)
        self._segments: list[ExportedSegment] = []
        self.checked_frames = self.largest_difference = 0
        self.first_picture: NDArray[np.uint8] | None = None
        """The first frame of the video as displayed, (height, width, 3), once it was checked."""

    def add(self, number: int, segment: Segment) -> None:
        """Write the graphs and inputs of a segment and check their frames.

        Raises `InrcError` if frames differ from our decoder's, `UsageError` for a family that cannot be
        exported, and `OSError`.
        """
        self._progress.stage("exporting", segment.first_frame, self._header.frame_count)
        cpu = torch.device("cpu")
        # Graphs put out 8 bits.
        header = replace(self._header, bit_depth=8)
        renderer = SegmentRenderer(segment, header, cpu, torch.float32, self._limits)
        family, _ = family_and_config(segment.family, segment.config)
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
            if frame == 0:
                self.first_picture = found
            difference = int(np.abs(expected.astype(np.int16) - found).max())
            if difference > LARGEST_DIFFERENCE:
                raise InrcError(
                    f"frame {frame} of the exported models differs from our decoder's by {difference} of "
                    f"255, where rounding explains {LARGEST_DIFFERENCE}; nothing was written"
                )
            self.largest_difference = max(self.largest_difference, difference)
            self._progress.stage("checking", done + 1, len(places))
        self.checked_frames += len(places)

    def manifest(self, name: str, file_bytes: int) -> Manifest:
        """The description of the export of the file `name`, of `file_bytes`, without a page."""
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
            last_seconds=float(last_seconds(video)),
            file_bytes=file_bytes,
        )


def checked_places(frame_count: int, check: str) -> Sequence[int]:
    """Frames of a segment to compare: the first, middle and last one, or every one if `check` is `all`."""
    if check == "all":
        return range(frame_count)
    return sorted({0, frame_count // 2, frame_count - 1})


def _times(video: VideoProperties) -> tuple[float, ...] | None:
    """Time at which each frame is shown, seconds; None at a constant rate."""
    if video.timestamps is None:
        return None
    # The quotient of two integers is rounded once, as the float of their fraction would be, in a tenth of the
    # time: there may be 2^22 frames.
    numerator, denominator = video.time_base.as_integer_ratio()
    return tuple(stamp * numerator / denominator for stamp in video.timestamps)
