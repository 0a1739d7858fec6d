"""The config of SNeRV-T and the shapes of its layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.models.layers.layout import (
    Convolution,
    Grid,
)
from inrcodec.models.snerv import spectral

TEMPORAL_CHANNELS = 3
"""Channels of a temporal embedding, as in the paper's 3x20x40."""
TEMPORAL_STRIDES: tuple[tuple[int, ...], ...] = ((2,), (3,), (2, 2), (3, 2), (2, 2, 2), (5, 2), (5, 4), ())
"""Strides from a temporal embedding to the features of the second stage, the paper's first."""
TEMPORAL_SHARE = 0.22
"""Share of the budget that temporal embeddings may take; in the paper's models they take 5 % to 21 %."""
SPATIAL_STAGES = 2
"""First stages, which use the embedding of the current frame only."""


@dataclass(frozen=True)
class SNeRVTConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    """Embedding grid, with strides up to the low-pass band."""
    embedding_channels: int
    temporal_channels: int
    temporal_strides: tuple[int, ...]
    width: int
    """Channels of the stem's output, `C` in the paper's Table 7."""
    blocks: int
    """Residual blocks per fusion."""

    @property
    def temporal_grid(self) -> Grid:
        """Grid of a temporal embedding, with the strides of its encoder, up to the low-pass band."""
        scale, reduction = math.prod(self.grid.strides[:SPATIAL_STAGES]), math.prod(self.temporal_strides)
        first = (math.prod(self.temporal_strides[:2]), *self.temporal_strides[2:])
        strides = (*first, *self.grid.strides[SPATIAL_STAGES:])
        return Grid(self.grid.rows * scale // reduction, self.grid.columns * scale // reduction, strides)

    @property
    def stages(self) -> tuple[Convolution, ...]:
        """Stem, temporal stem and up-sampling stages."""
        widths, strides = spectral.stage_widths(self.width, self.grid.strides), self.grid.strides
        channels = widths[SPATIAL_STAGES - 1]
        layers = [Convolution("stem", self.embedding_channels, self.width, 1)]
        layers += _temporal_stem(self.temporal_channels, channels, self.temporal_strides)
        for index, (stride, before, after) in enumerate(
            zip(strides, (self.width, *widths), widths, strict=False)
        ):
            name = f"stage{index + 1}"
            moments = ("now",) if index < SPATIAL_STAGES else ("before", "now", "after")
            taps = 1 if index < SPATIAL_STAGES else 3
            layers += [spectral.transposed(f"{name}.{moment}", before, after, stride) for moment in moments]
            layers.append(Convolution(f"{name}.widen", taps * after, 2 * after, 3))
            layers.append(Convolution(f"{name}.narrow", taps * 2 * after, after, 3))
        return tuple(layers)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        widths, strides = spectral.stage_widths(self.width, self.grid.strides), self.grid.strides
        return (*self.stages, *spectral.band_convolutions(widths, strides, self.blocks))

    def computed_at(self, layer: Convolution) -> int:
        """Pixels at which a layer of `stages` is computed for one frame, moments counted apart."""
        place, _, part = layer.name.partition(".")
        if place == "temporal":
            ups = int(part.removeprefix("up")) - 1 if part.startswith("up") else 0
            cells = self.temporal_grid.rows * self.temporal_grid.columns
            return 2 * cells * math.prod(self.temporal_strides[:ups]) ** 2
        pixels = spectral.stage_pixels(self.grid)
        if place == "stem":
            return pixels[0]
        number = int(place.removeprefix("stage"))
        if part not in ("widen", "narrow"):
            return pixels[number - 1]
        is_once = number <= SPATIAL_STAGES or (part == "narrow" and number == len(self.grid.strides))
        return pixels[number] if is_once else 3 * pixels[number]


def _temporal_stem(embedding_channels: int, channels: int, strides: tuple[int, ...]) -> list[Convolution]:
    layers = [Convolution("temporal.stem", embedding_channels, channels, 1)]
    for number, stride in enumerate(strides, 1):
        layers.append(spectral.transposed(f"temporal.up{number}", channels, channels, stride))
    return layers
