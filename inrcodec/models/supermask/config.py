"""The config of a supermask, the shapes of its layers, and their random weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from inrcodec.models.layers.layout import (
    Convolution,
    Grid,
    hnerv_convolutions,
    nerv_convolutions,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


DECODERS = ("hnerv", "nerv")
WEIGHTS = ("signed", "uniform")
SCALES = ("learned", "fixed", "offset")
MAXIMUM_LEVELS = 8
DENSITY_UNIT = 1 << 16
NERV_CELLS = 128


@dataclass(frozen=True)
class SupermaskConfig:
    """Everything that fixes the random network and the shapes of its masks."""

    decoder: str
    """`hnerv` or `nerv`: the decoder whose weights are random."""
    weights: str
    """`signed` constants, or `uniform` values."""
    scales: str
    """`learned` alphas; `fixed` ones, which are not transmitted; or `offset`: learned ones and alpha_0, which
    every weight has. A weight outside the masks is then r x alpha_0, and masks can turn its sign."""
    biases: bool
    grid: Grid
    embedding_channels: int
    """Channels of an embedding or, with NeRV's decoder, of the positional encoding."""
    width: int
    densities: tuple[int, ...]
    """Share of a layer's weights in each mask, in 1/65536, decreasing."""
    seed: int
    trained: tuple[int, ...] = ()
    """Convolutions, ascending, whose weights are trained and stored instead of random and masked; not all."""

    @cached_property
    def convolutions(self) -> tuple[Convolution, ...]:
        if self.decoder == "hnerv":
            return hnerv_convolutions(self.embedding_channels, self.width, self.grid.strides)
        return nerv_convolutions(self.embedding_channels, self.width, self.grid)

    @cached_property
    def masked(self) -> tuple[int, ...]:
        """Convolutions whose weights are random, ascending."""
        return tuple(index for index in range(len(self.convolutions)) if index not in self.trained)

    @property
    def has_offset(self) -> bool:
        return self.scales == "offset"

    @property
    def scale_shape(self) -> tuple[int, int]:
        """Shape of the learned scales: random convolutions, and alphas of each."""
        return len(self.masked), len(self.densities) + self.has_offset

    def kept(self, layer: Convolution) -> tuple[int, ...]:
        """Number of weights of `layer` in each mask, at least one."""
        return tuple(max(1, density * layer.weight_count // DENSITY_UNIT) for density in self.densities)

    @property
    def level_bits(self) -> float:
        """Ideal bits per weight: the entropy of the levels."""
        return -sum(share * math.log2(share) for share in self._level_shares if share)

    @property
    def _level_shares(self) -> list[float]:
        """Share of the weights at each level, 0 to N."""
        edges = (DENSITY_UNIT, *self.densities, 0)
        return [(upper - lower) / DENSITY_UNIT for upper, lower in zip(edges, edges[1:], strict=False)]

    @property
    def initial_scale(self) -> float:
        """The alpha, equal for all masks, that gives weights the variance of He et al. at the start."""
        first = self.densities[0]
        second_moment = sum((2 * n + 1) * density for n, density in enumerate(self.densities))
        return math.sqrt(first / second_moment)

    @property
    def initial_scales(self) -> tuple[float, ...]:
        """The alphas of a layer at the start. With an offset, levels are evenly spaced around zero."""
        count = len(self.densities)
        if not self.has_offset:
            return (self.initial_scale,) * count
        squares = sum(share * (level - count / 2) ** 2 for level, share in enumerate(self._level_shares))
        step = math.sqrt(self.densities[0] / DENSITY_UNIT / squares)
        return (-count / 2 * step, *(step,) * count)


def random_layer(config: SupermaskConfig, index: int) -> NDArray[np.float32]:
    """The frozen weights of convolution `index`, float32 in its weight shape, from the seed alone."""
    # Imported here because both load NumPy.
    import numpy as np

    from inrcodec.models.supermask.random_weights import kaiming_deviation, random_signs, random_uniform

    layer = config.convolutions[index]
    fan_in = layer.input_channels * layer.kernel**2
    deviation = kaiming_deviation(fan_in, config.densities[0] / DENSITY_UNIT)
    if config.weights == "signed":
        weights = random_signs(config.seed, index, layer.weight_shape)
        weights *= np.float32(deviation)
    else:
        weights = random_uniform(config.seed, index, layer.weight_shape)
        # A uniform variable on (-1, 1) has variance 1/3.
        weights *= np.float32(deviation * math.sqrt(3.0))
    return weights
