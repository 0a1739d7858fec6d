"""Decoding: a file to frames, and frames to a video file.

.inrv -> parse -> entropy decode -> dequantise -> decoder network -> frames -> video file
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import takewhile
from types import TracebackType
from typing import Any, Self, overload

import numpy as np

from bitstream import BitstreamError, Extras, ForwardReader, Loss
from inrcodec.checks import check_decoding
from inrcodec.device import choose_device, compute_dtype
from inrcodec.errors import UsageError
from inrcodec.files import STDIN, check_paths
from inrcodec.opening import AnyReader, open_stream, salvage_advised
from inrcodec.progress import Progress, Silent
from inrcodec.rendering import Frames, Renderers, SegmentRenderer
from inrcodec.settings import DecodeSettings, FrameRange
from inrcodec.video import check_one_picture, check_target, cut_extras, open_writer
from inrcodec.video.properties import displayed, properties_of
from inrcodec.video.timing import frame_shown_at, selected_properties, window_of
from inrcodec.video.writing import holds_extras, note_dropped_tracks


@dataclass(frozen=True)
class DecodeResult:
    """What a decode did."""

    frames: int
    seconds: float
    frames_per_second: float
    lost: tuple[Loss, ...] = ()
    """What a damaged file does not hold any more: frames, which are frozen in the output, and others."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**values, "lost": [str(loss) for loss in self.lost]}


def decode(
    source: str, output: str, settings: DecodeSettings | None = None, progress: Progress | None = None
) -> DecodeResult:
    """Decode the file `source`, or standard input for `-`, to `output`: a video, images, y4m, or `-`.

    With `settings.skip_damaged` what is intact is decoded, and the result says what is not. Raises
    `UsageError`, `OutputError` and `BitstreamError`.
    """
    settings, progress = settings or DecodeSettings(), progress or Silent()
    check_decoding(settings)
    if source != STDIN:
        check_paths(source, output)
    check_target(output, settings.codec, settings.crf, settings.overwrite)
    with salvage_advised(source, settings.skip_damaged):
        return _decode(source, output, settings, progress)


def _decode(source: str, output: str, settings: DecodeSettings, progress: Progress) -> DecodeResult:
    started = time.monotonic()
    with open_video(source, settings.device, settings.precision, settings.skip_damaged) as video:
        selected = video.select(settings.frames, settings.at_seconds)
        positions = PositionsBetween(selected, settings.fps_scale)
        check_one_picture(output, len(positions))
        progress.detail(f"decoding on {video.device} in {str(video.dtype).removeprefix('torch.')}")
        done = 0
        with open_writer(
            output,
            selected_properties(video.properties, selected, settings.fps_scale),
            settings.codec,
            settings.crf,
            settings.overwrite,
            progress,
            first_number=selected.start * settings.fps_scale,
            extras=video.extras_source(selected, settings.audio) if holds_extras(output) else None,
        ) as writer:
            for batch in video.batches(positions):
                for frame in batch:
                    writer.write(frame)
                done += len(batch)
                progress.stage("decoding", done, len(positions))
            # Asked for in here, because a pipe that ends in damage must leave no output.
            if video.has_tracks() and settings.audio:
                note_dropped_tracks(output, progress)
        lost = video.losses(selected)
    seconds = time.monotonic() - started
    return DecodeResult(done, seconds, done / max(seconds, 1e-9), lost)


@dataclass(frozen=True)
class PositionsBetween(Sequence[float]):
    """Positions of `frames` and of scale - 1 times between any two, each computed when it is asked for."""

    frames: range
    scale: int

    def __len__(self) -> int:
        return (len(self.frames) - 1) * self.scale + 1

    @overload
    def __getitem__(self, key: int) -> float: ...

    @overload
    def __getitem__(self, key: slice) -> Sequence[float]: ...

    def __getitem__(self, key: int | slice) -> float | Sequence[float]:
        steps = range(len(self))[key]
        if isinstance(steps, range):
            return [self._position(step) for step in steps]
        return self._position(steps)

    def _position(self, step: int) -> float:
        return self.frames.start + step / self.scale


def open_video(
    source: str | os.PathLike[str],
    device: str = "auto",
    precision: str = "auto",
    skip_damaged: bool = False,
) -> Video:
    """Open an `.inrv` file for random access to its frames; a pipe or `-` (standard input) goes forward only.

    `video[i]` is a frame (height, width, 3) uint8, `video[a:b]` an array of them, `len(video)` their number.
    Raises `UsageError` for a missing file and `BitstreamError` for one that is not intact. With
    `skip_damaged` a lost frame is the last one before it that was not lost; `video.losses()` says which.
    """
    # Refused before the file is opened: nothing would close it.
    compute_dtype(precision, choose_device(device))
    return Video(open_stream(source, skip_damaged), device, precision)


