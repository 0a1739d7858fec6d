"""The tasks of the NeRV and HNeRV papers with the command line: interpolation, inpainting, denoising.

    python -m benchmarks.tasks bunny-quarter --model hnerv --epochs 100 [--task denoising] [--json FILE]

All figures compare decoded files with the clean clip. Interpolation fits every other frame, so its `--bpp`
counts half of the pixels. The denoising filters need the extra `benchmarks` (scipy). Unknown options
(`--bpp 0.1`) are passed to `inrc encode`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import BENCHMARK_CLIPS, write_report
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.progress import Silent
from inrcodec.settings.notation import parse_frame_range
from inrcodec.settings.source import SourceSettings
from inrcodec.video import Clip, cut_holes, open_writer, read_clip
from inrcodec.video.images import png_bytes

Frames = NDArray[np.uint8]
Row = dict[str, Any]

BOXES, BOX_PIXELS, BOX_FRAME = 5, 50, (1280, 640)
"""The fixed masks of HNeRV (section 4.3): boxes 50 pixels wide in frames of 1280x640."""
NOISE_SHARE = 0.01
"""Share of the pixels with noise; 1 % white noise leaves about 26 dB."""
EARLY_SHARE = 0.25
"""Epochs of the early-stopped denoising fit, as a fraction of the full fit."""
GAUSSIAN_DEVIATION = 0.8
"""Standard deviation in pixels; OpenCV's default for a 3x3 kernel."""


@dataclass(frozen=True)
class Run:
    """Model and options of the fits, and the folder for their files."""

    model: str
    epochs: float
    folder: Path
    limits: tuple[str, ...] = ()
    """Further options of `inrc encode`."""
    device: str = "auto"


@dataclass(frozen=True)
class Sample:
    """A lossless video file and its frames."""

    path: Path
    clip: Clip

    @property
    def frames(self) -> Frames:
        return self.clip.frames


def lossless(clip: Clip, path: Path) -> Sample:
    """Write the clip as FFV1 in RGB, which `inrc encode` reads without loss."""
    with open_writer(str(path), clip.properties, codec="ffv1", overwrite=True) as writer:
        for frame in clip.frames:
            writer.write(frame)
    return Sample(path, clip)


