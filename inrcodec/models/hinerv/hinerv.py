"""HiNeRV: frames from hierarchical grids of features (Kwan et al., HiNeRV, section 3), scaled to a CPU.

    time -> grids of the coarsest level -> stem -> stages -> head -> frame
                      grids of finer levels ----------^

A grid holds features at a few evenly spaced moments, which are interpolated to the time of a frame, so that
frames share them. There is no encoder. Transmitted: the grids, and the weights and biases of the decoder.

Unlike in the paper, each stage up-samples by a convolution and a pixel shuffle, a grid covers the whole frame
at its level, and frames are fitted whole. Bunny at a quarter, 0.1 bpp, one minute of one core:

    the paper's bilinear up-sampling and ConvNeXt blocks    25.3 dB    680 steps
    the same with embeddings made by HNeRV's encoder        26.1       590
    HNeRV                                                   27.7       920
    HNeRV's stages on grids of the coarsest level           28.6      2000
    the same with grids that learn at `GRID_RATE`           28.9      1800
    the same with a grid of level 1, of 12 moments          29.3      2400
    the same with a 1x1 kernel in the first stage, wider    29.3      1900

On a processor with AVX2 alone, in 100 seconds:

    the last of these                                       28.6 dB   1700 steps
    the same with half the channels at the finest level     28.7      2000
    the same with `first_grids`                             28.9      1850
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    FrameDecoder,
    Network,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
    whole_number,
)
from inrcodec.models.hinerv.shapes import (
    CELLS,
    KERNELS,
    MAXIMUM_CHANNELS,
    MAXIMUM_WIDTH,
    MOST_GRIDS,
    HiNeRVConfig,
    TemporalGrid,
    planned_config,
)
from inrcodec.models.layers.layout import (
    choose_grid,
    convolution_tensors,
    read_grid,
    widest_affordable,
    write_grid,
)
from inrcodec.search import first_that

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation


MOST_SYMBOLS = 1 << 40
"""More than a network of the maximum width has."""


class HiNeRV(Network):
    """The `hinerv` family; see the module's docstring."""

    wire_id = 7
    name = "hinerv"
    summary = (
        "HiNeRV: grids of features at several levels, shared between frames, and a convolutional decoder"
    )

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> HiNeRVConfig:
        """See `Family.plan`. Option: `width`, channels after the stem, which overrides the budget.

        Grids are those that the budget pays for or, for a given width, that a budget for this width would.
        """
        known_options(self.name, options, ("width",))
        grid = choose_grid(video, CELLS)

        def made(width: int, symbols: float) -> HiNeRVConfig:
            return planned_config(grid, width, video.frame_count, symbols)

        def bits(width: int, symbols: float, expected: SymbolBits) -> float:
            return expected.total(self.tensors(made(width, symbols), video))

        if "width" in options:
            width = whole_number(options["width"], 1, MAXIMUM_WIDTH)
            usual = TRAINED_FOR_RATE

            def pays(count: int) -> bool:
                return bits(width, count, usual) <= count * usual.embedding

            return made(width, first_that(pays, 0, MOST_SYMBOLS))
        symbols = budget_bits / symbol_bits.embedding
        width = widest_affordable(
            lambda candidate: bits(candidate, symbols, symbol_bits), budget_bits, MAXIMUM_WIDTH
        )
        return made(width, symbols)

    def pack(self, config: HiNeRVConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        for value in (*config.widths, *config.kernels):
            writer.varint(value)
        writer.varint(len(config.grids))
        for one in config.grids:
            for value in (one.level, one.moments, one.channels):
                writer.varint(value)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> HiNeRVConfig:
        reader = Reader(raw, block="hinerv config")
        grid = read_grid(reader, video)
        stages = len(grid.strides)
        widths = tuple(reader.varint() for _ in range(stages + 1))
        kernels = tuple(reader.varint() for _ in range(stages))
        if not all(1 <= width <= MAXIMUM_WIDTH for width in widths) or not set(kernels) <= set(KERNELS):
            raise reader.fault(Corrupt, f"widths {widths} or kernels {kernels} are out of range")
        count = reader.varint()
        if not 1 <= count <= MOST_GRIDS:
            raise reader.fault(Corrupt, f"expected 1 to {MOST_GRIDS} grids, found {count}")
        grids = tuple(TemporalGrid(reader.varint(), reader.varint(), reader.varint()) for _ in range(count))
        reader.expect_end()
        levels = [one.level for one in grids]
        if levels[0] != 0 or levels != sorted(levels) or levels[-1] > stages:
            raise reader.fault(Corrupt, f"expected ascending levels from 0, found {levels}")
        for one in grids:
            if not 1 <= one.moments <= video.frame_count or not 1 <= one.channels <= MAXIMUM_CHANNELS:
                raise reader.fault(
                    Corrupt, f"a grid of {one.moments} moments and {one.channels} channels is out of range"
                )
        return HiNeRVConfig(grid, widths, kernels, grids)

    def coded_size(self, config: HiNeRVConfig, video: VideoInfo) -> tuple[int, int]:
        return config.grid.coded_width, config.grid.coded_height

    def tensors(self, config: HiNeRVConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        grids = (
            TensorSpec(name, Role.GRID, (one.moments, one.channels, *config.cells(one.level)))
            for name, one in config.named_grids.items()
        )
        return (*grids, *convolution_tensors([layer for layer, _ in config.layers]))

    def activation_count(self, config: HiNeRVConfig, video: VideoInfo) -> int:
        """The features of all grids at one time, and the most that a layer holds beside them."""
        features = [one.channels * math.prod(config.cells(one.level)) for one in config.grids]
        most = max(2 * one for one in features)
        for layer, level in config.layers:
            outputs = layer.output_channels * layer.stride**2
            # The features of one grid are the inputs; those of several are copied, to have them together.
            is_single = layer.name.startswith(("stem", "mix")) and (
                sum(one.level == level for one in config.grids) == 1
            )
            inputs = 0 if is_single else layer.input_channels
            most = max(most, math.prod(config.cells(level)) * (inputs + 2 * outputs))
        return sum(features) + most

    def multiplication_count(self, config: HiNeRVConfig, video: VideoInfo) -> int:
        return sum(layer.weight_count * math.prod(config.cells(level)) for layer, level in config.layers)

    def representation(self, config: HiNeRVConfig, video: VideoInfo, seed: int) -> Representation:
        from inrcodec.models.hinerv.decoder import HiNeRVRepresentation

        return HiNeRVRepresentation(config, video, seed)

    def decoder(self, config: HiNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.hinerv.decoder import features_at, rendered
        from inrcodec.models.layers.per_frame import PerFrameDecoder

        return PerFrameDecoder(
            video.frame_count,
            lambda positions: features_at(config, video, tensors, positions),
            lambda features: rendered(config, video, tensors, features),
        )
