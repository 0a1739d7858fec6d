"""The shapes of what `inrc` codes with contexts, and of the entropy models' parameters. Normative.

No arrays here: reports and plans read shapes without loading NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

from inrcodec.models.family import (
    Role,
    TensorSpec,
    VideoInfo,
)
from inrcodec.models.inrc.frequencies import CHANNELS, GROUP_COUNT
from inrcodec.models.inrc.hierarchy import Hierarchy, hierarchy

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Values = TypeVar("Values", "Tensor", "NDArray[Any]")

KNOTS = 20
"""Of an entropy model; see `bitstream.coders.conditional`."""
FLAG_PASSES = 4
"""Passes of flags of a batch."""
GRID_SCALES = (8, 4, 2, 1)
"""Nodes of the finest motion grid along each side of a node of each of the four, coarse to fine."""
PYRAMID_LEVELS = len(GRID_SCALES)
MOTION_CHANNELS = 5
CELL = 16
"""Coded sides are multiples of it, pixels."""
GROUP_FRAMES, EXPONENT, MOST = 16, 8, 6
"""Of new files; see `InrcConfig`."""
QUAD_CHANNELS = 6
"""What the refining network sees of 2 x 2 pixels: their luma, and their chroma."""


class LatentFeature(IntEnum):
    """The counts that tell of a latent: columns of its weights (SPEC, 10.9)."""

    LOWER = 0
    """Lower frequencies of the same block."""
    EARLIER = 1
    """All channels of the same block and component that are coded before."""
    COMPONENTS = 2
    """The same frequency of the same block in earlier components."""
    LOWER_AROUND = 3
    EARLIER_AROUND = 4
    """The first two in the four blocks around."""
    REFERENCES = 5
    """All latents of the same place in the reference frames."""


class FlagFeature(IntEnum):
    """The counts that tell of a flag."""

    REFERENCES = 0
    FLAGS_AROUND = 1
    """Flags of the same part in the four blocks around."""
    LUMA = 2
    LUMA_AROUND = 3
    """Latents of luma in the same block, and in the four around."""


class MotionFeature(IntEnum):
    """The counts that tell of a motion symbol."""

    PARENT = 0
    """The same channel of the node above it in the coarser grid."""
    CHANNEL_BEFORE = 1
    PARENT_AROUND = 2
    PARENT_CHANNELS = 3
    """All channels of the node above it."""


def grid_sizes(rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the four grids, coarse to fine; each node of one lies over 2 x 2 of the next."""
    return tuple((-(-rows // scale), -(-columns // scale)) for scale in GRID_SCALES)


def split_grids(motion: Values, rows: int, columns: int) -> list[Values]:
    """Motion (T, 5, nodes) as the four grids (T, 5, rows_k, columns_k), coarse to fine."""
    grids, first = [], 0
    for height, width in grid_sizes(rows, columns):
        nodes = motion[:, :, first : first + height * width]
        grids.append(nodes.reshape(*motion.shape[:2], height, width))
        first += height * width
    return grids


def context_specs(level_count: int) -> tuple[TensorSpec, ...]:
    """Parameters of the entropy models; see `models.contexts`."""
    shapes = {
        "context.flag.bias": (3, FLAG_PASSES),
        "context.flag.level": (level_count,),
        "context.flag.weight": (FLAG_PASSES, len(FlagFeature)),
        "context.latent.bias": (3, CHANNELS),
        "context.latent.level": (level_count,),
        "context.latent.weight": (GROUP_COUNT, len(LatentFeature)),
        "context.latent.knots": (KNOTS, 4),
        "context.motion.bias": (PYRAMID_LEVELS * level_count, MOTION_CHANNELS),
        "context.motion.weight": (PYRAMID_LEVELS, len(MotionFeature)),
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
