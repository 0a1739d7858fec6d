"""Decoding: a file to frames, and frames to a video file.

.inrv -> parse -> entropy decode -> dequantise -> decoder network -> frames -> video file
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from bitstream import Segment, StreamHeader, StreamReader
from inrcodec.compression.sections import decode_sections
from inrcodec.device import autocast, choose_device, compute_dtype
from inrcodec.errors import UsageError
from inrcodec.files import same_file
from inrcodec.models.family import FrameDecoder
from inrcodec.opening import open_segment, open_stream
from inrcodec.progress import Progress, Silent
from inrcodec.settings import DecodeSettings, FrameRange
from inrcodec.video import VideoProperties, check_target, open_writer
from inrcodec.video.properties import properties_of

Frames = NDArray[np.uint8]

BATCH_PIXELS = {"cpu": 2 << 20, "cuda": 32 << 20, "mps": 8 << 20}
"""Pixels rendered in one batch, at least one frame: enough to fill a device, few enough for its memory."""


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
    if same_file(source, output):
        raise UsageError(f"{output}: input and output are the same file")
    check_target(output, settings.codec, settings.crf, settings.overwrite)
    started = time.monotonic()
    with open_video(source, settings.device, settings.precision) as video:
        selected = video.select(settings.frames)
        progress.detail(f"decoding on {video.device} in {str(video.dtype).removeprefix('torch.')}")
        done = 0
        with open_writer(
            output, video.properties, settings.codec, settings.crf, settings.overwrite, progress
        ) as writer:
            for batch in video.batches(selected):
                for frame in batch:
                    writer.write(frame)
                done += len(batch)
                progress.stage("decoding", done, len(selected))
    seconds = time.monotonic() - started
    return DecodeResult(done, seconds, done / max(seconds, 1e-9))


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
        self.properties = properties_of(reader.header)
        self._open_segment: tuple[int, FrameDecoder] | None = None

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

    def batches(self, frames: Sequence[int]) -> Iterator[Frames]:
        """The given frames, in their order, as uint8 arrays (B, height, width, 3)."""
        at = 0
        while at < len(frames):
            index = self._reader.segment_number(frames[at])
            entry = self._reader.index[index]
            first, last = entry.first_frame, entry.first_frame + entry.frame_count
            stop = at
            while stop < len(frames) and first <= frames[stop] < last:
                stop += 1
            wanted = torch.tensor([frame - first for frame in frames[at:stop]])
            yield from render_batches(self._decoder(index), wanted, self.properties, self.device, self.dtype)
            at = stop

    def _decoder(self, index: int) -> FrameDecoder:
        if self._open_segment is None or self._open_segment[0] != index:
            decoder = segment_decoder(self._reader.segment(index), self._reader.header, self.device)
            self._open_segment = index, decoder
        return self._open_segment[1]


def segment_decoder(segment: Segment, header: StreamHeader, device: torch.device) -> FrameDecoder:
    """The network of one segment, ready to render; raises `BitstreamError`."""
    opened = open_segment(segment, header)
    arrays = decode_sections(opened.specs, segment.sections)
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    return opened.family.decoder(opened.config, opened.video, tensors)


def render_batches(
    decoder: FrameDecoder,
    indices: torch.Tensor,
    properties: VideoProperties,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[Frames]:
    """Frames `indices` of a segment as uint8 arrays (B, height, width, 3), a bounded batch at a time."""
    pixels = properties.width * properties.height
    batch_frames = max(1, BATCH_PIXELS[device.type] // pixels)
    for chosen in torch.split(indices.to(device), batch_frames):
        with torch.inference_mode(), autocast(device, dtype):
            frames = decoder(chosen).float()
            codes = frames.mul_(255).round_().to(torch.uint8)
        yield codes.permute(0, 2, 3, 1).contiguous().cpu().numpy()
