"""Measures ordinary codecs: size and quality of real streams, at rates around the requested ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import numpy as np

from inrcodec.metrics import ms_ssim, psnr_db, summarise_psnr
from inrcodec.progress import Progress
from inrcodec.quality.bdrate import LEAST_POINTS, Curve
from inrcodec.quality.comparison.further import Further
from inrcodec.quality.frame_metrics import MEASURES
from inrcodec.samples import depth_of
from inrcodec.video.ordinary_codecs import RATE, Frames, Rival, RivalFailed, decoded_frames, encode_stream

MARGIN = 1.5
"""Factor by which a curve extends beyond the requested rates, so that the ranges of quality overlap."""


def rival_point(
    rival: Rival, crf: int, frames: Frames, rate: Fraction = RATE, further: Further | None = None
) -> dict[str, Any]:
    """Encode RGB `frames` (T, height, width, 3) at one rate factor, and measure the decoded stream.

    Returns its bytes, bits per pixel and quality, also by the `further` measures, and the seconds of encoding
    and of decoding to RGB. Raises `RivalFailed`, and `InrcError` if a further measure fails.
    """
    started = time.monotonic()
    data = encode_stream(frames, rival, crf, rate)
    seconds = time.monotonic() - started
    has_ms_ssim = MEASURES["ms-ssim"].is_installed
    values_db: list[float] = []
    similarities: list[float] = []
    decode_seconds = 0.0
    with ExitStack() as stack:
        meter = None if further is None else further.begin(stack)
        for frame, (decoded, frame_seconds) in zip(frames, _timed_pictures(data, rival, frames), strict=True):
            decode_seconds += frame_seconds
            values_db.append(psnr_db(frame, decoded))
            similarity = ms_ssim(frame[None], decoded[None]) if has_ms_ssim else None
            if similarity is not None:
                similarities.append(similarity)
            if meter is not None:
                meter.add(decoded)
        means = {} if meter is None else meter.means()
    quality = summarise_psnr(values_db)
    return {
        "file_bytes": len(data),
        "bpp": 8 * len(data) / frames[..., 0].size,
        "psnr_db": quality.mean_db,
        "psnr_p1_db": quality.first_percentile_db,
        "ms_ssim": float(np.mean(similarities)) if similarities else None,
        **means,
        "seconds": seconds,
        "decode_seconds": decode_seconds,
    }


def decoded_pictures(data: bytes, rival: Rival, frames: Frames) -> Iterator[Frames]:
    """Decode the stream of `frames` (T, height, width, 3) to T pictures. Raises `RivalFailed`."""
    return (picture for picture, _ in _timed_pictures(data, rival, frames))


def _timed_pictures(data: bytes, rival: Rival, frames: Frames) -> Iterator[tuple[Frames, float]]:
    """Yield each of `decoded_pictures` with the seconds that it took, whatever its taker does in between."""
    pictures = decoded_frames(data, rival, frames.shape[1], frames.shape[2], depth_of(frames))
    count = 0
    while True:
        started = time.monotonic()
        picture = next(pictures, None)
        if picture is None:
            break
        if count == len(frames):
            raise RivalFailed(f"{rival.name} decodes to more than {len(frames)} frames")
        count += 1
        yield picture, time.monotonic() - started
    if count < len(frames):
        raise RivalFailed(f"{rival.name} decodes to {count} of {len(frames)} frames")


def rival_curve(
    rival: Rival,
    frames: Frames,
    bpps: Sequence[float],
    rate: Fraction,
    progress: Progress,
    further: Further | None = None,
) -> Curve:
    """Curve of a rival that extends beyond `bpps` on both sides, as far as its rate factors allow.

    It has at least `LEAST_POINTS` points, each with its `crf`. Raises `RivalFailed`.
    """
    factors = rival.encoder.crf
    step, coarsest = factors[1] - factors[0], rival.encoder.coarsest_crf
    curve: Curve = []

    def measure(crf: int) -> None:
        point = rival_point(rival, crf, frames, rate, further)
        curve.append({"setting": f"crf {crf}", "crf": crf, **point})
        curve.sort(key=lambda point: -point["crf"])
        progress.stage(f"encoding with {rival.name}", len(curve), max(len(factors), len(curve)))

    measure(factors[len(factors) // 2])
    while curve[0]["bpp"] > min(bpps) / MARGIN and curve[0]["crf"] < coarsest:
        measure(min(coarsest, curve[0]["crf"] + step))
    while curve[-1]["crf"] > 1 and (curve[-1]["bpp"] < max(bpps) * MARGIN or len(curve) < LEAST_POINTS):
        measure(max(1, curve[-1]["crf"] - step))
    return sorted(curve, key=lambda point: point["bpp"])
