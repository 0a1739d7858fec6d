"""NeRV: frames from time alone, by convolutions and pixel shuffles (Chen et al., NeRV, section 3.1).

    t = frame / frame count -> sin and cos of 80 frequencies -> stem -> stages -> head -> frame

Transmitted: the weights and biases of the decoder, and nothing per frame. The decoder is the NeRV of HNeRV's
experiments (their repository, `--embed pe_1.25_80`), to which the published figures for Bunny belong. A 1x1
convolution makes the grid, where the original NeRV had a hidden layer of 512 and frequencies
1.25^0 .. 1.25^39. Widths halve from stage to stage, down to 12; kernels are 3x3. As in that code, all sines
come before the cosines (the paper alternates them) and frequencies are rounded to binary32 (see
`layers.blocks.angular_frequencies`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    FrameDecoder,
    Network,
    ParameterGroup,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
    whole_number,
)
from inrcodec.models.layers.layout import (
    NERV_BASE,
    NERV_FREQUENCIES,
    Convolution,
    Grid,
    activation_count,
    choose_grid,
    convolution_tensors,
    multiplication_count,
    nerv_convolutions,
    read_grid,
    widest_affordable,
    write_grid,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation
    from inrcodec.models.source import SourceFrames


MAXIMUM_WIDTH = 1024
MAXIMUM_FREQUENCIES = 256
"""Far below the count at which 1.25^i overflows float32."""
GRID_CELLS = (128, 32, 8, 2)
"""Cells of the grid after the stem: 8x16 in the paper, fewer for small budgets, because the stem has a weight
for each cell, channel and input."""
LEAST_CHANNELS = 12
"""A grid is chosen only if the budget pays for this many channels on it, or if it is the smallest."""


@dataclass(frozen=True)
class NeRVConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    frequencies: int
    """Frequencies of the positional encoding, each a sine and a cosine."""
    width: int
    """Channels on the grid, after the stem."""

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        return nerv_convolutions(2 * self.frequencies, self.width, self.grid)


class NeRV(Network):
    """The `nerv` family; see the module's docstring."""

    wire_id = 3
    name = "nerv"
    summary = "NeRV: frames from a positional encoding of the time, nothing stored per frame"

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> NeRVConfig:
        """See `Family.plan`. Option: `width`, channels after the stem, which overrides the budget."""
        known_options(self.name, options, ("width",))
        if "width" in options:
            width = whole_number(options["width"], 1, MAXIMUM_WIDTH)
            return NeRVConfig(choose_grid(video, GRID_CELLS[0]), NERV_FREQUENCIES, width)

        def cost_bits(config: NeRVConfig) -> float:
            return symbol_bits.total(self.tensors(config, video))

        for cells in GRID_CELLS:
            smallest = NeRVConfig(choose_grid(video, cells), NERV_FREQUENCIES, LEAST_CHANNELS)
            if cost_bits(smallest) <= budget_bits:
                break
        grid = smallest.grid
        width = widest_affordable(
            lambda candidate: cost_bits(NeRVConfig(grid, NERV_FREQUENCIES, candidate)),
            budget_bits,
            MAXIMUM_WIDTH,
        )
        return NeRVConfig(grid, NERV_FREQUENCIES, width)

    def pack(self, config: NeRVConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        writer.varint(config.frequencies)
        writer.varint(config.width)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> NeRVConfig:
        reader = Reader(raw, block="nerv config")
        grid = read_grid(reader, video)
        frequencies, width = reader.varint(), reader.varint()
        reader.expect_end()
        if not 1 <= frequencies <= MAXIMUM_FREQUENCIES or not 1 <= width <= MAXIMUM_WIDTH:
            raise reader.fault(Corrupt, f"{frequencies} frequencies and width {width} are out of range")
        return NeRVConfig(grid, frequencies, width)

    def coded_size(self, config: NeRVConfig, video: VideoInfo) -> tuple[int, int]:
        return config.grid.coded_width, config.grid.coded_height

    def tensors(self, config: NeRVConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        return tuple(convolution_tensors(config.convolutions))

    def activation_count(self, config: NeRVConfig, video: VideoInfo) -> int:
        return activation_count(config.convolutions, config.grid)

    def multiplication_count(self, config: NeRVConfig, video: VideoInfo) -> int:
        return multiplication_count(config.convolutions, config.grid)

    def representation(self, config: NeRVConfig, video: VideoInfo, seed: int) -> Representation:
        return NeRVRepresentation(config, video, seed)

    def decoder(self, config: NeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.layers.per_frame import PerFrameDecoder

        return PerFrameDecoder(
            video.frame_count,
            lambda positions: {"encoding": _encoded(config, video, positions)},
            lambda values: _decoded(config, video, tensors, values["encoding"]),
        )


class NeRVRepresentation:
    """Trains the decoder's tensors; there is no encoder."""

    def __init__(self, config: NeRVConfig, video: VideoInfo, seed: int) -> None:
        import torch

        from inrcodec.models.layers.blocks import initial_parameters
        from inrcodec.models.layers.trainable import Trainable

        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        self.module = Trainable(initial_parameters(config.convolutions, generator), encoder=None)

    def groups(self) -> tuple[ParameterGroup, ...]:
        from inrcodec.models.layers.trainable import MANY_STEPS, capped_groups

        return capped_groups(self.module, self._config.width, MANY_STEPS)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = self.module.tensors()
        return tensors

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        encoding = _encoded(self._config, self._video, indices)
        return _decoded(self._config, self._video, tensors, encoding)


def _encoded(config: NeRVConfig, video: VideoInfo, positions: Tensor) -> Tensor:
    """The network's input at the times of `positions` (B,)."""
    from inrcodec.models.layers.blocks import position_encoding

    return position_encoding(positions, video.frame_count, NERV_BASE, config.frequencies)


def _decoded(config: NeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor], encoding: Tensor) -> Tensor:
    """Frames (B, 3, height, width) of encodings (B, inputs, 1, 1)."""
    from inrcodec.models.layers.blocks import upsample

    return upsample(config.convolutions, tensors, encoding, config.grid, video)
