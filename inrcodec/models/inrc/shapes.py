"""The shapes of motion grids, latents, and the parameters of their entropy models. Normative.

Nothing here needs NumPy at import, so that reports and plans can read shapes without loading it.
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
"""Knots of an entropy model; see `bitstream.coders.conditional`."""
FLAG_PASSES = 4
"""Passes over the flags of a batch: two for luma, two for chroma."""
GRID_SCALES = (8, 4, 2, 1)
"""Spacing of the nodes of the four motion grids in nodes of the finest, coarse to fine."""
PYRAMID_LEVELS = len(GRID_SCALES)
MOTION_CHANNELS = 5
CELL = 16
"""Pixels between nodes of the finest motion grid; the coded width and height are multiples of it."""
NEWEST_VERSION = 2
"""The newest syntax of motion, latents and entropy models that a file may have; see `InrcConfig.version`."""
GROUP_FRAMES, EXPONENT, MOST = 16, 8, 6
"""Defaults for new files; see `InrcConfig`."""
QUAD_CHANNELS = 6
"""Channels of a quad, 2 x 2 pixels: four of luma, two of chroma (`models.inrc.quads`)."""


class LatentFeature(IntEnum):
    """The counts in the context of a latent, by their column in the weights (SPEC, 10.9)."""

    LOWER = 0
    """Lower frequencies of the same block."""
    EARLIER = 1
    """All channels of the same block and component coded before."""
    COMPONENTS = 2
    """The same frequency of the same block in earlier components."""
    LOWER_AROUND = 3
    EARLIER_AROUND = 4
    """The first two counts, summed over the four neighbouring blocks."""
    REFERENCES = 5
    """All latents at and around the same block of the reference frames."""


class FlagFeature(IntEnum):
    """The counts in the context of a block's flag."""

    REFERENCES = 0
    FLAGS_AROUND = 1
    """Flags of the same part (luma or chroma) in the four neighbouring blocks."""
    LUMA = 2
    LUMA_AROUND = 3
    """Luma latents of the same block, and of its four neighbours."""


class MotionFeature(IntEnum):
    """The counts in the context of a motion symbol."""

    PARENT = 0
    """The same channel of the parent, the node that covers this one in the next coarser grid."""
    CHANNEL_BEFORE = 1
    PARENT_AROUND = 2
    PARENT_CHANNELS = 3
    """All channels of the parent."""


def grid_sizes(rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the four grids, coarse to fine; a node covers 2 x 2 nodes of the next grid."""
    return tuple((-(-rows // scale), -(-columns // scale)) for scale in GRID_SCALES)


def split_grids(motion: Values, rows: int, columns: int) -> list[Values]:
    """Motion (T, 5, nodes) as the four grids (T, 5, rows_k, columns_k), coarse to fine."""
    grids, first = [], 0
    for height, width in grid_sizes(rows, columns):
        nodes = motion[:, :, first : first + height * width]
        grids.append(nodes.reshape(*motion.shape[:2], height, width))
        first += height * width
    return grids


def context_specs(level_count: int, version: int) -> tuple[TensorSpec, ...]:
    """The parameters of the entropy models of a version of the syntax; see `models.inrc.contexts`.

    Raises `ValueError` for a version above `NEWEST_VERSION`.
    """
    if not 0 <= version <= NEWEST_VERSION:
        raise ValueError(f"expected a version of 0..{NEWEST_VERSION}, found {version}")
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
    """Everything that determines the shapes and the prediction."""

    rows: int
    columns: int
    """Nodes of the finest motion grid, one per `CELL` x `CELL` pixels."""
    group_frames: int
    """Frames from one anchor to the next, approximately."""
    width: int
    """Channels of the refining network; 0 for none."""
    exponent: int = EXPONENT
    """16 times the exponent of `prediction.step_sizes`."""
    most: int = MOST
    """How many times finer the steps of a much referenced block may be than those of an unreferenced one."""
    is_smooth: bool = False
    """Whether chroma is upsampled linearly; otherwise each value is repeated (`models.inrc.planes`)."""
    version: int = 0
    """The syntax of motion, latents and entropy models, up to `NEWEST_VERSION`. Version 0 is not stored."""
    cuts: tuple[int, ...] = ()
    """First frames of all shots but the first, ascending; see `hierarchy`. From version 1 on."""
    returns: tuple[int, ...] = ()
    """The anchors that shots return to, one for each cut, or -1; see `hierarchy`. From version 2 on."""

    @property
    def is_overlapped(self) -> bool:
        """Whether frames are predicted by overlapped blocks (`models.inrc.overlapped`)."""
        return self.version >= 1

    @property
    def is_dc_predicted(self) -> bool:
        """Whether the DC channels of frames without references are residuals (`dc_prediction`)."""
        return self.version >= 1

    @property
    def fineness(self) -> tuple[float, float]:
        """The arguments `exponent` and `most` of `prediction.step_sizes`."""
        return self.exponent / 16, float(self.most)

    def tree(self, video: VideoInfo) -> Hierarchy:
        return hierarchy(video.frame_count, self.group_frames, self.cuts, self.returns)


def node_counts(video: VideoInfo) -> tuple[int, int]:
    """Rows and columns of the finest motion grid for a frame of this size."""
    return -(-video.height // CELL), -(-video.width // CELL)


def motion_cells(rows: int, columns: int) -> int:
    """The number of nodes of the four motion grids together."""
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
