"""XPSNR and VMAF of the streams of ordinary codecs, against the samples that the source stores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from inrcodec.quality.frame_metrics import Frame, Measured
from inrcodec.quality.sequence_metrics import SequenceMeters
from inrcodec.settings.source import SourceSettings
from inrcodec.video import FrameReading
from inrcodec.video.ordinary_codecs import RivalFailed
from inrcodec.video.planes import Picture


@dataclass(frozen=True)
class Further:
    """The measures that a comparison takes beside PSNR and MS-SSIM, and what they compare with.

    The source is read again for each stream, so that memory holds no more frames.
    """

    names: Sequence[str]
    """Keys of `frame_metrics.MEASURES`."""
    source: str
    selected: SourceSettings

    def begin(self, stack: ExitStack) -> FurtherMeter:
        """Start measuring a stream; `stack` ends it."""
        return FurtherMeter(self, stack)


class FurtherMeter:
    """Measures one stream, frame by frame."""

    def __init__(self, further: Further, stack: ExitStack) -> None:
        reading = FrameReading(further.source, further.selected)
        self._pictures = stack.enter_context(closing(reading.pictures()))
        self._meters = SequenceMeters(further.names, lambda: reading.frame_rate, stack)
        self._count = 0

    def add(self, decoded: Frame) -> None:
        """Measure the next frame. Raises `InrcError`."""
        reference = next(self._pictures, None)
        if reference is None:
            raise RivalFailed("the source has fewer frames than before: it was changed")
        self._meters.add(reference, Picture(decoded))
        self._count += 1

    def means(self) -> dict[str, float]:
        """The mean of each metric over the frames. Raises `InrcError`."""
        frames: list[Measured] = [{} for _ in range(self._count)]
        self._meters.complete(frames)
        names = frames[0] if frames else {}
        values = {name: np.array([frame[name] for frame in frames], dtype=float) for name in names}
        return {name: float(one.mean()) for name, one in values.items()}
