"""Chooses the frames that a prediction measures: stretches for an ordinary codec, with samples to fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.encoder.planned import SurveyedSource
from inrcodec.fit.grids.shots import SHORTEST_SHOT
from inrcodec.models.family import VideoInfo
from inrcodec.plan.cuts import scene_starts
from inrcodec.video.ordinary_codecs import Frames
from inrcodec.video.survey import SegmentClips

SAMPLE_FRAMES = 17
"""Frames of a short fit: a first frame, and all that lie up to the next anchor."""
SAMPLES = 4
PLACES = ((0.2, 0.3), (0.8, 0.8), (0.3, 0.8), (0.8, 0.2))
"""Places of the samples: the share of the spare height above each, and of the spare width left of it. Samples
of the middle alone say less about the whole frame."""
FIT_PIXELS = 0.55e6
"""Pixels of all samples together: fitting them takes about four seconds on one core."""
RIVAL_PIXELS = 12e6
"""Pixels that the ordinary codec encodes for each point of its curve."""
MOST_STRETCHES = 8
_GRAIN = 16
"""Sides of a fitted window are multiples of it, as blocks are."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a frame."""

    width: int
    height: int

    def of(self, frames: Frames, place: tuple[float, float] = (0.5, 0.5)) -> Frames:
        """The rectangle of frames (T, height, width, 3), by default the middle one; see `PLACES`."""
        top = int(place[0] * (frames.shape[1] - self.height))
        left = int(place[1] * (frames.shape[2] - self.width))
        return np.ascontiguousarray(frames[:, top : top + self.height, left : left + self.width])


@dataclass(frozen=True)
class Sampling:
    """The frames to measure."""

    stretches: tuple[range, ...]
    """Runs of frames for the ordinary codec: the whole video, or parts that are spread over it."""
    window: Window
    """The part of these frames that it encodes."""
    fits: tuple[tuple[int, range], ...]
    """Samples for short fits: the number of the stretch, and the frames in it."""
    fit_window: Window
    """The size of the part of the window that is fitted."""

    @property
    def frame_count(self) -> int:
        """Frames of all stretches."""
        return sum(map(len, self.stretches))

    def samples(self, stretches: Sequence[Frames]) -> list[Frames]:
        """The samples, cut out of the window of each stretch (T, height, width, 3)."""
        return [
            self.fit_window.of(stretches[number][frames.start : frames.stop], place)
            for (number, frames), place in zip(self.fits, PLACES, strict=False)
        ]


def sampling_of(video: VideoInfo, changes: NDArray[np.float64]) -> Sampling:
    """The samples of a video whose thumbnails change by `changes` (T,), as in `Survey.changes`."""
    cuts = scene_starts(changes, SHORTEST_SHOT)
    count, frame_pixels = video.frame_count, video.width * video.height
    stretches: tuple[range, ...]
    if count * frame_pixels <= RIVAL_PIXELS:
        stretches, window = (range(count),), Window(video.width, video.height)
    else:
        parts = int(max(SAMPLES, min(MOST_STRETCHES, RIVAL_PIXELS / (SAMPLE_FRAMES * frame_pixels))))
        parts = min(parts, max(1, count // SAMPLE_FRAMES))
        affordable = int(RIVAL_PIXELS / (parts * frame_pixels))
        length = min(count // parts, max(SAMPLE_FRAMES, affordable))
        stretches = _spread(range(count), parts, length, cuts)
        window = _window(video, RIVAL_PIXELS / (parts * length), 2)
    length = min(SAMPLE_FRAMES, len(stretches[0]))
    if len(stretches) > 1:
        chosen = sorted({int((number + 0.5) / SAMPLES * len(stretches)) for number in range(SAMPLES)})
    else:
        chosen = [0]
    parts = max(1, min(SAMPLES // len(chosen), len(stretches[0]) // length))
    fits = tuple(
        (number, range(run.start - stretches[number].start, run.stop - stretches[number].start))
        for number in chosen
        for run in _spread(stretches[number], parts, length, cuts)
    )
    inside = VideoInfo(window.width, window.height, length)
    return Sampling(stretches, window, fits, _window(inside, FIT_PIXELS / (len(fits) * length), _GRAIN))


def read_stretches(surveyed: SurveyedSource, sampling: Sampling) -> list[Frames]:
    """The window of each stretch, (T, height, width, 3). Raises `NotAVideo` if frames have gone missing."""
    clips = SegmentClips(surveyed.survey, surveyed.path, surveyed.settings.source, sampling.stretches)
    return [sampling.window.of(clips.read(number).frames) for number in range(len(sampling.stretches))]


def _spread(frames: range, parts: int, length: int, cuts: Sequence[int]) -> tuple[range, ...]:
    """A run of `length` frames in the middle of each of `parts` of the `frames`, or near it.

    A fit finds no cut close to an end, so a run with few such `cuts` is taken.
    """
    found = []
    for number in range(parts):
        first, stop = (frames.start + one * len(frames) // parts for one in (number, number + 1))
        middle = max(first, (first + stop - length) // 2)
        starts = range(
            max(first, middle - SHORTEST_SHOT), max(first, min(stop - length, middle + SHORTEST_SHOT)) + 1
        )

        def cost(start: int, middle: int = middle) -> tuple[int, int]:
            ends = (
                *range(start + 1, start + SHORTEST_SHOT),
                *range(start + length - SHORTEST_SHOT + 1, start + length),
            )
            return sum(cut in ends for cut in cuts), abs(start - middle)

        start = min(starts, key=cost)
        found.append(range(start, start + length))
    return tuple(found)


def _window(video: VideoInfo, pixels: float, grain: int) -> Window:
    """The largest window of about `pixels` with the shape of the frame, whose sides are multiples of `grain`.

    The whole frame if it is not larger.
    """
    share = math.sqrt(pixels / (video.width * video.height))
    if share >= 1:
        return Window(video.width, video.height)
    sides = (max(grain, round(side * share / grain) * grain) for side in (video.width, video.height))
    width, height = sides
    return Window(min(width, video.width), min(height, video.height))
