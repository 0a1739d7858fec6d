"""Exporting: a file to ONNX models, their inputs and a manifest, checked, and a page that plays them.

.inrv -> parse -> entropy decode -> dequantise -> graphs and inputs -> the frames once more -> folder
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bitstream import Segment, StreamHeader
from inrcodec.coding.opened_segment import open_stream
from inrcodec.decoder.render import SegmentRenderer
from inrcodec.errors import InrcError, UsageError
from inrcodec.exporter.folder import check_export_folder, exported_folder
from inrcodec.exporter.manifest import OPSET, ExportedSegment, Manifest
from inrcodec.exporter.onnx_graphs import GraphWriter
from inrcodec.exporter.player import SegmentPlayer
from inrcodec.exporter.runtime import check_runtime, copy_runtime
from inrcodec.exporter.values import write_stored
from inrcodec.models.graphs import GraphDecoder
from inrcodec.models.registry import family_by_wire_id
from inrcodec.progress import Progress, Silent
from inrcodec.settings.export import ExportSettings, check_exporting
from inrcodec.system.files import STDIN, check_paths
from inrcodec.video.properties import VideoProperties, displayed, properties_of
from inrcodec.video.timestamps import frame_time

LARGEST_DIFFERENCE = 1
"""Of 255, between a frame of an export and of our decoder in float32: what rounding may do."""
RUNTIME = "runtime"
"""Folder of the page's onnxruntime-web."""


@dataclass(frozen=True)
class ExportResult:
    """What an export did."""

    frames: int
    segments: int
    families: tuple[str, ...]
    opset: int
    model_bytes: int
    input_bytes: int
    """Of what is stored of frames: embeddings, or motion and latents."""
    page_bytes: int
    """Of the page and of onnxruntime-web; 0 without them."""
    checked_frames: int
    largest_difference: int
    """Of 255, of a checked frame from our decoder's."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def export(
    source: str, output: str, settings: ExportSettings | None = None, progress: Progress | None = None
) -> ExportResult:
    """Write the decoder of the file `source`, or of standard input for `-`, as ONNX into a new folder.

    The folder `output` gets `manifest.json`, the models and their inputs, and a page with `settings.web`
    (docs/export.md says how they belong together). Frames that the models make are compared with those of
    our decoder before anything is there. Raises `UsageError`, `OutputError`, `BitstreamError`, and
    `InrcError` where a model's frames are others.
    """
    settings, progress = settings or ExportSettings(), progress or Silent()
    started = time.monotonic()
    check_exporting(settings)
    if source != STDIN:
        check_paths(source, output)
    check_export_folder(source, output, settings.overwrite)
    if settings.web:
        check_runtime(settings.runtime)
    with open_stream(source) as reader, exported_folder(source, output, settings.overwrite) as folder:
        if settings.web:
            _write_page(folder, settings.runtime)
        page_bytes = _size_of([*folder.rglob("*")])
        work = _Export(folder, reader.header, settings.check, progress)
        for number, _, segment in reader.segments():
            work.add(number, segment)
        manifest = work.manifest("video" if source == STDIN else os.path.basename(source))
        manifest.dump(folder)
        models = [*folder.glob("*.onnx")]
        inputs = [folder / one.file for part in manifest.segments for one in part.stored.values()]
        return ExportResult(
            frames=manifest.frame_count,
            segments=len(manifest.segments),
            families=tuple(dict.fromkeys(part.family for part in manifest.segments)),
            opset=OPSET,
            model_bytes=_size_of(models),
            input_bytes=_size_of(inputs),
            page_bytes=page_bytes,
            checked_frames=work.checked_frames,
            largest_difference=work.largest_difference,
            seconds=time.monotonic() - started,
        )


class _Export:
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


def _write_page(folder: Path, runtime: str | None) -> None:
    """The page, and the onnxruntime-web that it needs."""
    with as_file(files("inrcodec.exporter") / "web") as page:
        shutil.copytree(page, folder, dirs_exist_ok=True)
    copy_runtime(runtime, folder / RUNTIME)


def _size_of(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
