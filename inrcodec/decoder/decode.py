"""Decoding an `.inrv` file to frames, and frames to a video file.

.inrv -> parse -> entropy decode -> dequantise -> decoder network -> frames -> video file
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from bitstream import DEFAULT_LIMITS, Loss
from bitstream.positions import FileSource
from inrcodec.coding.opened_segment import salvage_advised
from inrcodec.coding.stream_source import check_source
from inrcodec.progress import Progress, Silent
from inrcodec.settings.decode import DecodeSettings
from inrcodec.system.names import StrPath


@dataclass(frozen=True)
class DecodeResult:
    """Result of a decode."""

    frames: int
    seconds: float
    frames_per_second: float
    lost: tuple[Loss, ...] = ()
    """Parts that a damaged file has lost: frames, which are frozen in the output, and other data."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**values, "lost": [str(loss) for loss in self.lost]}


def decode(
    source: FileSource,
    output: StrPath,
    settings: DecodeSettings | None = None,
    progress: Progress | None = None,
) -> DecodeResult:
    """Decode an `.inrv` file to `output`: a video, images, y4m, or `-`.

    `source` is a path (`-` is standard input), the bytes of the file, or a binary file object.
    With `settings.skip_damaged` the intact parts are decoded, and the result lists what is lost. Raises
    `UsageError`, `OutputError` and `BitstreamError`.
    """
    settings, progress, output = settings or DecodeSettings(), progress or Silent(), os.fspath(output)
    check_source(source, output)
    # PyAV, which checks the target, loads here; torch only loads when there is something to decode.
    from inrcodec.video.writer import check_target

    check_target(output, settings.codec, settings.crf, settings.overwrite)
    with salvage_advised(source, settings.skip_damaged, settings.limits or DEFAULT_LIMITS):
        return _decode(source, output, settings, progress)


def _decode(source: FileSource, output: str, settings: DecodeSettings, progress: Progress) -> DecodeResult:
    from inrcodec.decoder.video import open_video
    from inrcodec.video import check_one_picture, open_writer
    from inrcodec.video.timestamps import selected_properties
    from inrcodec.video.writer import holds_extras, note_dropped_tracks

    started = time.monotonic()
    with open_video(
        source, settings.device, settings.precision, settings.skip_damaged, settings.limits or DEFAULT_LIMITS
    ) as video:
        selected = video.select(settings.times or settings.frames, settings.at_seconds)
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
            # Checked inside the block, because a pipe that ends in damage must leave no output.
            if video.has_tracks() and settings.audio:
                note_dropped_tracks(output, progress)
        lost = video.losses(selected)
    seconds = time.monotonic() - started
    return DecodeResult(done, seconds, done / max(seconds, 1e-9), lost)


@dataclass(frozen=True)
class PositionsBetween(Sequence[float]):
    """Positions of `frames` and of `scale` - 1 times between any two, each computed when accessed."""

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
