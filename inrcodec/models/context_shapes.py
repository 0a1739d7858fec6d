"""The shapes of what `inrc` codes with contexts, and of the entropy models' parameters. Normative.

No arrays here: reports and plans read shapes without loading NumPy.
"""

from __future__ import annotations

from inrcodec.models.family import Role, TensorSpec
from inrcodec.models.frequencies import CHANNELS, GROUP_COUNT

KNOTS = 20
"""Of an entropy model; see `bitstream.coders.conditional`."""
FEATURE_COUNT = 6
"""Counts of a latent."""
FLAG_PASSES, FLAG_FEATURES = 4, 4
"""Passes of flags of a batch, and counts of a flag."""
GRID_SCALES = (8, 4, 2, 1)
"""Nodes of the finest motion grid along each side of a node of each of the four, coarse to fine."""
PYRAMID_LEVELS = len(GRID_SCALES)
MOTION_CHANNELS = 5
MOTION_FEATURES = 4
"""Counts of a motion symbol."""


def grid_sizes(rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the four grids, coarse to fine; each node of one lies over 2 x 2 of the next."""
    return tuple((-(-rows // scale), -(-columns // scale)) for scale in GRID_SCALES)


def context_specs(level_count: int) -> tuple[TensorSpec, ...]:
    """Parameters of the entropy models; see `models.contexts`."""
    shapes = {
        "context.flag.bias": (3, FLAG_PASSES),
        "context.flag.level": (level_count,),
        "context.flag.weight": (FLAG_PASSES, FLAG_FEATURES),
        "context.latent.bias": (3, CHANNELS),
        "context.latent.level": (level_count,),
        "context.latent.weight": (GROUP_COUNT, FEATURE_COUNT),
        "context.latent.knots": (KNOTS, 4),
        "context.motion.bias": (PYRAMID_LEVELS * level_count, MOTION_CHANNELS),
        "context.motion.weight": (PYRAMID_LEVELS, MOTION_FEATURES),
        "context.motion.knots": (KNOTS, 4),
    }
    return tuple(TensorSpec(name, Role.WEIGHT, shape) for name, shape in shapes.items())
