"""Random access to the frames of an `.inrv` file."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import takewhile
from threading import RLock
from types import TracebackType
from typing import Any, Self, SupportsIndex, overload
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from bitstream import DEFAULT_LIMITS, BitstreamError, Extras, ForwardReader, Limits, Loss
from bitstream.positions import FileSource
from bitstream.timestamps import duration
from inrcodec.coding.opened_segment import AnyReader, open_stream
from inrcodec.decoder.render import Frames, Renderers, SegmentRenderer
from inrcodec.errors import UsageError
from inrcodec.samples import sample_type
from inrcodec.settings.source import FrameRange, TimeRange
from inrcodec.system.device import choose_device, compute_dtype
from inrcodec.system.threads import one_thread_if_forked
from inrcodec.text import counted
from inrcodec.video import cut_extras
from inrcodec.video.properties import displayed, properties_of
from inrcodec.video.timestamps import frame_shown_at, frames_beginning_in, window_of

Render = Callable[[SegmentRenderer, Sequence[float]], Any]
"""Renders frames at positions as an array or as a tensor (B, height, width, 3)."""


def open_video(
    source: FileSource,
    device: str = "auto",
    precision: str = "auto",
    skip_damaged: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Video:
    """Open an `.inrv` file for random access to its frames: a path, its bytes, or a binary file object.

    A pipe, `-` (standard input) and a file object that cannot seek only go forward. One that can is read from
    its first byte on; it stays open, and belongs to the caller.
    `video[i]` is a frame (height, width, 3) uint8, `video[a:b]` or `video[[i, j]]` an array of them,
    `len(video)` their number; `video.tensor` gives tensors. Frames of 10 bits are uint16 of 0 to 1023.
    Raises `UsageError` for a missing file and `BitstreamError` for one that is not intact. With
    `skip_damaged` a lost frame repeats the last intact one before it, or at the start the first one after it;
    `video.losses()` lists the lost frames. A file that asks for more than the `limits` allow, now or when a
    frame is needed, is refused with `bitstream.LimitExceeded`.
    """
    # Checked before the file is opened, because after an error nothing would close it.
    compute_dtype(precision, choose_device(device))
    return Video(open_stream(source, skip_damaged, limits=limits), device, precision)


class Video:
    """Frames of an open `.inrv` file; a segment is parsed when one of its frames is needed.

    Threads may share a video: they take turns, and one segment is in memory for all. So may forked processes,
    such as the workers of a `DataLoader`: each decodes its own segments, on one thread of torch. A video is
    pickled as the path or the bytes of its file, which are opened again; pickling one of a file object or a
    pipe raises `TypeError`.
    """

    def __init__(self, reader: AnyReader, device: str = "auto", precision: str = "auto") -> None:
        self._reader = reader
        self._options = device, precision
        self.device = choose_device(device)
        self.properties = displayed(properties_of(reader.header))
        self.dtype = compute_dtype(precision, self.device, self.properties.bit_depth)
        self._start()
        _VIDEOS.add(self)

    def _start(self) -> None:
        """Begin with nothing rendered: a forked process has no threads, and locks may be held for ever."""
        self._lock = RLock()
        self._renderers = Renderers(self._reader, self.device, self.dtype)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self._reader, *self._options)

    def __len__(self) -> int:
        return self.properties.frame_count

    @overload
    def __getitem__(self, key: int) -> Frames: ...

    @overload
    def __getitem__(self, key: slice | Sequence[int]) -> Frames: ...

    def __getitem__(self, key: int | slice | Sequence[int]) -> Frames:
        """The frame of a number (height, width, 3), or those of a slice or list (T, height, width, 3)."""
        if isinstance(key, SupportsIndex):
            index = range(len(self))[key]
            frame: Frames = next(self.batches(range(index, index + 1)))[0]
            return frame
        none = np.zeros((0, *self.shape[1:]), sample_type(self.properties.bit_depth))
        return np.concatenate([none, *self.batches(self._numbers(key))])

    def _numbers(self, key: slice | Sequence[int]) -> Sequence[int]:
        """The numbers, from 0, of the frames of a slice or list; raises `IndexError`."""
        every = range(len(self))
        return every[key] if isinstance(key, slice) else [every[index] for index in key]

    def __repr__(self) -> str:
        count, height, width, _ = self.shape
        size = f"{counted(count, 'frame')} of {width}x{height}"
        return f"<Video: {size}, {self.fps:.6g} fps, {self.duration:.6g} s, on {self.device}>"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Frames, height, width and 3: the shape of `video[:]`."""
        return len(self), self.properties.height, self.properties.width, 3

    @property
    def fps(self) -> float:
        """Frames per second; the mean where they are irregular. `properties.frame_rate` is exact."""
        return float(self.properties.frame_rate)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(duration(self.properties))

    @property
    def metadata(self) -> dict[str, str]:
        """The texts that the file holds: its encoder, and tags of the source; a pipe is read to its end."""
        with self._lock:
            tags = self._reader.extras(with_tracks=False).tags
            return {**self._reader.summary().metadata, **tags}

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
        """Close the file, in this process only."""
        with self._lock:
            try:
                self._renderers.close()
            finally:
                self._reader.close()

    def select(self, frames: FrameRange | TimeRange, at_seconds: Fraction | float | None = None) -> range:
        """Frame numbers of a range, or of the one shown at a time; raises `UsageError` if there are none."""
        if isinstance(frames, TimeRange):
            return frames_beginning_in(self.properties, frames.start, frames.stop)
        if at_seconds is not None:
            shown = frame_shown_at(self.properties, at_seconds)
            return range(shown, shown + 1)
        selected = range(len(self))[frames.start : frames.stop]
        if not selected:
            raise UsageError(f"--frames selects none of the {counted(len(self), 'frame')}")
        return selected

    def extras(self, frames: range, with_tracks: bool = True) -> Extras:
        """Audio and subtitles (`with_tracks`), chapters and tags of these frames; raises `BitstreamError`."""
        with self._lock:
            extras = self._reader.extras(with_tracks)
        return cut_extras(extras, window_of(self.properties, frames))

    def extras_source(self, frames: range, with_tracks: bool = True) -> Extras | Callable[[], Extras]:
        """`extras`, or a function that returns them later: in a pipe they follow the video."""
        if isinstance(self._reader, ForwardReader):
            return partial(self.extras, frames, with_tracks)
        return self.extras(frames, with_tracks)

    def has_tracks(self) -> bool:
        """Whether the file has audio or subtitles, without reading them; a pipe is read to its end."""
        with self._lock:
            return any(head.type == b"trak" for head in self._reader.summary().extras)

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """The losses found so far among these frames, or all frames, and outside the video.

        Segments that were not needed yet have not been checked. A pipe is read to its end.
        """
        with self._lock:
            return self._reader.losses(frames)

    def frame_at(self, seconds: Fraction | float) -> Frames:
        """The frame (height, width, 3) shown at a time in seconds from the first one; raises `UsageError`."""
        return self[frame_shown_at(self.properties, seconds)]

    def played_at(self, seconds: Sequence[Fraction | float]) -> Frames:
        """The frames (T, height, width, 3) shown at these times in seconds from the first frame.

        Raises `UsageError` for a time outside the video.
        """
        return self[[frame_shown_at(self.properties, one) for one in seconds]]

    def tensor(
        self, frames: int | slice | Sequence[int] = slice(None), device: torch.device | str | None = None
    ) -> Tensor:
        """Frames as uint8 (T, 3, height, width), or (3, height, width) for one number; uint16 for 10 bits.

        They stay on the device that renders them, or are moved to `device`. Raises `IndexError`.
        """
        is_one = isinstance(frames, SupportsIndex)
        numbers = [range(len(self))[frames]] if isinstance(frames, SupportsIndex) else self._numbers(frames)
        place = self.device if device is None else torch.device(device)
        kind = torch.uint8 if self.properties.bit_depth == 8 else torch.int16
        parts = [torch.zeros((0, *self.shape[1:]), dtype=kind, device=place)]
        parts += [batch.to(place) for batch in self._batches(numbers, SegmentRenderer.render_tensor)]
        # Made outside of inference mode, so that a training may use it.
        made = torch.cat(parts).permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
        # torch does little with uint16 but hold it, so it comes last.
        made = made if kind == torch.uint8 else made.view(torch.uint16)
        return made[0] if is_one else made

    def at(self, position: float) -> Frames:
        """The picture (height, width, 3) at a position counted in frames, from 0 to len - 1.

        A whole number is a frame. A position between two frames is rendered from both (see `FrameDecoder`);
        between two segments it shows the last frame of the first. Raises `IndexError`.
        """
        if not 0 <= position <= len(self) - 1:
            raise IndexError(f"position {position} is outside 0 to {len(self) - 1}")
        frame: Frames = next(self.batches([position]))[0]
        return frame

    def batches(self, frames: Sequence[float]) -> Iterator[Frames]:
        """Yield the given frames, in order, as arrays (B, height, width, 3) of bounded size.

        A number that is not whole is a position between two frames, as in `at`.
        """
        # Looked up when it is called, as a subclass or a test may replace it.
        yield from self._batches(frames, lambda renderer, positions: renderer.render(positions))

    def _batches(self, frames: Sequence[float], render: Render) -> Iterator[Any]:
        at, segment = 0, -1
        while at < len(frames):
            with self._lock:
                segment, batch = self._batch(frames, at, segment, render)
            yield batch
            at += len(batch)

    def _batch(self, frames: Sequence[float], at: int, before: int, render: Render) -> tuple[int, Any]:
        """Render some of `frames` from the one at `at` on; also return the number of their segment.

        If it is another one than `before`, the segment that follows it is prepared.
        """
        one_thread_if_forked()
        while True:
            number, shown = self._reader.locate(int(frames[at]))
            try:
                renderer = self._renderers.of(number)
                break
            except BitstreamError as error:
                self._reader.discard(number, error)
        if number != before and self._renderers.looks_ahead:
            self._prepare(renderer, frames, at)
        ahead = frames[at : at + renderer.batch_frames]
        if shown == int(frames[at]):
            return number, render(renderer, [*takewhile(renderer.holds, ahead)])
        count = len([*takewhile(partial(self._is_frozen, (number, shown)), ahead)])
        # An index works for arrays and tensors alike.
        return number, render(renderer, [shown])[[0] * count]

    def _prepare(self, renderer: SegmentRenderer, frames: Sequence[float], at: int) -> None:
        """Start decoding the segment that is needed after this one."""
        # Frames ascend nearly always; in another order a segment may be prepared that is not the next one.
        outside = bisect_left(frames, renderer.stop, lo=at)
        if outside < len(frames):
            self._renderers.prepare(self._reader.locate(int(frames[outside]))[0])

    def _is_frozen(self, place: tuple[int, int], position: float) -> bool:
        """Whether a position lies in the gap that this frame of this segment fills."""
        return int(position) != place[1] and self._reader.locate(int(position)) == place


_VIDEOS: WeakSet[Video] = WeakSet()
"""All videos of this process, which a forked one starts anew."""


def _after_fork() -> None:
    for video in [*_VIDEOS]:
        video._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
