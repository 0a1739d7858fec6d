"""Measures how close one video is to another: each metric for every frame, with a summary."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream import DEFAULT_LIMITS, Limits, probe
from bitstream.blocks import MAGIC
from bitstream.positions import FileSource
from inrcodec.coding.stream_source import is_path, is_read_once, name_of
from inrcodec.decoder.video import Video, open_video
from inrcodec.errors import UsageError
from inrcodec.progress import Part, Progress, Silent
from inrcodec.quality.frame_metrics import MEASURES, Frame, Measured, Metric, measure_frame, usable_measures
from inrcodec.quality.sequence_metrics import SequenceMeters
from inrcodec.settings.source import SourceSettings
from inrcodec.system.files import atomic_output
from inrcodec.system.names import StrPath
from inrcodec.text import counted
from inrcodec.video import FrameReading
from inrcodec.video.planes import Picture
from inrcodec.video.selection import selection_of


@dataclass(frozen=True)
class MetricSummary:
    """Summary of a metric over all frames."""

    metric: Metric
    mean: float
    worst_in_hundred: float
    """The 1st percentile, or the 99th if lower is better: one frame in a hundred is worse."""
    worst: float
    worst_frame: int


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`."""

    reference: str
    decoded: str
    width: int
    height: int
    file_bytes: int | None
    """Size of the decoded video, without audio, subtitles and metadata for an .inrv file; None for images."""
    metrics: tuple[Metric, ...]
    values: dict[str, NDArray[np.float64]]
    """One value per frame (T,), by the name of the metric."""
    frame_count: int

    @property
    def bpp(self) -> float | None:
        if self.file_bytes is None:
            return None
        return 8 * self.file_bytes / (self.width * self.height * self.frame_count)

    def summaries(self) -> list[MetricSummary]:
        found = []
        for metric in self.metrics:
            values = self.values[metric.name]
            worst = metric.worst_frame(values)
            found.append(
                MetricSummary(
                    metric,
                    float(values.mean()),
                    metric.worst_in_hundred(values),
                    float(values[worst]),
                    worst,
                )
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "reference": self.reference,
            "decoded": self.decoded,
            "width": self.width,
            "height": self.height,
            "frames": self.frame_count,
            "file_bytes": self.file_bytes,
            "bpp": self.bpp,
            "metrics": {
                one.metric.name: {
                    "mean": one.mean,
                    "worst_in_hundred": one.worst_in_hundred,
                    "worst": one.worst,
                    "worst_frame": one.worst_frame,
                    "values": self.values[one.metric.name].tolist(),
                }
                for one in self.summaries()
            },
        }

    def write_csv(self, path: StrPath, overwrite: bool) -> None:
        """Write a line for each frame. Raises `UsageError` and `OutputError`."""
        text = io.StringIO()
        names = [metric.name for metric in self.metrics]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["frame", *names])
        for frame in range(self.frame_count):
            writer.writerow([frame, *(repr(float(self.values[name][frame])) for name in names)])
        with atomic_output(path, overwrite) as file:
            file.write(text.getvalue().encode())