def interpolation(sample: Sample, run: Run) -> Row:
    """Fit frames 0, 2, 4, ... and render those between them (HNeRV, section 4.2, internal generalization).

    Measures the PSNR in dB of held-out and of seen frames, and of the average of both source neighbours as a
    baseline for held-out frames. With an even number of frames, the last has only one neighbour and is
    excluded. Raises `ValueError` for fewer than three frames.
    """
    if len(sample.frames) < 3:
        raise ValueError(f"interpolation needs at least 3 frames, found {len(sample.frames)}")
    row, decoded = _coded(sample.path, run, "interpolation", ["--every", "2"], ["--fps-scale", "2"])
    source = sample.frames[: len(decoded)]
    neighbours = source[:-1:2].astype(np.uint16) + source[2::2]
    average = ((neighbours + 1) // 2).astype(np.uint8)
    return row | {
        "psnr_held_out_db": _psnr_db(source[1::2], decoded[1::2]),
        "psnr_seen_db": _psnr_db(source[::2], decoded[::2]),
        "psnr_held_out_average_db": _psnr_db(source[1::2], average),
    }


def boxes(width: int, height: int, seed: int = 0) -> NDArray[np.bool_]:
    """Mask (height, width), True in HNeRV's five boxes, which scale with the frame; the seed places them."""
    rows, columns = (
        max(1, round(BOX_PIXELS * size / full))
        for size, full in zip((height, width), reversed(BOX_FRAME), strict=True)
    )
    generator, holes = np.random.default_rng(seed), np.zeros((height, width), dtype=bool)
    for _ in range(BOXES):
        top, left = generator.integers(height - rows + 1), generator.integers(width - columns + 1)
        holes[top : top + rows, left : left + columns] = True
    return holes


def inpainting(sample: Sample, run: Run, seed: int = 0) -> Row:
    """Fit the frames without five boxes, which the network fills (HNeRV, sections 3.2 and 4.3).

    Measures the PSNR in dB against the clean source: `masked` in the boxes, `unmasked` outside, and `all` of
    the decoded frames. `output` is the source with boxes filled by the network, the paper's figure; `input`
    is the source with boxes in the mean colour.
    """
    source = sample.frames
    holes = boxes(source.shape[2], source.shape[1], seed)
    mask = run.folder / "mask.png"
    mask.write_bytes(png_bytes(np.repeat(holes[..., None], 3, axis=2).astype(np.uint8) * 255))
    row, decoded = _coded(sample.path, run, "inpainting", ["--mask", str(mask)])
    cut = cut_holes(replace(sample.clip, frames=source.copy()), str(mask), Silent()).frames
    return row | {
        "psnr_masked_db": _psnr_db(source, decoded, holes),
        "psnr_unmasked_db": _psnr_db(source, decoded, ~holes),
        "psnr_all_db": _psnr_db(source, decoded),
        "psnr_output_db": _psnr_db(source, np.where(holes[..., None], decoded, source)),
        "psnr_input_db": _psnr_db(source, cut),
    }


def _white(pixels: Frames, generator: np.random.Generator) -> Frames:
    return np.full_like(pixels, 255)


def _black(pixels: Frames, generator: np.random.Generator) -> Frames:
    return np.zeros_like(pixels)


def _salt_and_pepper(pixels: Frames, generator: np.random.Generator) -> Frames:
    sides = generator.integers(0, 2, (len(pixels), 1), dtype=np.uint8) * np.uint8(255)
    return np.repeat(sides, 3, axis=1)


def _random(pixels: Frames, generator: np.random.Generator) -> Frames:
    return generator.integers(0, 256, pixels.shape, dtype=np.uint8)


NOISES: Mapping[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "white": _white,
    "black": _black,
    "salt-and-pepper": _salt_and_pepper,
    "random": _random,
}
"""Noise by name, as functions that replace pixels (N, 3) (NeRV, video denoising, table 5)."""


def noisy(frames: Frames, noise: str, share: float = NOISE_SHARE, seed: int = 0) -> Frames:
    """A copy of the frames with `noise` on a `share` of their pixels, placed by the seed."""
    generator = np.random.default_rng(seed)
    hit = generator.random(frames.shape[:3]) < share
    spoiled = frames.copy()
    spoiled[hit] = NOISES[noise](spoiled[hit], generator)
    return spoiled


def filtered(frames: Frames, name: str) -> Frames | None:
    """Frames after scipy's 3x3 `median` or `gaussian` filter; None if scipy is not installed."""
    if find_spec("scipy") is None:
        return None
    from scipy import ndimage

    smooth = np.empty_like(frames)
    for index, frame in enumerate(frames):
        if name == "median":
            smooth[index] = ndimage.median_filter(frame, size=(3, 3, 1))
        else:
            deviation = (GAUSSIAN_DEVIATION, GAUSSIAN_DEVIATION, 0)
            exact = ndimage.gaussian_filter(frame, deviation, output=np.float32, radius=(1, 1, 0))
            smooth[index] = exact.round().astype(np.uint8)
    return smooth


def denoising(sample: Sample, run: Run, share: float = NOISE_SHARE, seed: int = 0) -> list[Row]:
    """Fit noisy frames and compare the decoded with the clean ones; returns one row for each of `NOISES`.

    Measures the PSNR in dB of the noisy frames, of the file after all epochs, of the file from a separate fit
    with `EARLY_SHARE` of the epochs, and of the median and the Gaussian filter (None without scipy).
    """
    rows = []
    for noise in NOISES:
        spoiled = noisy(sample.frames, noise, share, seed)
        clip = replace(sample.clip, frames=spoiled)
        path = lossless(clip, run.folder / f"noise-{noise}.mkv").path
        early = replace(run, epochs=EARLY_SHARE * run.epochs)
        row, decoded = _coded(path, run, f"denoising-{noise}")
        early_row, early_decoded = _coded(path, early, f"denoising-{noise}-early")
        filters = {name: filtered(spoiled, name) for name in ("median", "gaussian")}
        rows.append(
            row
            | {
                "task": "denoising",
                "noise": noise,
                "noise_share": share,
                "psnr_noisy_db": _psnr_db(sample.frames, spoiled),
                "psnr_decoded_db": _psnr_db(sample.frames, decoded),
                "psnr_early_db": _psnr_db(sample.frames, early_decoded),
                "early_epochs": early_row["epochs"],
            }
            | {
                f"psnr_{name}_db": None if smooth is None else _psnr_db(sample.frames, smooth)
                for name, smooth in filters.items()
            }
        )
    return rows


def _coded(
    source: Path, run: Run, task: str, encoding: list[str] | None = None, decoding: list[str] | None = None
) -> tuple[Row, Frames]:
    """Encode `source` and decode it in separate processes; returns reported figures and frames."""
    coded, video = (run.folder / f"{task}-{run.model}{suffix}" for suffix in (".inrv", ".mkv"))
    device = ["--device", run.device]
    length = ["--epochs", f"{run.epochs:g}", *device, *run.limits, *(encoding or [])]
    reported = inrc("encode", source, "-o", coded, "--no-audio", "--model", run.model, *length)
    inrc("decode", coded, "-o", video, "--codec", "ffv1", *device, *(decoding or []))
    names = ("file_bytes", "bpp", "epochs", "steps", "parameter_count", "masked_share", "seconds", "device")
    row = {"task": task, "model": run.model, **{name: reported[name] for name in names}}
    return row, read_clip(str(video), SourceSettings()).frames


def inrc(*words: str | Path) -> Row:
    """Run a command in a new process and return its `--json` report.

    Raises `RuntimeError` with the last line of its error output.
    """
    command = [sys.executable, "-m", "inrcodec", *map(str, words), "-y", "-q", "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise RuntimeError(f"{lines[-1]} (exit code {done.returncode})")
    reported: Row = json.loads(done.stdout)
    return reported


def _psnr_db(reference: Frames, decoded: Frames, keep: NDArray[np.bool_] | None = None) -> float:
    """Mean PSNR over frames in dB, only of the pixels in `keep` (height, width) if given."""
    of_all = None if keep is None else np.broadcast_to(keep, reference.shape[:3])
    return float(psnr_per_frame_db(reference, decoded, of_all).mean())


def line(row: Row) -> str:
    """Format a row as a line of text."""
    figures = {name[5:-3]: value for name, value in row.items() if name.startswith("psnr_")}
    named = "  ".join(f"{name} {value:.2f}" for name, value in figures.items() if value is not None)
    return f"{row['model']:10} {row['task']} {row.get('noise', '')}: {row['file_bytes']} bytes, dB: {named}"


def main() -> None:
    tasks = ("interpolation", "inpainting", "denoising")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    parser.add_argument("clip", choices=BENCHMARK_CLIPS)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--epochs", type=float, required=True)
    parser.add_argument("--task", action="append", choices=tasks, help="repeatable (default: all)")
    parser.add_argument("--frames", type=parse_frame_range, default=":", help="only frames a:b")
    parser.add_argument("--noise-share", type=float, default=NOISE_SHARE)
    parser.add_argument("--seed", type=int, default=0, help="seed of boxes and noise")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    options, others = parser.parse_known_args()
    options.out.mkdir(parents=True, exist_ok=True)
    measured = BENCHMARK_CLIPS[options.clip]
    clip = read_clip(measured.path, replace(measured.source, frames=options.frames))
    sample = lossless(clip, options.out / f"{options.clip}.mkv")
    results: list[Row] = []
    for model in options.model:
        run = Run(model, options.epochs, options.out, tuple(others))
        for task in options.task or tasks:
            if task == "interpolation":
                results.append(interpolation(sample, run))
            elif task == "inpainting":
                results.append(inpainting(sample, run, options.seed))
            else:
                results += denoising(sample, run, options.noise_share, options.seed)
    for row in results:
        print(line(row))
    if options.json:
        write_report(options.json, "benchmarks.tasks", results)


if __name__ == "__main__":
    main()
