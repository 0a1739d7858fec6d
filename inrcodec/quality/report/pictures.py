"""Makes the pictures of a report: chosen frames of the source and of every file, and difference maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.metrics import psnr_db
from inrcodec.quality.frame_metrics import MEASURES, Frame, flip_map
from inrcodec.samples import at_depth, depth_of
from inrcodec.video.images import jpeg_bytes, webp_bytes

LOSSLESS_PIXELS = 12_000_000
"""Total pixels of a page's pictures above which they are high-quality JPEGs instead of lossless WebP."""
WEBP_SIDE = 16383
"""Maximum width and height of a WebP picture, pixels."""
MAGMA = np.array(
    [
        (0, 0, 4), (10, 8, 34), (29, 17, 71), (54, 16, 107), (81, 18, 124), (106, 28, 129), (131, 38, 129),
        (156, 46, 127), (183, 55, 121), (208, 65, 111), (231, 82, 99), (245, 107, 92), (252, 137, 97),
        (254, 167, 114), (254, 196, 136), (253, 226, 163), (252, 253, 191),
    ]
)  # fmt: skip
"""Evenly spaced colours of the colour map `magma` (matplotlib), dark to bright."""
_ROUND_LEVELS = (8, 16, 32, 64, 128, 255)


@dataclass(frozen=True)
class FileFrame:
    """One frame of a file, with its difference maps."""

    psnr_db: float
    picture: str
    """A `data:` address, as are the maps."""
    error: str | None
    """None on a page or part without maps, as is `flip`."""
    mean_error: float
    """Mean over the pixels of the largest difference of the three colours, 0 to 255."""
    flip: str | None
    mean_flip: float | None


@dataclass(frozen=True)
class ShownFrame:
    """One frame of the source and of each file."""

    title: str
    index: int
    source: str
    files: tuple[FileFrame, ...]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a page."""

    frames: tuple[ShownFrame, ...]
    width: int
    height: int
    error_levels: int
    """Difference of a colour, 0 to 255, that the brightest colour of the error maps stands for."""
    is_lossless: bool


def make_pictures(
    chosen: Sequence[Chosen],
    source: Sequence[Frame],
    files: Sequence[Sequence[Frame]],
    has_maps: bool = True,
    sets: int = 1,
) -> Pictures:
    """Make the pictures; `source` and each of `files` hold the chosen frames (height, width, 3).

    `sets` is how many such sets of pictures one part of a page has.
    """
    depth = depth_of(source[0])
    files = [[at_depth(frame, depth) for frame in frames] for frames in files]
    psnr = [[psnr_db(*both) for both in zip(source, frames, strict=True)] for frames in files]
    # Pages show 8 bits.
    source, *files = ([at_depth(frame, 8) for frame in frames] for frames in (source, *files))
    errors = [[_error(*both) for both in zip(source, frames, strict=True)] for frames in files]
    levels = _levels(errors)
    height, width = source[0].shape[:2]
    has_flip = has_maps and MEASURES["flip"].is_installed
    count = sets * len(source) * (1 + len(files) * (1 + has_maps + has_flip))
    is_lossless = count * width * height <= LOSSLESS_PIXELS and max(width, height) <= WEBP_SIDE
    shown = []
    for number, one in enumerate(chosen):
        parts = []
        for frames, of_file, of_frames in zip(files, errors, psnr, strict=True):
            flip = flip_map(source[number], frames[number]) if has_flip else None
            parts.append(
                FileFrame(
                    psnr_db=of_frames[number],
                    picture=_address(frames[number], is_lossless),
                    error=_address(heat(of_file[number] / levels), is_lossless) if has_maps else None,
                    mean_error=float(of_file[number].mean()),
                    flip=None if flip is None else _address(heat(flip), is_lossless),
                    mean_flip=None if flip is None else float(flip.mean(dtype=np.float64)),
                )
            )
        shown.append(ShownFrame(one.title, one.index, _address(source[number], is_lossless), tuple(parts)))
    return Pictures(tuple(shown), width, height, levels, is_lossless)


def heat(values: NDArray[np.floating]) -> Frame:
    """Convert values from 0 to 1 (height, width) to colours (height, width, 3), dark to bright."""
    places = np.linspace(0, 1, len(MAGMA))
    table = np.stack([np.interp(np.linspace(0, 1, 256), places, channel) for channel in MAGMA.T], axis=-1)
    levels = (255 * values.clip(0, 1)).round().astype(np.uint8)
    colours: Frame = table.round().astype(np.uint8)[levels]
    return colours


def _error(source: Frame, decoded: Frame) -> NDArray[np.uint8]:
    """The largest difference of the three colours per pixel (height, width), 0 to 255."""
    found: NDArray[np.uint8] = np.abs(source.astype(np.int16) - decoded).max(axis=2).astype(np.uint8)
    return found


def _levels(errors: Sequence[Sequence[NDArray[np.uint8]]]) -> int:
    """The brightest level of all error maps: a round number that at most 0.5 % of a map's pixels exceed."""
    most = max(float(np.percentile(error, 99.5)) for of_file in errors for error in of_file)
    return next((level for level in _ROUND_LEVELS if level >= most), _ROUND_LEVELS[-1])


def _address(frame: Frame, is_lossless: bool) -> str:
    kind, data = ("webp", webp_bytes(frame)) if is_lossless else ("jpeg", jpeg_bytes(frame))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class Chosen:
    """A frame that is shown, and the reason."""

    title: str
    """`worst`, `median`, `best`, `middle` or `only`."""
    index: int


def choose_frames(psnr_db: NDArray[np.float64]) -> list[Chosen]:
    """The frames with the lowest, median and highest PSNR, given for each frame (T,); each frame once."""
    order = np.argsort(psnr_db, kind="stable")
    if len(order) == 1:
        return [Chosen("only", 0)]
    places = {"worst": 0, "median": (len(order) - 1) // 2, "best": len(order) - 1}
    chosen: dict[int, Chosen] = {}
    for title, place in places.items():
        index = int(order[place])
        chosen.setdefault(index, Chosen(title, index))
    return list(chosen.values())
