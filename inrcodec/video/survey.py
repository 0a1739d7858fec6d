"""The first pass over a video: how much it moves, where its scenes change, how long it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import NotAVideo
from inrcodec.progress import Progress
from inrcodec.settings.source import SourceSettings
from inrcodec.video.geometry import Frame
from inrcodec.video.properties import Clip, VideoProperties, Window, part_properties
from inrcodec.video.reader import FrameReading, stacked

THUMBNAIL_ROWS, THUMBNAIL_COLUMNS = 9, 16
SAMPLED_EVERY = 4
"""Of the rows that gradients are measured on, and of the columns too for those in time."""
GREEN = 1


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a video tells; arrays have one value a frame, in code values 0 to 255."""

    properties: VideoProperties
    window: Window
    """Where the frames lie in the source."""
    spatial: NDArray[np.float64]
    """Mean absolute difference of neighbours in a row, (T,)."""
    temporal: NDArray[np.float64]
    """Mean absolute difference from the frame before, (T,); 0 for the first."""
    changes: NDArray[np.float64]
    """The same of thumbnails, which small movements leave alone, (T,)."""
    digest: str
    """SHA-256 of all pixels, hexadecimal: two videos with the same digest are the same."""
    clip: Clip | None
    """The whole video, where it was small enough to be held."""


def survey_video(path: str, source: SourceSettings, held_bytes: int, progress: Progress) -> Survey:
    """Read the frames that `source` selects once; keep them if they take at most `held_bytes` together.

    Raises `UsageError` and `NotAVideo` as `read_clip` does.
    """
    reading, meter = FrameReading(path, source, progress), _Meter()
    held: list[Frame] | None = []
    size = 0
    for frame in reading:
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
    """The frames of one segment after the other; those of a video that is not held are read a second time.

    Memory holds one segment: its frames are read when it is asked for, and forgotten here.
    """

    def __init__(self, survey: Survey, path: str, source: SourceSettings, runs: Sequence[range]) -> None:
        self._survey, self._runs = survey, runs
        self._frames = enumerate(FrameReading(path, source))

    def read(self, number: int) -> Clip:
        """Segment `number`, after those asked for before. Raises `NotAVideo` where frames are missing now."""
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
            raise NotAVideo(f"the video has other frames than when it was read first, before {run.stop}")
        return Clip(stacked(held), properties)


def _until(frames: Iterator[tuple[int, Frame]], stop: int) -> Iterator[tuple[int, Frame]]:
    """Numbered frames up to number `stop` (exclusive), none of those after it."""
    for index, frame in frames:
        yield index, frame
        if index + 1 >= stop:
            return


class _Meter:
    """Measures frames as they come; remembers samples of the last one only."""

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
        steps = np.abs(np.diff(rows, axis=1))
        self.spatial.append(float(steps.mean()) if steps.size else 0.0)
        before, small_before = self._samples, self._thumbnail
        self.temporal.append(0.0 if before is None else float(np.abs(samples - before).mean()))
        self.changes.append(0.0 if small_before is None else float(np.abs(small - small_before).mean()))
        self._samples, self._thumbnail = samples, small


def thumbnail(frame: Frame) -> NDArray[np.float64]:
    """Mean colours of cells of the frame (height, width, 3): at most 9 rows and 16 columns of them."""
    means: NDArray[Any] = frame
    for axis, cells in ((0, THUMBNAIL_ROWS), (1, THUMBNAIL_COLUMNS)):
        length = means.shape[axis]
        starts = np.arange(min(cells, length)) * length // min(cells, length)
        widths = np.diff([*starts, length])
        sums = np.add.reduceat(means, starts, axis=axis, dtype=np.float64)
        means = sums / np.expand_dims(widths, tuple({0, 1, 2} - {axis}))
    return means
