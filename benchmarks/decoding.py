"""Decoding speed of an `.inrv` file against the plain decoder, and PSNR in bfloat16 against float32.

    python -m benchmarks.decoding FILE.inrv --clip bunny [--json FILE]

Our decoder and the plain network alternate (A B A B) on one machine. Our time includes parsing, entropy
decoding and conversion to 8 bits. The plain time covers only the network, in float32 NCHW at batch 2, as its
authors run it. The network is the file's own for `hnerv`, otherwise HNeRV with 1.5 million parameters.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import inrcodec
from benchmarks.authors.plain import PlainHNeRV
from benchmarks.record import BENCHMARK_CLIPS, write_report
from bitstream import load
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.family import SymbolBits, VideoInfo
from inrcodec.models.hnerv import HNeRVConfig
from inrcodec.models.registry import family_by_name, family_by_wire_id
from inrcodec.video import read_clip

PLAIN_BATCH = 2
PLAIN_PARAMETERS = 1.5e6


def seconds_of_ours(path: str, precision: str) -> tuple[float, np.ndarray]:
    """Wall-clock seconds to open the file and decode all frames, and the frames."""
    started = time.perf_counter()
    with inrcodec.open(path, precision=precision) as video:
        frames = video[:]
    return time.perf_counter() - started, frames


def seconds_of_plain(network: PlainHNeRV, grid: tuple[int, int, int], frame_count: int) -> float:
    """Wall-clock seconds of the plain network for `frame_count` frames, in float32."""
    embeddings = torch.randn(PLAIN_BATCH, *grid)
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(0, frame_count, PLAIN_BATCH):
            network(embeddings).mul(255).round().to(torch.uint8)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--clip", choices=BENCHMARK_CLIPS, default="bunny", help="source clip of the file")
    parser.add_argument("--plain-frames", type=int, default=8, help="frames per turn of the plain network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    stream = load(Path(options.file).read_bytes())
    segment = stream.segments[0]
    video = VideoInfo(stream.header.width, stream.header.height, segment.frame_count)
    family = family_by_wire_id(segment.family)
    config = family.unpack(segment.config, video, segment.seed)
    if not isinstance(config, HNeRVConfig):
        config = family_by_name("hnerv").plan(video, PLAIN_PARAMETERS, {}, 0, SymbolBits(1, 1, 1))
    grid = (config.embedding_channels, config.grid.rows, config.grid.columns)
    plain = PlainHNeRV(config.embedding_channels, config.width, config.grid.strides)
    seconds_of_plain(plain, grid, 1)
    seconds_of_ours(options.file, "auto")
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(options.rounds):
        seconds, frames = seconds_of_ours(options.file, "auto")
        rates["ours"].append(len(frames) / seconds)
        rates["plain"].append(options.plain_frames / seconds_of_plain(plain, grid, options.plain_frames))
    clip = BENCHMARK_CLIPS[options.clip]
    source = read_clip(clip.path, clip.source).frames
    psnr = {
        precision: float(psnr_per_frame_db(source, seconds_of_ours(options.file, precision)[1]).mean())
        for precision in ("bfloat16", "float32")
    }
    ours, reference = float(np.median(rates["ours"])), float(np.median(rates["plain"]))
    result = {
        "file_bytes": Path(options.file).stat().st_size,
        "width": video.width,
        "height": video.height,
        "frames": stream.header.frame_count,
        "model": family.name,
        "plain_width": config.width,
        "frames_per_second": ours,
        "plain_frames_per_second": reference,
        "ratio": ours / reference,
        "psnr_db_bfloat16": psnr["bfloat16"],
        "psnr_db_float32": psnr["float32"],
        "psnr_difference_db": psnr["bfloat16"] - psnr["float32"],
    }
    for name, value in result.items():
        print(f"{name:26} {value:.4f}" if isinstance(value, float) else f"{name:26} {value}")
    if options.json:
        write_report(options.json, "benchmarks.decoding", [result], rounds=rates)


if __name__ == "__main__":
    main()
