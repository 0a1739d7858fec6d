"""Draws the pictures of README and docs/inrc.md: what a file of the default model holds, and where it stands.

    python -m benchmarks.pictures model --out docs/inrc.png
    python -m benchmarks.pictures standing --out docs/standing.png

The first encodes 33 frames of the committed Carphone clip and shows the parts of one of them. The second
shows a frame of Bunny beside its decoded one, above rate-distortion curves of some clips of `benchmarks.rd`.
Needs the extra `benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import inrcodec
from benchmarks.record import DEVELOPMENT_CLIPS
from inrcodec import EncodeSettings, FrameRange, SourceSettings
from inrcodec.coding.grid_sections import segment_tensors
from inrcodec.coding.opened_segment import OpenedSegment, open_segment, open_stream
from inrcodec.metrics import psnr_db
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.shapes import CELL, GRID_SCALES, split_grids
from inrcodec.video import read_clip

FRAMES, SHOWN = 33, 8
"""Frames of the clip that are encoded, and the one that is shown: of the first level between two anchors."""
BPP, EPOCHS = 0.1, 20
RESULTS = Path(__file__).parent / "results" / "rd-dev.json"
SHOWN_CLIPS = ("bunny-quarter", "carphone", "dog", "signing")
"""Clips of `RESULTS` whose curves README shows, from the best standing to the worst."""
ARROW = "#d03020"
GAIN = 4
"""Factor that makes the difference visible."""


def model_picture(out: Path) -> None:
    """One frame of a real file in its parts: its place in the hierarchy, its motion, its latents."""
    from matplotlib.figure import Figure

    clip = DEVELOPMENT_CLIPS["carphone"]
    source = SourceSettings(FrameRange(0, FRAMES))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/clip.inrv"
        inrcodec.encode(clip.path, path, EncodeSettings(model="inrc", bpp=BPP, epochs=EPOCHS, source=source))
        with open_stream(path) as reader:
            segment = next(iter(reader.segments()))[2]
            opened = open_segment(segment, reader.header)
        tensors = segment_tensors(opened)
    figure = Figure(figsize=(12, 8.6), layout="constrained", dpi=110)
    rows: Any = figure.subfigures(3, 1, height_ratios=(0.95, 0.8, 0.95))
    _draw_hierarchy(rows[0].subplots(), opened.config.tree(opened.video))
    _draw_motion(rows[1].subplots(1, 5), opened, tensors, read_clip(clip.path, source).frames[SHOWN])
    _draw_latents(rows[2].subplots(1, 4), opened, tensors)
    figure.savefig(out)


def _draw_hierarchy(axes: Any, tree: Hierarchy) -> None:
    axes.set_title(
        f"Hierarchy: each frame is predicted from the frames its lines lead to (frame {SHOWN} is shown below)"
    )
    levels = tree.levels
    for frame, pair in enumerate(tree.references.tolist()):
        for reference in {one for one in pair if one >= 0}:
            colour = ARROW if frame == SHOWN else "0.7"
            axes.plot([frame, reference], [-levels[frame], -levels[reference]], color=colour, linewidth=1)
    axes.scatter(range(len(levels)), -levels, s=60, c=levels, cmap="viridis", zorder=2)
    axes.scatter(
        [SHOWN], [-levels[SHOWN]], s=140, facecolors="none", edgecolors=ARROW, linewidths=2, zorder=3
    )
    names = ["first", "anchors", *(f"level {level}" for level in range(2, int(levels.max()) + 1))]
    axes.set(xlabel="frame", yticks=[-level for level in range(len(names))], yticklabels=names)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_motion(panels: Any, opened: OpenedSegment, tensors: dict[str, NDArray[Any]], frame: Any) -> None:
    config = opened.config
    grids = [grid[SHOWN, :2] for grid in split_grids(tensors["motion"], config.rows, config.columns)]
    whole = np.zeros_like(grids[-1])
    for grid, scale in zip(grids, GRID_SCALES, strict=True):
        spread = grid.repeat(scale, axis=1).repeat(scale, axis=2)
        whole += spread[:, : config.rows, : config.columns]
    shown = [(f"motion grid {number}", grid) for number, grid in enumerate(grids, 1)]
    for axes, (title, grid) in zip(panels, [*shown, ("sum: the motion field", whole)], strict=True):
        height, width = config.rows * CELL, config.columns * CELL
        y = (np.arange(grid.shape[1]) + 0.5) * height / grid.shape[1]
        x = (np.arange(grid.shape[2]) + 0.5) * width / grid.shape[2]
        axes.imshow(frame, alpha=0.45)
        axes.quiver(x, y, *grid, color=ARROW, angles="xy", scale_units="xy", scale=0.25, width=0.008)
        axes.scatter(*np.meshgrid(x, y), s=3, color=ARROW)
        axes.set(title=title, xlim=(0, frame.shape[1]), ylim=(frame.shape[0], 0), xticks=[], yticks=[])


def _draw_latents(panels: Any, opened: OpenedSegment, tensors: dict[str, NDArray[Any]]) -> None:
    held = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}
    latent = held["latent"].clone()
    latent[SHOWN] = 0
    decoded, predicted = (
        opened.family.decoder(opened.config, opened.video, held | {"latent": one})(torch.tensor([SHOWN]))[0]
        for one in (held["latent"], latent)
    )
    counts = (tensors["latent"][SHOWN] != 0).sum(axis=0)
    panels[0].imshow(predicted.permute(1, 2, 0))
    panels[0].set_title("prediction: references\nshifted by the motion field")
    image = panels[1].imshow(counts, cmap="magma")
    panels[1].set_title("latents: coefficients\nper block that are not zero")
    panels[1].figure.colorbar(image, ax=panels[1], shrink=0.75)
    difference = (0.5 + GAIN * (decoded - predicted)).clamp(0, 1)
    panels[2].imshow(difference.permute(1, 2, 0))
    panels[2].set_title(f"residual: rendered\nfrom the latents, x {GAIN}")
    panels[3].imshow(decoded.permute(1, 2, 0))
    panels[3].set_title("decoded: prediction\n+ residual, refined")
    for axes in panels:
        axes.set(xticks=[], yticks=[])


def standing_picture(out: Path) -> None:
    """A frame of Bunny and its decoded one, above rate-distortion curves of `SHOWN_CLIPS`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    rows = json.loads(RESULTS.read_text())["results"]
    clip = DEVELOPMENT_CLIPS["bunny-quarter"]
    frames = read_clip(clip.path, clip.source).frames
    middle = len(frames) // 2
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/bunny.inrv"
        asked = EncodeSettings(model="inrc", bpp=BPP, epochs=EPOCHS, source=clip.source)
        inrcodec.encode(clip.path, path, asked)
        with inrcodec.open(path) as video:
            decoded = video[middle]
    figure = Figure(figsize=(10, 6.6), layout="constrained", dpi=110)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    above, below = halves
    quality = psnr_db(frames[middle], decoded)
    titles = ("source", f"inrc, {BPP:g} bits per pixel, {quality:.1f} dB")
    for axes, frame, title in zip(above.subplots(1, 2), (frames[middle], decoded), titles, strict=True):
        axes.imshow(frame)
        axes.set(title=title, xticks=[], yticks=[])
    for axes, name in zip(below.subplots(1, len(SHOWN_CLIPS)), SHOWN_CLIPS, strict=True):
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            if row["clip"] == name and row["contender"] != "x265:medium":
                point = row["point"]["bpp"], row["point"]["psnr_db"]
                curves.setdefault(row["contender"], []).append(point)
        for contender, points in curves.items():
            style = ("-", 2.2) if contender == "inrc" else ("--", 1.2)
            label = contender.replace("svtav1:", "SVT-AV1 ").replace(":", " ")
            x, y = zip(*sorted(points), strict=True)
            axes.plot(x, y, style[0], linewidth=style[1], marker=".", label=label)
        axes.set(title=name, xlabel="bits per pixel", ylabel="PSNR, dB", xscale="log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
    below.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("picture", choices=("model", "standing"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.picture == "model":
        model_picture(options.out)
    else:
        standing_picture(options.out)


if __name__ == "__main__":
    main()
