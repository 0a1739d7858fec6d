"""PSNR and MS-SSIM of decoded frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.samples import Samples, depth_of, peak_of

IDENTICAL_PSNR_DB = 100.0
"""PSNR of identical frames: finite, so that one black frame does not make a mean infinite."""
_MS_SSIM_WINDOWS = (11, 9, 7)
_MS_SSIM_HALVINGS = 4


@dataclass(frozen=True)
class PsnrSummary:
    """The PSNR of a video."""

    mean_db: float
    """Mean over frames of the RGB PSNR, as in the papers; not the PSNR of the mean error."""
    first_percentile_db: float
    """1st percentile over frames: one frame in a hundred is worse."""


def psnr_db(reference: Samples, decoded: Samples, keep: NDArray[np.bool_] | None = None) -> float:
    """PSNR in dB of one frame (height, width, 3), at most 100; the peak is 255, or 1023 for 10 bits.

    Only pixels that are True in `keep` (height, width) count; None counts all. Raises `ValueError` unless
    both frames have the same shape and depth, with at least one counted sample.
    """
    if reference.shape != decoded.shape or depth_of(reference) != depth_of(decoded):
        raise ValueError(
            f"expected two frames of one shape and depth, found {reference.dtype} {reference.shape} "
            f"and {decoded.dtype} {decoded.shape}"
        )
    difference = (reference.astype(np.int16) - decoded).astype(np.int32)
    difference = (difference if keep is None else difference[keep]).ravel()
    if difference.size == 0:
        raise ValueError("expected frames with at least one sample")
    squared_error = float(np.square(difference).sum(dtype=np.int64))
    if squared_error == 0:
        return IDENTICAL_PSNR_DB
    peak = float(peak_of(reference))
    return min(IDENTICAL_PSNR_DB, float(10 * np.log10(peak**2 * difference.size / squared_error)))


def psnr_per_frame_db(
    reference: Samples, decoded: Samples, keep: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """PSNR in dB of each frame of two videos (T, height, width, 3), as (T,).

    Only pixels that are True in `keep` (T, height, width) count; None counts all. Raises `ValueError` as
    `psnr_db` does, and for videos of different length.
    """
    if len(reference) != len(decoded):
        raise ValueError(f"expected as many frames in both, found {len(reference)} and {len(decoded)}")
    keeps = [None] * len(reference) if keep is None else keep
    frames = zip(reference, decoded, keeps, strict=True)
    return np.array([psnr_db(*frame) for frame in frames], dtype=np.float64)


def summarise_psnr(values_db: Sequence[float] | NDArray[np.float64]) -> PsnrSummary:
    """Mean and 1st percentile of the PSNR of frames, dB. Raises `ValueError` if there are none."""
    values = np.asarray(values_db, dtype=np.float64)
    if values.size == 0:
        raise ValueError("expected at least one frame")
    return PsnrSummary(float(values.mean()), float(np.percentile(values, 1)))


def ms_ssim(reference: Samples, decoded: Samples) -> float | None:
    """Mean MS-SSIM over the frames of two videos (T, height, width, 3).

    The window has 11 pixels, or 9 or 7 where the frame, halved four times, is too small for more. Frames with
    a side of 96 pixels or fewer give None. Needs pytorch-msssim (the extra `metrics`), which the authors of
    HNeRV use too; raises `ImportError` without it.
    """
    side = min(reference.shape[1:3])
    window = next((size for size in _MS_SSIM_WINDOWS if side > (size - 1) << _MS_SSIM_HALVINGS), None)
    if window is None:
        return None
    import torch
    from pytorch_msssim import ms_ssim as measured

    values = []
    for pair in zip(reference, decoded, strict=True):
        first, second = (torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None] for frame in pair)
        values.append(float(measured(first, second, data_range=peak_of(reference), win_size=window)))
    return float(np.mean(values))
