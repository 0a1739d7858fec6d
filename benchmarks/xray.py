"""An X-ray of one `inrc` file: bits, quality and quality of the prediction by level of the hierarchy.

    python -m benchmarks.xray carphone FILE.inrv [--json FILE]
    python -m benchmarks.xray dog FILE.inrv --clips FOLDER

The clip is the source of the file: a name from `benchmarks.record`, or the path of a video. Bits are those of
`inrc info --detail`. PSNR is measured in RGB on decoded frames, and averaged over the frames of a level. The
prediction of a frame is what the decoder shows for it if it has no latents, but its references do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.record import clip_of, write_report
from bitstream import BitstreamError, Segment, StreamHeader
from inrcodec.coding.grid_sections import segment_tensors
from inrcodec.coding.opened_segment import open_segment, open_stream
from inrcodec.decoder.info import inspect
from inrcodec.decoder.render import SegmentRenderer
from inrcodec.errors import InrcError
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.video import read_clip

Frames = NDArray[np.uint8]
Qualities = dict[int, list[tuple[float | None, float]]]
"""PSNR in dB of the prediction and of the frame, by level; the first frame has no prediction."""


def rendered(renderer: SegmentRenderer, frames: list[int]) -> Iterator[Frames]:
    """Yield frames in batches, uint8 (B, height, width, 3); `frames` are numbered from the video's first."""
    for start in range(0, len(frames), renderer.batch_frames):
        yield renderer.render(frames[start : start + renderer.batch_frames])


def quality_of_segment(
    segment: Segment, header: StreamHeader, source: Frames
) -> Iterator[tuple[int, float | None, float]]:
    """Yield level, PSNR of the prediction and PSNR of each frame; `source` are the frames of the video."""
    opened = open_segment(segment, header)
    tree, first = opened.config.tree(opened.video), segment.first_frame
    renderer = SegmentRenderer(segment, header, torch.device("cpu"), torch.float32)
    tensors = {name: torch.from_numpy(array) for name, array in segment_tensors(opened).items()}
    every = range(first, first + segment.frame_count)

    def psnr(frames: list[int]) -> list[float]:
        decoded = np.concatenate([*rendered(renderer, frames)])
        return [float(value) for value in psnr_per_frame_db(source[frames], decoded)]

    shown_db = dict(zip(every, psnr([*every]), strict=True))
    for batch in tree.order:
        frames, level = [first + frame for frame in batch], tree.frame_levels[batch[0]]
        predicted_db: list[float | None] = [None] * len(frames)
        if level:
            latents = tensors["latent"].clone()
            latents[list(batch)] = 0
            renderer.decoder = opened.family.decoder(
                opened.config, opened.video, {**tensors, "latent": latents}
            )
            predicted_db = [*psnr(frames)]
        for frame, predicted in zip(frames, predicted_db, strict=True):
            yield level, predicted, shown_db[frame]


def xray(file: Path, source: Frames) -> dict[str, Any]:
    """Bits by kind, and rows by level with bits and mean PSNR; the file's frames are the first of `source`.

    Raises `ValueError` for a file of another family, of another frame size, or with more frames.
    """
    report = inspect(file, detail=True)
    if report.detail is None:
        raise ValueError(f"{file} is not of the family inrc")
    header = report.header
    found = (header.frame_count, header.height, header.width)
    if header.rotation % 180 == 0 and found[1:] != source.shape[1:3] or found[0] > len(source):
        raise ValueError(f"{file} has {found} frames, rows and columns, the source {source.shape[:3]}")
    qualities: Qualities = {}
    with open_stream(file) as reader:
        for _, _, segment in reader.segments():
            for level, predicted, shown in quality_of_segment(segment, reader.header, source):
                qualities.setdefault(level, []).append((predicted, shown))
    detail = report.detail.as_dict()
    for row in detail["levels"]:
        predicted_db, shown_db = zip(*qualities[row["level"]], strict=True)
        has_prediction = None not in predicted_db
        row["prediction_psnr_db"] = float(np.mean(predicted_db)) if has_prediction else None
        row["psnr_db"] = float(np.mean(shown_db))
    return {"file_bytes": report.file_bytes, "bpp": report.bpp, **detail}


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the X-ray as lines of text: a row a level, then the kinds."""
    total = 8 * result["file_bytes"]

    def share(bits: float) -> str:
        return f"{100 * bits / total:5.1f} %"

    heads = " ".join(f"{head:>7}" for head in ("motion", "flags", "latents", "all"))
    yield f"{'level':5} {'frames':>6} {heads}  empty blocks  prediction  PSNR, dB"
    for row in result["levels"]:
        bits = [row[f"{kind}_bits"] for kind in ("motion", "flag", "latent")]
        shares = " ".join(map(share, [*bits, sum(bits)]))
        predicted = row["prediction_psnr_db"]
        yield (
            f"{row['level']:5} {row['frames']:6} {shares}  {100 * row['empty_share']:10.1f} %  "
            f"{'' if predicted is None else f'{predicted:.2f}':>10}  {row['psnr_db']:8.2f}"
        )
    kinds = result["kinds"].items()
    yield ", ".join(f"{name.replace('_', ' ')} {share(bits).strip()}" for name, bits in kinds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.xray", description=__doc__)
    parser.add_argument("clip", help="the source of the file: a clip of the benchmarks, or a video")
    parser.add_argument("file", type=Path)
    parser.add_argument("--clips", type=Path, default=Path(), help="folder with the clips of dev")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clip = clip_of(options.clip, options.clips)
    try:
        result = xray(options.file, read_clip(clip.path, clip.source).frames)
    except (ValueError, InrcError, BitstreamError) as error:
        parser.error(str(error))
    for line in lines(result):
        print(line)
    if options.json:
        row = {"clip": options.clip, **result}
        write_report(options.json, "benchmarks.xray", [row], clips={options.clip: clip.digest})


if __name__ == "__main__":
    main()
