"""Holes in a clip, which the network fills: the fit and every figure look past them (HNeRV, section 3.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import UsageError
from inrcodec.progress import Progress
from inrcodec.settings import SourceSettings
from inrcodec.video.properties import Clip
from inrcodec.video.reading import read_clip

WHITE = 128
"""Lowest luma of a hole."""
_LUMA_THOUSANDTHS = np.array([299, 587, 114], dtype=np.uint32)


def cut_holes(clip: Clip, path: str, progress: Progress) -> Clip:
    """The clip without the pixels that are white in the image or video at `path`.

    One image is for all frames. Holes are filled, in the clip's own memory, with the mean colour of the rest
    of their frame: what was in them is lost. Raises `UsageError` for a mask of another size or number of
    frames, or one that covers a whole frame, and `NotAVideo` for a file without pictures.
    """
    keep = _read_mask(path)
    height, width = clip.frames.shape[1:3]
    if keep.shape[1:] != (height, width):
        raise UsageError(
            f"--mask {path} is {keep.shape[2]}x{keep.shape[1]}, after --crop and --scale frames are "
            f"{width}x{height}: both must have one size"
        )
    if len(keep) not in (1, len(clip.frames)):
        raise UsageError(
            f"--mask {path} has {len(keep)} frames, {len(clip.frames)} are encoded: give one image for all "
            "or as many frames"
        )
    empty = np.flatnonzero(~keep.any(axis=(1, 2)))
    if len(empty):
        raise UsageError(f"--mask {path} leaves nothing of frame {empty[0]}: all of its pixels are white")
    if keep.all():
        progress.note(f"--mask {path} has no white pixels: there is nothing to fill")
    for index, frame in enumerate(clip.frames):
        kept = keep[index % len(keep)]
        frame[~kept] = frame[kept].mean(axis=0).round()
    return replace(clip, keep=keep)


def _read_mask(path: str) -> NDArray[np.bool_]:
    """Whether each pixel is kept, (T, height, width)."""
    frames = read_clip(path, SourceSettings(bit_depth=8)).frames
    return np.stack([frame @ _LUMA_THOUSANDTHS < 1000 * WHITE for frame in frames])
