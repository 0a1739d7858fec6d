"""The shapes of what `inrc` codes with contexts, and of the entropy models' parameters. Normative.

No arrays here: reports and plans read shapes without loading NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

from inrcodec.models.family import (
    Role,
    TensorSpec,
    VideoInfo,
)
from inrcodec.models.inrc.frequencies import CHANNELS, GROUP_COUNT
from inrcodec.models.inrc.hierarchy import Hierarchy, hierarchy

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
CELL = 16
"""Coded sides are multiples of it, pixels."""
GROUP_FRAMES, EXPONENT, MOST = 16, 8, 6
"""Of new files; see `InrcConfig`."""
QUAD_CHANNELS = 6
"""What the refining network sees of 2 x 2 pixels: their luma, and their chroma."""


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


@dataclass(frozen=True)
class InrcConfig:
    """Everything that fixes the shapes and the prediction."""

    rows: int
    columns: int
    """Nodes of the finest motion grid, one for `CELL` x `CELL` pixels."""
    group_frames: int
    """Frames from one anchor to the next, about."""
    width: int
    """Channels of the refining network; 0 for none."""
    exponent: int = EXPONENT
    """16 times the exponent of `prediction.step_sizes`."""
    most: int = MOST
    """How much finer than others the steps of a much used block are, at most."""
    is_smooth: bool = False
    """Whether chroma is linear between its values; else each stands for 2 x 2 pixels (`models.planes`)."""

    @property
    def fineness(self) -> tuple[float, float]:
        return self.exponent / 16, float(self.most)

    def tree(self, video: VideoInfo) -> Hierarchy:
        return hierarchy(video.frame_count, self.group_frames)


def node_counts(video: VideoInfo) -> tuple[int, int]:
    """Rows and columns of nodes that cover a frame."""
    return -(-video.height // CELL), -(-video.width // CELL)


def motion_cells(rows: int, columns: int) -> int:
    """Nodes of the four motion grids together."""
    return sum(height * width for height, width in grid_sizes(rows, columns))


def network_specs(width: int) -> tuple[TensorSpec, ...]:
    """The refining network's tensors; none for a width of 0."""
    if not width:
        return ()
    return (
        TensorSpec("refine.first.weight", Role.WEIGHT, (width, QUAD_CHANNELS, 3, 3)),
        TensorSpec("refine.first.bias", Role.BIAS, (width,)),
        TensorSpec("refine.last.weight", Role.WEIGHT, (QUAD_CHANNELS, width, 3, 3)),
        TensorSpec("refine.last.bias", Role.BIAS, (QUAD_CHANNELS,)),
    )
