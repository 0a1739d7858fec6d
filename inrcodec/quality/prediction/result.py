"""The prediction of an encode, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """A predicted number, and the bounds between which about 19 of 20 measured ones lie."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """The expected cost and quality of an encode of one length."""

    name: str
    """The preset, or the length as the option that asks for it: `--time 60s`."""
    is_asked: bool
    """Whether the settings ask for this length."""
    epochs: float | None
    """Passes over the frames; None if a time decides and the passes are not known."""
    file_bytes: Range | None
    """Bytes of the file without audio, subtitles and tags; None if unknown."""
    bpp: float | None
    psnr_db: Range | None
    """Mean RGB PSNR over the frames; None if unknown."""
    seconds: Range | None
    """Wall-clock time of the command; None if unknown."""
    rival_bytes: int | None
    """Bytes that the ordinary codec needs for the same PSNR; None if unknown."""


@dataclass(frozen=True)
class Evidence:
    """The measurements behind a prediction."""

    samples: int
    """Samples that were fitted, all at once; 0 if there was no fit."""
    frames: int
    """Frames of each sample."""
    width: int
    height: int
    """Size of the part of the frames that was fitted, pixels."""
    gain_db: float | None
    """How much higher the PSNR of the short fit was than that of the ordinary codec at as many bytes."""
    rival_share: float
    """Share of the pixels of the video that the ordinary codec encoded."""
    seconds: float
    """Duration of the prediction, with reading the source."""


@dataclass(frozen=True)
class Prediction:
    """The plan of an encode and its expected result; nothing was written."""

    source: str
    output: str | None
    width: int
    height: int
    frames: int
    segments: int
    model: str
    parameter_count: int
    device: str
    workers: int
    target_bytes: int
    """Most bytes of the file without extras; for a wanted PSNR, the size that is expected to reach it."""
    psnr_target_db: float | None
    extras_bytes: int
    """Bytes of audio, subtitles, chapters and tags, known exactly."""
    outcomes: tuple[Outcome, ...]
    """By length; one of them is the asked one."""
    rival: str
    """The ordinary codec, as CODEC:PRESET."""
    rival_psnr_db: float | None
    """Its PSNR at as many bytes as the asked outcome has; None if it cannot encode these frames."""
    evidence: Evidence
    remarks: tuple[str, ...] = ()
    """Unknown figures, each with the reason."""

    @property
    def asked(self) -> Outcome:
        """The outcome of the length that the settings ask for."""
        return next(one for one in self.outcomes if one.is_asked)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
