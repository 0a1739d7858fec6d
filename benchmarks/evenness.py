"""Evenness of quality across the segments of a file, for several rules that allocate its bits.

    python -m benchmarks.evenness [--epochs 30] [--bpp 0.15] [--json FILE]

The clip has five scenes of equal length and size, from a still image to moving noise, one segment each. It is
encoded once per rule, always with the same total steps and bytes. The output is the PSNR of each decoded
scene, and the spread over the scenes without noise, which cannot be learnt.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
from numpy.typing import NDArray

import inrcodec
from benchmarks.record import BENCHMARK_CLIPS, write_report
from bitstream import load
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.plan import cuts as segments
from inrcodec.plan.budget import segment_bytes
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.video import read_clip

Frames = NDArray[np.uint8]
Values = NDArray[np.float64]
Rule = Callable[[Sequence[range], Values, Values], list[float]]
WIDTH, HEIGHT, LENGTH = 160, 96, 24
FIGURES: dict[str, Callable[[Values], Any]] = {
    "mean_without_noise_db": np.mean,
    "least_without_noise_db": np.min,
    "spread_without_noise_db": np.ptp,
    "deviation_without_noise_db": np.std,
}


def equal(runs: Sequence[range], spatial: Values, temporal: Values) -> list[float]:
    """The same bits for every frame."""
    return [float(len(run)) for run in runs]


def all_change(runs: Sequence[range], spatial: Values, temporal: Values) -> list[float]:
    """Bits by spatial gradients and all changes between frames, however large."""
    return [
        float(spatial[run.start : run.stop].sum() + temporal[run.start + 1 : run.stop].sum()) for run in runs
    ]


RULES: dict[str, Rule] = {
    "by difficulty": segments.difficulties,
    "equal per frame": equal,
    "all change counts": all_change,
}


def scenes() -> dict[str, Frames]:
    """The five scenes, (24, 96, 160, 3) each."""

    def part(name: str, first: int) -> Frames:
        frames = FrameRange(first, first + LENGTH)
        return read_clip(BENCHMARK_CLIPS[name].path, SourceSettings(frames, scale=Size(WIDTH, HEIGHT))).frames

    bunny, phone = part("bunny", 0), part("carphone", 0)
    random = np.random.default_rng(0)
    coarse = random.integers(60, 196, (LENGTH, HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    waves = [
        128 + 60 * np.sin(9 * column + index / 6) * np.cos(7 * row - index / 9) for index in range(LENGTH)
    ]
    return {
        "bunny": bunny,
        "still": np.repeat(bunny[:1, :, ::-1], LENGTH, axis=0),
        "carphone": phone,
        "smooth": np.stack([np.stack([wave, 255 - wave, wave / 2 + 60], axis=-1) for wave in waves]).astype(
            np.uint8
        ),
        "noise": coarse.repeat(8, axis=1).repeat(8, axis=2),
    }


def write_lossless(path: Path, frames: Frames) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def measure(
    clip: Path, source: Frames, names: Sequence[str], rule: Rule, asked: EncodeSettings
) -> dict[str, Any]:
    """Encode the clip with bits allocated by `rule`; returns PSNR and bytes of each scene."""
    output = clip.with_suffix(".inrv")
    with mock.patch("inrcodec.encoder.source.difficulties", rule):
        result = inrcodec.encode(str(clip), str(output), asked)
    with inrcodec.open(output, "cpu") as video:
        psnr = psnr_per_frame_db(source, video[:]).reshape(len(names), LENGTH).mean(axis=1)
    sizes = [segment_bytes(segment, 0) for segment in load(output.read_bytes()).segments]
    return {
        "psnr_db": dict(zip(names, psnr.round(3).tolist(), strict=True)),
        "segment_bytes": dict(zip(names, sizes, strict=True)),
        "mean_db": round(float(psnr.mean()), 3),
        # Without the last scene: more bits do not improve noise.
        **{name: round(float(figure(psnr[:-1])), 3) for name, figure in FIGURES.items()},
        "file_bytes": result.file_bytes,
        "target_bytes": result.target_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evenness", description=__doc__)
    parser.add_argument("--epochs", type=float, default=30.0)
    parser.add_argument("--bpp", type=float, default=0.15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts = scenes()
    source = np.concatenate(list(parts.values()))
    asked = EncodeSettings(
        model="hnerv", bpp=options.bpp, epochs=options.epochs, segment=LENGTH, device="cpu", overwrite=True
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "scenes.mkv"
        write_lossless(clip, source)
        for name, rule in RULES.items():
            row = {"rule": name, **measure(clip, source, list(parts), rule, asked)}
            rows.append(row)
            each = "  ".join(f"{scene} {value:.2f}" for scene, value in row["psnr_db"].items())
            figures = "  ".join(f"{key.split('_')[0]} {row[key]:.2f}" for key in FIGURES)
            print(f"{name:18} {figures} dB, {each}", flush=True)
    if options.json:
        write_report(options.json, "benchmarks.evenness", rows)


if __name__ == "__main__":
    main()
