"""Decoding: a file to frames, and frames to a video file.

.inrv -> parse -> entropy decode -> dequantise -> decoder network -> frames -> video file
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import TracebackType
from typing import Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Extras, StreamReader
from inrcodec.checks import check_rate
from inrcodec.compression.sections import decode_sections
from inrcodec.device import autocast, choose_device, compute_dtype, repeatable_convolutions
from inrcodec.errors import UsageError
from inrcodec.files import check_paths
from inrcodec.opening import open_segment, open_stream
from inrcodec.progress import Progress, Silent
from inrcodec.settings import DecodeSettings, FrameRange
from inrcodec.video import check_target, cut_extras, open_writer
from inrcodec.video.properties import displayed, properties_of
from inrcodec.video.timing import selected_properties, window_of

Frames = NDArray[np.uint8]

BATCH_ACTIVATIONS = {"cpu": 1 << 27, "cuda": 1 << 30, "mps": 1 << 28}
"""Values that rendering one batch may hold, but at least one frame: enough to fill a device, no more."""


@dataclass(frozen=True)
class DecodeResult:
    """What a decode did."""

    frames: int
    seconds: float
    frames_per_second: float

    def as_dict(self) -> dict[str, float | int]:
        return dataclasses.asdict(self)


def decode(
    source: str, output: str, settings: DecodeSettings | None = None, progress: Progress | None = None
) -> DecodeResult:
    """Decode the file `source` to `output`: a video, a folder or pattern of images, y4m, or `-`.

    Raises `UsageError`, `OutputError` and `BitstreamError`.
    """
    settings, progress = settings or DecodeSettings(), progress or Silent()
    check_rate(settings)
    check_paths(source, output)
    check_target(output, settings.codec, settings.crf, settings.overwrite)
    started = time.monotonic()
    with open_video(source, settings.device, settings.precision) as video:
        selected = video.select(settings.frames)
        positions = PositionsBetween(selected, settings.fps_scale)
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
            extras=video.extras(selected),
        ) as writer:
            for batch in video.batches(positions):
                for frame in batch:
                    writer.write(frame)
                done += len(batch)
                progress.stage("decoding", done, len(positions))
    seconds = time.monotonic() - started
    return DecodeResult(done, seconds, done / max(seconds, 1e-9))


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


def open_video(source: str | os.PathLike[str], device: str = "auto", precision: str = "auto") -> Video:
    """Open an `.inrv` file for random access to its frames.

    `video[i]` is a frame (height, width, 3) uint8, `video[a:b]` an array of them, `len(video)` their number.
    Raises `UsageError` for a missing file and `BitstreamError` for one that is not intact.
    """
    # Refused before the file is opened: nothing would close it.
    compute_dtype(precision, choose_device(device))
    return Video(open_stream(source), device, precision)


class Video:
    """Frames of an open `.inrv` file; a segment is parsed when a frame of it is needed."""

    def __init__(self, reader: StreamReader, device: str = "auto", precision: str = "auto") -> None:
        self._reader = reader
        self.device = choose_device(device)
        self.dtype = compute_dtype(precision, self.device)
        self.properties = displayed(properties_of(reader.header))
        self._renderer: SegmentRenderer | None = None

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
        self._reader.close()

    def select(self, frames: FrameRange) -> range:
        """The frames of a range, which must not be empty; raises `UsageError`."""
        selected = range(len(self))[frames.start : frames.stop]
        if not selected:
            raise UsageError(f"--frames selects none of the {len(self)} frames")
        return selected

    def extras(self, frames: range) -> Extras:
        """Sound, subtitles, chapters and tags for these frames; raises `BitstreamError`."""
        return cut_extras(self._reader.extras(), window_of(self.properties, frames))

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
        at = 0
        while at < len(frames):
            number = self._reader.segment_number(int(frames[at]))
            if self._renderer is None or self._renderer.number != number:
                self._renderer = SegmentRenderer(self._reader, number, self.device, self.dtype)
            wanted = [*takewhile(self._renderer.holds, frames[at : at + self._renderer.batch_frames])]
            yield self._renderer.render(wanted)
            at += len(wanted)


class SegmentRenderer:
    """Renders frames of one segment of a file; raises `BitstreamError` when it is not intact."""

    def __init__(self, reader: StreamReader, number: int, device: torch.device, dtype: torch.dtype) -> None:
        self.number = number
        opened = open_segment(reader.segment(number), reader.header)
        arrays = decode_sections(opened.specs, opened.segment.sections)
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        self._decoder = opened.family.decoder(opened.config, opened.video, tensors)
        first = opened.segment.first_frame
        self._frames = range(first, first + opened.segment.frame_count)
        activations = opened.family.activation_count(opened.config)
        self.batch_frames = max(1, BATCH_ACTIVATIONS[device.type] // activations)
        self._device, self._dtype = device, dtype
        self._quarter_turns = reader.header.rotation // 90

    def holds(self, position: float) -> bool:
        return int(position) in self._frames

    def render(self, positions: Sequence[float]) -> Frames:
        """Frames, counted from the video's first, as they are displayed: uint8 (B, height, width, 3).

        Positions after the last frame, where the next segment begins, hold that frame.
        """
        last = len(self._frames) - 1
        local = [min(position - self._frames.start, last) for position in positions]
        at = torch.tensor(local, dtype=self._position_dtype(local), device=self._device)
        with torch.inference_mode(), autocast(self._device, self._dtype), repeatable_convolutions():
            rendered = self._decoder(at).float()
            codes = rendered.nan_to_num_(0.0, 0.0, 0.0).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        upright = codes.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return np.ascontiguousarray(np.rot90(upright, -self._quarter_turns, axes=(1, 2)))

    def _position_dtype(self, positions: Sequence[float]) -> torch.dtype:
        """Whole positions pick frames; others are float64 where the device has it (Apple's GPU has not)."""
        if all(position == int(position) for position in positions):
            return torch.int64
        return torch.float32 if self._device.type == "mps" else torch.float64
