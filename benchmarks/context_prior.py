"""Fits the parameters of `inrcodec.models.inrc.context_prior` to files and prints that module's table.

    python -m benchmarks.context_prior FILE.inrv... > TABLE

The files are of the `inrc` family with groups of 16 frames, from several clips and rates. All have the same
weight, whatever their size, because the prior matters most to small files. The table is part of the format:
changing it would make existing files unreadable. So this was run once, before the first version, and is kept
to document the origin of the table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import bitstream
from inrcodec.coding.grid_sections import decode_contextual
from inrcodec.coding.opened_segment import open_segment
from inrcodec.fit.grids.entropy import optimizer, parameters
from inrcodec.fit.grids.latent_entropy import LatentEntropy
from inrcodec.fit.grids.latents import LatentFit
from inrcodec.fit.grids.motion import MotionFit
from inrcodec.fit.grids.motion_entropy import MotionEntropy
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.shapes import split_grids

ROUNDS = 300
VALUES_A_LINE = 18


def load(path: str) -> tuple[LatentFit, MotionFit]:
    """Latents and motion of the first segment of a file, in the state of its finished fit."""
    stream = bitstream.load(Path(path).read_bytes())
    opened = open_segment(stream.segments[0], stream.header)
    decoded = decode_contextual(opened.config, opened.video, opened.specs, opened.segment.sections)
    shape = (opened.video.frame_count, opened.video.height, opened.video.width, 3)
    segment = SegmentPlanes(torch.zeros((), dtype=torch.uint8).expand(shape), opened.config, opened.video)
    latents = LatentFit(segment)
    latents.start(decoded.symbols)
    grids = split_grids(
        torch.from_numpy(decoded.symbols.motion).float(), opened.config.rows, opened.config.columns
    )
    return latents, MotionFit(segment, grids)


def fit(files: Sequence[tuple[LatentFit, MotionFit]]) -> tuple[LatentEntropy, MotionEntropy]:
    """Fit one pair of entropy models to all files, each scaled by its initial bits."""
    latent, motion = files[0][0].entropy, files[0][1].entropy
    latent_scales = [1 / one.estimated_bits() for one, _ in files]
    motion_scales = [1 / one.fit_entropy(0) for _, one in files]
    for latents, grids in files:
        for model, shared in ((latents.entropy, latent), (grids.entropy, motion)):
            for name, value in shared.named_parameters():
                setattr(model, name, value)
    both = [optimizer(latent), optimizer(motion)]
    rates = [[group["lr"] for group in one.param_groups] for one in both]
    for number in range(ROUNDS):
        for one, usual in zip(both, rates, strict=True):
            one.zero_grad()
            for group, rate in zip(one.param_groups, usual, strict=True):
                group["lr"] = rate * (1 - number / ROUNDS)
        losses = [0.0, 0.0]
        for (latents, grids), latent_scale, motion_scale in zip(
            files, latent_scales, motion_scales, strict=True
        ):
            losses[0] += latents.add_gradients(latent_scale)
            bits = motion_scale * grids.entropy.bits([grid.detach() for grid in grids.grids])
            bits.backward()  # type: ignore[no-untyped-call]
            losses[1] += float(bits.detach())
        for one in both:
            one.step()
        if number % 20 == 0:
            print(number, *(f"{loss / len(files):.4f}" for loss in losses), file=sys.stderr, flush=True)
    return latent, motion


def main() -> None:
    files = [load(path) for path in sys.argv[1:]]
    latent, motion = fit(files)
    found = parameters(latent, motion)
    for name, usual in context_prior(len(latent.level), latent.version).items():
        values = found[name].reshape(usual.shape)
        print(f'    "{name}": (')
        for row in values.reshape(len(values), -1).tolist():
            for first in range(0, len(row), VALUES_A_LINE):
                print("        " + " ".join(f"{value}," for value in row[first : first + VALUES_A_LINE]))
        print("    ),")


if __name__ == "__main__":
    main()
