"""Masked holes, which the network inpaints: the fit and all metrics ignore them (HNeRV, section 3.2)."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import UsageError
from inrcodec.progress import Progress
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.system.names import StrPath
from inrcodec.text import counted
from inrcodec.video.properties import Clip
from inrcodec.video.reader import FrameReading, read_clip

WHITE = 128
"""Lowest luma of a hole in the mask, of 255."""
_LUMA_THOUSANDTHS = np.array([299, 587, 114], dtype=np.uint32)


def cut_holes(clip: Clip, path: StrPath, progress: Progress, part: range | None = None) -> Clip:
    """The clip without the pixels that are white in the mask, an image or a video at `path`.

    A single image masks all frames. For a clip that is only the frames `part` of a longer video, the same
    frames of a mask video are used. Holes are filled, in the clip's own memory, with the mean colour of the
    rest of their frame, so their content is lost. Raises `UsageError` for a mask of another size or frame
    count, or one that covers a whole frame, and `NotAVideo` for a file without pictures.
    """
    keep = _read_mask(path, part)
    height, width = clip.frames.shape[1:3]
    if keep.shape[1:] != (height, width):
        raise UsageError(
            f"--mask {path} is {keep.shape[2]}x{keep.shape[1]}, but frames are {width}x{height} after --crop "
            "and --scale; give a mask of their size"
        )
    if len(keep) not in (1, len(clip.frames)):
        raise UsageError(_wrong_length(path, len(keep), len(clip.frames)))
    empty = np.flatnonzero(~keep.any(axis=(1, 2)))
    if len(empty):
        frame_number = empty[0] + (part.start if part is not None and len(keep) > 1 else 0)
        raise UsageError(
            f"--mask {path} leaves nothing of frame {frame_number}; it must not be white all over"
        )
    if keep.all() and part is None:
        progress.note(f"the mask {path} has no white pixels, so there is nothing to fill")
    for index, frame in enumerate(clip.frames):
        kept = keep[index % len(keep)]
        frame[~kept] = frame[kept].mean(axis=0).round()
    return replace(clip, keep=keep)


def check_mask_length(path: StrPath, frame_count: int) -> None:
    """Raise `UsageError` unless the mask at `path` has one frame or `frame_count` frames."""
    found = _frame_count(path)
    if found not in (1, frame_count):
        raise UsageError(_wrong_length(path, found, frame_count))


def _wrong_length(path: StrPath, found: int, expected: int) -> str:
    has = counted(found, "frame")
    return f"--mask {path} has {has}, but {expected} are encoded; give one image, or as many frames"


def _frame_count(path: StrPath) -> int:
    return sum(1 for _ in FrameReading(os.fspath(path), SourceSettings(bit_depth=8)))


def _read_mask(path: StrPath, part: range | None) -> NDArray[np.bool_]:
    """True where a pixel is kept, (T, height, width), T the frames of the mask."""
    source = SourceSettings(bit_depth=8)
    if part is not None and _frame_count(path) > 1:
        source = replace(source, frames=FrameRange(part.start, part.stop))
    frames = read_clip(os.fspath(path), source).frames
    return np.stack([frame @ _LUMA_THOUSANDTHS < 1000 * WHITE for frame in frames])
