"""Metrics that depend on the frames before, or are known at the end: XPSNR and VMAF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import Protocol

from inrcodec.metrics import IDENTICAL_PSNR_DB
from inrcodec.quality.frame_metrics import Measured
from inrcodec.samples import depth_of
from inrcodec.video.planes import Picture, common_sampling
from inrcodec.video.vmaf import Vmaf
from inrcodec.video.xpsnr import Xpsnr


class SequenceMeter(Protocol):
    """Measures two videos frame by frame, in order."""

    def add(self, reference: Picture, decoded: Picture) -> None:
        """Measure the next frames, of one size and depth. Raises `InrcError`."""

    def finish(self) -> list[Measured]:
        """The values of all frames. Raises `InrcError`."""


class XpsnrMeter:
    """XPSNR of Y, U and V in the samples of the reference."""

    def __init__(self, reference: Picture, decoded: Picture, frame_rate: Fraction, stack: ExitStack) -> None:
        """Prepare for frames like these two."""
        self._sampling = common_sampling(reference, decoded)
        height, width = reference.pixels.shape[:2]
        self._filter = Xpsnr(self._sampling, height, width, frame_rate)
        self._values: list[Measured] = []

    def add(self, reference: Picture, decoded: Picture) -> None:
        found = self._filter.measure(reference.planes(self._sampling), decoded.planes(self._sampling))
        self._values.append(
            {f"xpsnr_{name}": min(IDENTICAL_PSNR_DB, value) for name, value in zip("yuv", found, strict=True)}
        )

    def finish(self) -> list[Measured]:
        return self._values


class VmafMeter:
    """VMAF of luma."""

    def __init__(self, reference: Picture, decoded: Picture, frame_rate: Fraction, stack: ExitStack) -> None:
        """Start for frames like these two; `stack` ends the program if the comparison fails."""
        self._vmaf = stack.enter_context(Vmaf(reference, decoded, frame_rate))

    def add(self, reference: Picture, decoded: Picture) -> None:
        self._vmaf.add(reference, decoded)

    def finish(self) -> list[Measured]:
        return [{"vmaf": value} for value in self._vmaf.scores()]


_METERS: Mapping[str, Callable[[Picture, Picture, Fraction, ExitStack], SequenceMeter]] = {
    "xpsnr": XpsnrMeter,
    "vmaf": VmafMeter,
}


class SequenceMeters:
    """The meters of some measures, started at the first frame."""

    def __init__(self, names: Sequence[str], frame_rate: Callable[[], Fraction], stack: ExitStack) -> None:
        """`frame_rate` is called at the first frame; `stack` ends what the meters start."""
        self._names = [name for name in names if name in _METERS]
        self._frame_rate, self._stack = frame_rate, stack
        self._meters: list[SequenceMeter] = []

    def add(self, reference: Picture, decoded: Picture) -> None:
        """Measure the next frames; the decoded one is converted to the depth of the reference."""
        if not self._names:
            return
        decoded = decoded.at_depth(depth_of(reference.pixels))
        if not self._meters:
            rate = self._frame_rate()
            self._meters = [_METERS[name](reference, decoded, rate, self._stack) for name in self._names]
        for meter in self._meters:
            meter.add(reference, decoded)

    def complete(self, frames: list[Measured]) -> None:
        """Add the values to those of each frame. Raises `InrcError`."""
        for meter in self._meters:
            for frame, values in zip(frames, meter.finish(), strict=True):
                frame.update(values)
