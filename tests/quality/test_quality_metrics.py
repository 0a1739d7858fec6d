"""PSNR and MS-SSIM: known values, the cap at 100 dB, and invalid arguments."""

from __future__ import annotations

import numpy as np
import pytest

from inrcodec.metrics import ms_ssim, psnr_db, psnr_per_frame_db, summarise_psnr


def test_known_values() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr_db(black, black) == 100
    assert psnr_db(black, black + 255) == 0
    assert psnr_db(black, black + 1) == pytest.approx(48.1308, abs=1e-4)
    assert (
        psnr_db(black + 200, black + 190)
        == psnr_db(black + 190, black + 200)
        == pytest.approx(28.1308, abs=1e-4)
    )


def test_the_mean_is_over_frames_and_not_over_errors() -> None:
    reference = np.zeros((2, 4, 4, 3), np.uint8)
    decoded = reference + np.array([1, 10], np.uint8)[:, None, None, None]
    values = psnr_per_frame_db(reference, decoded)
    assert values.tolist() == pytest.approx([48.1308, 28.1308], abs=1e-4)
    summary = summarise_psnr(values)
    assert summary.mean_db == pytest.approx(38.1308, abs=1e-4)
    assert summary.first_percentile_db == pytest.approx(28.3308, abs=1e-4)


def test_a_large_frame_does_not_overflow() -> None:
    white = np.full((2000, 3000, 3), 255, np.uint8)
    assert psnr_db(white, np.zeros_like(white)) == 0


def test_what_is_refused() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        psnr_db(frame, frame[:1])
    with pytest.raises(ValueError, match="uint8"):
        psnr_db(frame, frame.astype(float))
    with pytest.raises(ValueError, match="one sample"):
        psnr_db(frame[:0], frame[:0])
    with pytest.raises(ValueError, match="as many frames"):
        psnr_per_frame_db(frame, frame[:1])
    with pytest.raises(ValueError, match="at least one frame"):
        summarise_psnr([])


def test_ms_ssim() -> None:
    pytest.importorskip("pytorch_msssim")  # In the extra `metrics`, which `dev` includes.
    frames = np.random.default_rng(0).integers(0, 256, (2, 176, 192, 3), dtype=np.uint8)
    blurred = ((frames + np.roll(frames, 1, axis=2).astype(np.uint16)) // 2).astype(np.uint8)
    assert ms_ssim(frames, frames) == pytest.approx(1, abs=1e-6)
    measured = ms_ssim(frames, blurred)
    assert measured is not None and 0 < measured < 0.99
    assert ms_ssim(frames[:, :97], frames[:, :97]) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(frames[:, :96], frames[:, :96]) is None