class Video:
    """Frames of an open `.inrv` file; a segment is parsed when a frame of it is needed."""

    def __init__(self, reader: AnyReader, device: str = "auto", precision: str = "auto") -> None:
        self._reader = reader
        self.device = choose_device(device)
        self.dtype = compute_dtype(precision, self.device)
        self.properties = displayed(properties_of(reader.header))
        self._renderers = Renderers(reader, self.device, self.dtype)

    def __len__(self) -> int:
        return self.properties.frame_count

    @overload
    def __getitem__(self, key: int) -> Frames: ...

    @overload
    def __getitem__(self, key: slice) -> Frames: ...

    def __getitem__(self, key: int | slice) -> Frames:
        if isinstance(key, slice):
            selected = range(len(self))[key]
            shape = (0, self.properties.height, self.properties.width, 3)
            return np.concatenate([np.zeros(shape, np.uint8), *self.batches(selected)])
        index = range(len(self))[key]
        frame: Frames = next(self.batches(range(index, index + 1)))[0]
        return frame

    def __iter__(self) -> Iterator[Frames]:
        for batch in self.batches(range(len(self))):
            yield from batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._renderers.close()
        finally:
            self._reader.close()

    def select(self, frames: FrameRange, at_seconds: Fraction | float | None = None) -> range:
        """The frames of a range, which must not be empty, or the one shown at a time; raises `UsageError`."""
        if at_seconds is not None:
            shown = frame_shown_at(self.properties, at_seconds)
            return range(shown, shown + 1)
        selected = range(len(self))[frames.start : frames.stop]
        if not selected:
            raise UsageError(f"--frames selects none of the {len(self)} frames")
        return selected

    def extras(self, frames: range, with_tracks: bool = True) -> Extras:
        """Sound and subtitles, if wanted, chapters and tags for these frames; raises `BitstreamError`."""
        return cut_extras(self._reader.extras(with_tracks), window_of(self.properties, frames))

    def extras_source(self, frames: range, with_tracks: bool = True) -> Extras | Callable[[], Extras]:
        """`extras`, or the function that gives them later: in a pipe they come after the video."""
        if isinstance(self._reader, ForwardReader):
            return partial(self.extras, frames, with_tracks)
        return self.extras(frames, with_tracks)

    def has_tracks(self) -> bool:
        """Whether there is sound or subtitles, which are not read for it; a pipe is read to its end."""
        return any(head.type == b"trak" for head in self._reader.summary().extras)

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """What was found to be lost of these frames, or of all, and beside the video.

        Only what was needed so far is known: a segment is read for its frames. A pipe is read to its end.
        """
        return self._reader.losses(frames)

    def frame_at(self, seconds: Fraction | float) -> Frames:
        """The frame (height, width, 3) that is shown at a time from the first one on; raises `UsageError`."""
        return self[frame_shown_at(self.properties, seconds)]

    def at(self, position: float) -> Frames:
        """The picture (height, width, 3) at a time counted in frames, from 0 to len - 1.

        A whole number is a frame. Between two it is rendered from both (see `FrameDecoder`); between two
        segments it is the first one's last frame. Raises `IndexError`.
        """
        if not 0 <= position <= len(self) - 1:
            raise IndexError(f"position {position} is outside 0 to {len(self) - 1}")
        frame: Frames = next(self.batches([position]))[0]
        return frame

    def batches(self, frames: Sequence[float]) -> Iterator[Frames]:
        """The given frames, in their order, as uint8 arrays (B, height, width, 3) of bounded size.

        A number that is not whole is a position between two frames, as in `at`.
        """
        at, prepared = 0, -1
        while at < len(frames):
            number, shown = self._reader.locate(int(frames[at]))
            try:
                renderer = self._renderers.of(number)
            except BitstreamError as error:
                self._reader.discard(number, error)
                continue
            if number != prepared and self._renderers.looks_ahead:
                self._prepare(renderer, frames, at)
                prepared = number
            ahead = frames[at : at + renderer.batch_frames]
            if shown == int(frames[at]):
                wanted = [*takewhile(renderer.holds, ahead)]
                yield renderer.render(wanted)
            else:
                wanted = [*takewhile(partial(self._is_frozen, (number, shown)), ahead)]
                yield np.repeat(renderer.render([shown]), len(wanted), axis=0)
            at += len(wanted)

    def _prepare(self, renderer: SegmentRenderer, frames: Sequence[float], at: int) -> None:
        """Begin with the segment that is wanted after this one."""
        following = (frames[later] for later in range(at, len(frames)))
        outside = next((position for position in following if not renderer.holds(position)), None)
        if outside is not None:
            self._renderers.prepare(self._reader.locate(int(outside))[0])

    def _is_frozen(self, place: tuple[int, int], position: float) -> bool:
        """Whether a position lies in the gap that this frame of this segment fills."""
        return int(position) != place[1] and self._reader.locate(int(position)) == place
