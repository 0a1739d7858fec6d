"""The bits of an `inrc` segment by level of its hierarchy, and by motion, flags and latents.

The normative functions that encode a segment are run on the frames of levels 0 to n, for each n, with a coder
that counts (`ConditionalBits`). Contexts look at references only, which are all kept, so that level n takes
the difference to level n - 1. Nothing here depends on what a context is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitstream.coders.conditional_bits import ConditionalBits
from inrcodec.coding.grid_sections import (
    code_latent_grids,
    code_motion_grids,
    decode_contextual,
    largest_magnitude,
)
from inrcodec.coding.opened_segment import OpenedSegment
from inrcodec.models.inrc.shapes import split_grids
from inrcodec.models.inrc.size_codes import best_classes, code_sizes


@dataclass(frozen=True)
class LevelBits:
    """The bits and blocks of the frames of one level. Bits are those of an ideal coder, hence fractions."""

    level: int
    """0 for frames without references, 1 for other anchors, 2 and above for the frames of each halving."""
    frames: int
    motion_bits: float
    flag_bits: float
    """Bits that say which blocks have latents, and of what size they are."""
    latent_bits: float
    blocks: int
    """Blocks of 8x8 pixels."""
    empty_blocks: int
    """Blocks without latents, neither luma nor chroma."""

    @property
    def bits(self) -> float:
        return self.motion_bits + self.flag_bits + self.latent_bits

    @property
    def empty_share(self) -> float:
        """The share of blocks without latents, 0 to 1."""
        return self.empty_blocks / self.blocks


def level_bits(opened: OpenedSegment) -> tuple[LevelBits, ...]:
    """Decode a segment of `inrc` and count the bits of each level, from 0 up; raises `BitstreamError`."""
    config, video = opened.config, opened.video
    decoded = decode_contextual(config, video, opened.specs, opened.segment.sections, opened.limits)
    motion, latent, parameters = decoded.symbols.motion, decoded.symbols.latent, decoded.parameters
    whole = config.tree(video)
    knots = parameters["context.latent.knots"]
    classes = best_classes(knots, whole.levels, latent, decoded.symbols.sizes)
    totals, found = [(0.0, 0.0, 0.0)], []
    for level in range(whole.level_count):
        kept, tree = whole.up_to(level)
        frames = list(kept)
        of_motion = ConditionalBits(parameters["context.motion.knots"], largest_magnitude(motion))
        grids = split_grids(motion[frames], config.rows, config.columns)
        code_motion_grids(of_motion, parameters, grids, config, tree)
        of_latents = ConditionalBits(parameters["context.latent.knots"], largest_magnitude(latent))
        symbols = latent[frames]
        code_latent_grids(of_latents, parameters, symbols, symbols.shape, tree, config.version)
        if config.version >= 1:
            code_sizes(of_latents, classes, tree.levels, symbols, decoded.symbols.sizes[frames])
        motion_bits = of_motion.symbol_bits + of_motion.flag_bits
        totals.append((motion_bits, of_latents.flag_bits, of_latents.symbol_bits))
        own = latent[whole.levels == level]
        has_latents = own.any(axis=1)
        bits = [after - before for before, after in zip(*totals[-2:], strict=True)]
        empty = int((~has_latents).sum())
        found.append(LevelBits(level, len(own), bits[0], bits[1], bits[2], has_latents.size, empty))
    return tuple(found)