def evaluate(
    reference: FileSource,
    decoded: FileSource,
    source: SourceSettings | None = None,
    measures: Sequence[str] | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Evaluation:
    """Compare `decoded`, an .inrv file or any video, with the part of `reference` that `source` selects.

    Without `source`, it is the part that an .inrv file says it holds, else all of `reference`. Both are
    paths; of an .inrv file, also its bytes or a binary file object that can seek.
    `measures` are names of `frame_metrics.MEASURES`; the default is all that are installed. Memory holds one
    frame of each video, or what rendering needs for an .inrv file. Raises `UsageError` if the videos differ
    in size or length, and for an unavailable measure, and `BitstreamError` for an .inrv file that is damaged
    or beyond the `limits`.
    """
    progress = progress or Silent()
    names = usable_measures(measures, progress)
    found: list[Measured] = []
    source = held_part(decoded, limits) if source is None else source
    with ExitStack() as stack:
        videos = [
            _Opened(reference, source, device, stack, progress, limits),
            _Opened(decoded, SourceSettings(), device, stack, progress, limits),
        ]
        original, copy = videos[0].name, videos[1].name
        counts = [video.frame_count for video in videos]
        if all(counts) and counts[0] != counts[1]:
            raise UsageError(
                f"{original} has {counted(counts[0], 'frame')}, {copy} has {counts[1]:,}: they cannot be "
                "compared"
            )
        total = max(video.frame_count for video in videos)
        meters = SequenceMeters(names, lambda: videos[0].frame_rate, stack)
        first, second = (video.pictures for video in videos)
        shape: tuple[int, ...] = ()
        while True:
            one, other = next(first, None), next(second, None)
            if one is None or other is None:
                break
            if one.pixels.shape != other.pixels.shape:
                sizes = [f"{frame.shape[1]}x{frame.shape[0]}" for frame in (one.pixels, other.pixels)]
                raise UsageError(
                    f"{original} has frames of {sizes[0]}, {copy} of {sizes[1]}: repeat the --crop and "
                    "--scale of the encode"
                )
            shape = one.pixels.shape
            found.append(measure_frame(one, other, names))
            meters.add(one, other)
            progress.stage("comparing", len(found), max(total, len(found)))
        if (one is None) == (other is None):
            meters.complete(found)
    if (one is None) != (other is None):
        longer = original if other is None else copy
        raise UsageError(
            f"{longer} has more than the {counted(len(found), 'frame')} of the other: repeat the --frames "
            "and --every of the encode"
        )
    there = _measured([metric for name in names for metric in MEASURES[name].metrics], found[0], progress)
    values = {metric.name: np.array([row[metric.name] for row in found], dtype=float) for metric in there}
    size = videos[1].file_bytes
    return Evaluation(original, copy, shape[1], shape[0], size, there, values, len(found))


def held_part(decoded: FileSource, limits: Limits = DEFAULT_LIMITS) -> SourceSettings:
    """The part of its source that an .inrv file says it holds; the whole source for any other video."""
    if is_read_once(decoded) or (is_path(decoded) and not _is_ours(decoded)):
        return SourceSettings()
    return selection_of(probe(decoded, limits).header)


def held_parts(paths: Sequence[str], limits: Limits) -> SourceSettings:
    """The part of their source that all these .inrv files hold; raises `UsageError` if they differ."""
    parts = [held_part(path, limits) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part != parts[0]:
            raise UsageError(
                f"{paths[0]} and {path} say that they hold different parts of the source; give --frames, "
                "--crop and --scale if they hold the same"
            )
    return parts[0]


def frames_at(
    path: str,
    indices: Sequence[int],
    source: SourceSettings | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Frame]:
    """The frames `indices` of an .inrv file or of the selected part of a video, each (height, width, 3).

    A video is read up to the last of these frames. Raises `UsageError` as `evaluate` does, and for a missing
    frame.
    """
    found: dict[int, Frame] = {}
    with ExitStack() as stack:
        opened = _Opened(path, source or SourceSettings(), device, stack, progress or Silent(), limits)
        if opened.video is not None:
            return [opened.video[index] for index in indices]
        for index, picture in zip(range(max(indices) + 1), opened.pictures, strict=False):
            if index in indices:
                found[index] = picture.pixels
    if len(found) < len(set(indices)):
        raise UsageError(f"{path} no longer contains frame {max(indices)}: it was changed; run again")
    return [found[index] for index in indices]


def _measured(metrics: Sequence[Metric], first: Measured, progress: Progress) -> tuple[Metric, ...]:
    """The metrics that are defined for frames of this size. Raises `UsageError` if there are none."""
    there = tuple(metric for metric in metrics if first[metric.name] is not None)
    missing = [metric.title for metric in metrics if metric not in there]
    if not there:
        raise UsageError(f"the frames are too small for {', '.join(missing)}; choose another metric")
    if missing:
        progress.note(f"{', '.join(missing)}: left out; the frames are too small")
    return there


class _Opened:
    """An .inrv file or a video, read frame by frame. Raises `UsageError`."""

    def __init__(
        self,
        video: FileSource,
        source: SourceSettings,
        device: str,
        stack: ExitStack,
        progress: Progress,
        limits: Limits,
    ) -> None:
        self.name = name_of(video)
        if is_read_once(video):
            raise UsageError(f"{self.name}: both videos must be read from files, not from pipes")
        self.file_bytes: int | None = None
        """Size of the video, without audio, subtitles and metadata for an .inrv file; None for images."""
        self.frame_count = 0
        """0 if the number is unknown before reading."""
        self.video: Video | None = None
        """Random access to the frames; None unless this is an .inrv file."""
        self.pictures: Iterator[Picture]
        if not is_path(video) or _is_ours(video):
            if source != SourceSettings():
                raise UsageError(
                    f"{self.name}: parts of .inrv files cannot be compared; name the source video first"
                )
            summary = probe(video, limits)
            self.file_bytes = summary.file_bytes - summary.extras_bytes
            self.video = stack.enter_context(open_video(video, device, limits=limits))
            self.pictures, self.frame_count = map(Picture, self.video), len(self.video)
            self._timed: FrameReading | Video = self.video
            return
        self.file_bytes = os.path.getsize(video) if os.path.isfile(video) else None
        self._timed = FrameReading(self.name, source, Part(progress, has_stages=False))
        reading = self._timed.pictures()
        stack.callback(reading.close)
        self.pictures = reading

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second, once a frame was read."""
        timed = self._timed
        return timed.properties.frame_rate if isinstance(timed, Video) else timed.frame_rate


def _is_ours(path: StrPath) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
