"""First pass over a video: measures motion, scene changes and length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import NotAVideo
from inrcodec.progress import Progress
from inrcodec.samples import peak_of
from inrcodec.settings.source import SourceSettings
from inrcodec.video.geometry import Frame
from inrcodec.video.properties import Clip, VideoProperties, Window, part_properties
from inrcodec.video.reader import FrameReading, stacked

THUMBNAIL_ROWS, THUMBNAIL_COLUMNS = 9, 16
SAMPLED_EVERY = 4
"""Step between rows on which gradients are measured; those in time use it for columns too."""
GREEN = 1
CODES = 255
"""Differences are measured in these code values at every depth."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Results of one pass over a video; arrays have one value per frame, in code values 0 to 255."""

    properties: VideoProperties
    window: Window
    """Where the frames lie in the source."""
    spatial: NDArray[np.float64]
    """Mean absolute difference of horizontal neighbours, (T,)."""
    temporal: NDArray[np.float64]
    """Mean absolute difference from the previous frame, (T,); 0 for the first."""
    changes: NDArray[np.float64]
    """`temporal` of thumbnails, which small movements hardly change, (T,)."""
    digest: str
    """SHA-256 of all pixels, hexadecimal: two videos with the same digest are the same."""
    clip: Clip | None
    """The whole video, or None if it was too large to hold."""


def survey_video(
    path: str,
    source: SourceSettings,
    held_bytes: int,
    progress: Progress,
    check_size: Callable[[int, int], None] | None = None,
) -> Survey:
    """Read the frames that `source` selects once; keep them if together they take at most `held_bytes`.

    `check_size` is called with width and height of the first frame, before any other is read. Raises what it
    raises, and `UsageError` and `NotAVideo` as `read_clip` does.
    """
    reading, meter = FrameReading(path, source, progress), _Meter()
    held: list[Frame] | None = []
    size = 0
    for frame in reading:
        if size == 0 and check_size is not None:
            check_size(frame.shape[1], frame.shape[0])
        meter.add(frame)
        size += frame.nbytes
        if held is not None:
            held.append(frame)
            held = held if size <= held_bytes else None
    clip = None if held is None else Clip(stacked(held), reading.properties, reading.window)
    return Survey(
        reading.properties,
        reading.window,
        np.array(meter.spatial),
        np.array(meter.temporal),
        np.array(meter.changes),
        meter.digest.hexdigest(),
        clip,
    )


class SegmentClips:
    """The frames of one segment after another; a video that is not held is read a second time.

    Memory holds one segment: its frames are read when it is requested, and not kept here.
    """

    def __init__(self, survey: Survey, path: str, source: SourceSettings, runs: Sequence[range]) -> None:
        self._survey, self._runs = survey, runs
        self._frames = enumerate(FrameReading(path, source))

    def read(self, number: int) -> Clip:
        """Segment `number`; numbers must ascend. Raises `NotAVideo` if frames are missing now."""
        run = self._runs[number]
        properties = part_properties(self._survey.properties, run)
        whole = self._survey.clip
        if whole is not None:
            keep = (
                whole.keep if whole.keep is None or len(whole.keep) == 1 else whole.keep[run.start : run.stop]
            )
            return Clip(whole.frames[run.start : run.stop], properties, keep=keep)
        held = [frame for index, frame in _until(self._frames, run.stop) if index >= run.start]
        if len(held) != len(run):
            raise NotAVideo(
                f"the video changed since it was first read: frames before {run.stop} are missing"
            )
        return Clip(stacked(held), properties)


def _until(frames: Iterator[tuple[int, Frame]], stop: int) -> Iterator[tuple[int, Frame]]:
    """Numbered frames before number `stop`, without reading any after it."""
    for index, frame in frames:
        yield index, frame
        if index + 1 >= stop:
            return


class _Meter:
    """Measures frames one by one; keeps samples of the last one only."""

    def __init__(self) -> None:
        self.spatial: list[float] = []
        self.temporal: list[float] = []
        self.changes: list[float] = []
        self.digest = hashlib.sha256()
        self._samples: NDArray[np.int16] | None = None
        self._thumbnail: NDArray[np.float64] | None = None

    def add(self, frame: Frame) -> None:
        self.digest.update(np.ascontiguousarray(frame).data)
        rows = frame[::SAMPLED_EVERY, :, GREEN].astype(np.int16)
        samples, small = rows[:, ::SAMPLED_EVERY], thumbnail(frame)
        steps, unit = np.abs(np.diff(rows, axis=1)), CODES / peak_of(frame)
        self.spatial.append(unit * float(steps.mean()) if steps.size else 0.0)
        before, small_before = self._samples, self._thumbnail
        self.temporal.append(0.0 if before is None else unit * float(np.abs(samples - before).mean()))
        self.changes.append(0.0 if small_before is None else float(np.abs(small - small_before).mean()))
        self._samples, self._thumbnail = samples, small


def _cells(length: int, most: int) -> NDArray[np.int64]:
    """The ends of at most `most` equal parts of `length` pixels, from 0 on."""
    count = min(most, length)
    return np.arange(count + 1) * length // count


def thumbnail(frame: Frame) -> NDArray[np.float64]:
    """Mean colours of a grid of cells over the frame (height, width, 3), at most 9 rows by 16 columns.

    They are in code values 0 to 255 at every depth.
    """
    rows, columns = _cells(frame.shape[0], THUMBNAIL_ROWS), _cells(frame.shape[1], THUMBNAIL_COLUMNS)
    # Whole numbers are summed along the rows of memory, which takes a seventh of the time of `reduceat`.
    sums = np.stack([frame[first:stop].sum(0, dtype=np.uint32) for first, stop in pairwise(rows)])
    means = sums / np.diff(rows)[:, None, None]
    means = np.add.reduceat(means, columns[:-1], axis=1) / np.diff(columns)[:, None]
    return means * (CODES / peak_of(frame))
