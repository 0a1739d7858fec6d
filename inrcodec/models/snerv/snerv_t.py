"""SNeRV-T: SNeRV with temporal low-pass bands of each frame and its neighbours (Kim et al., SNeRV, 3.3).

    encode side   LL of frames t-1, t, t+1, stretched to [0, 1]
                    LL(t) -> encoder -> embedding
                    Haar low-pass in time of (t-1, t) and of (t, t+1) -> two encoders -> temporal embeddings
    both sides    embedding -> stem -> two stages -> features "now"
                  temporal embeddings -> 1x1 convolution -> up-sampling -> features "before" and "after"
                  the three -> temporal up-sampling blocks -> MFU, HFR, inverse Haar as in SNeRV -> frame

Transmitted: the embedding, the two temporal embeddings and the range of LL per frame, and the decoder's
weights and biases. The 3D convolutions over (before, now, after) are computed as 2D convolutions of the three
side by side, which gives the same values. The authors' other variant, whose 2D convolutions mix all channels
of the three, has 1.6 times the parameters at equal width; the published figures are those of the 3D variant.

The paper and the authors' code differ:

- The first four rows in Table 9 have the columns "total size" and "decoder size" exchanged.
- For C = 39 and 61 the code has 6 % fewer and 6 % more parameters than Table 9.
- The 3D code lacks strides for embeddings of 10x20 at 640x1280 and of 20x40 at 480x960.
- The strides in Table 7(b) for 480x960 do not give the embedding sizes beside them.
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
)
from inrcodec.models.layers.layout import (
    MAXIMUM_EMBEDDING_CHANNELS,
    Grid,
    convolution_tensors,
    embedding_channels_for,
    read_grid,
    write_grid,
)
from inrcodec.models.snerv import spectral
from inrcodec.models.snerv.temporal import (
    SPATIAL_STAGES,
    TEMPORAL_CHANNELS,
    TEMPORAL_SHARE,
    TEMPORAL_STRIDES,
    SNeRVTConfig,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation


class SNeRVT(Network):
    """The `snerv-t` family; see the module's docstring."""

    wire_id = 5
    name = "snerv-t"
    summary = "SNeRV-T: SNeRV with temporal embeddings of a frame and its neighbours"

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> SNeRVTConfig:
        """See `Family.plan`. Options: `width`, overriding the budget, and residual `blocks` per fusion."""
        known_options(self.name, options, ("width", "blocks"))
        grid = spectral.spectral_grid(video)
        channels = embedding_channels_for(grid, video, budget_bits, symbol_bits.embedding)
        temporal_channels, strides = _temporal_embedding(grid, video, budget_bits / symbol_bits.embedding)

        def config(width: int, blocks: int) -> SNeRVTConfig:
            return SNeRVTConfig(grid, channels, temporal_channels, strides, width, blocks)

        def cost_bits(width: int, blocks: int) -> float:
            return symbol_bits.total(self.tensors(config(width, blocks), video))

        return config(*spectral.planned_size(options, cost_bits, budget_bits))

    def pack(self, config: SNeRVTConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        for value in (config.embedding_channels, config.temporal_channels, len(config.temporal_strides)):
            writer.varint(value)
        for value in (*config.temporal_strides, config.width, config.blocks):
            writer.varint(value)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> SNeRVTConfig:
        reader = Reader(raw, block="snerv-t config")
        grid = read_grid(reader, spectral.low_band(video), spectral.LEAST_STAGES)
        channels, temporal_channels, stride_count = reader.varint(), reader.varint(), reader.varint()
        if not all(1 <= count <= MAXIMUM_EMBEDDING_CHANNELS for count in (channels, temporal_channels)):
            raise reader.fault(Corrupt, f"{channels} and {temporal_channels} channels are out of range")
        known = {len(plan) for plan in TEMPORAL_STRIDES}
        if stride_count not in known:
            raise reader.fault(Corrupt, f"expected {sorted(known)} temporal strides, found {stride_count}")
        strides = tuple(reader.varint() for _ in range(stride_count))
        if strides not in TEMPORAL_STRIDES or not _divides(strides, grid):
            raise reader.fault(Corrupt, f"temporal strides {strides} do not fit the grid")
        width, blocks = reader.varint(), reader.varint()
        reader.expect_end()
        spectral.check_size(reader, width, blocks)
        return SNeRVTConfig(grid, channels, temporal_channels, strides, width, blocks)

    def coded_size(self, config: SNeRVTConfig, video: VideoInfo) -> tuple[int, int]:
        return spectral.coded_size(config.grid)

    def tensors(self, config: SNeRVTConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        grid, temporal, frames = config.grid, config.temporal_grid, video.frame_count
        shape = (frames, config.embedding_channels, grid.rows, grid.columns)
        temporal_shape = (frames, 2 * config.temporal_channels, temporal.rows, temporal.columns)
        return (
            TensorSpec("embedding", Role.EMBEDDING, shape, per_frame=True),
            TensorSpec("temporal", Role.EMBEDDING, temporal_shape, per_frame=True),
            spectral.range_tensor(video),
            *convolution_tensors(config.convolutions),
        )

    def activation_count(self, config: SNeRVTConfig, video: VideoInfo) -> int:
        grid, sizes = config.grid, spectral.stage_sizes(config.width, config.grid)
        temporal = config.temporal_grid
        embeddings = config.embedding_channels * grid.rows * grid.columns
        embeddings += 2 * config.temporal_channels * temporal.rows * temporal.columns
        peaks = [spectral.band_activations(config.width, grid, moments=3)]
        pairs = [*zip(sizes, sizes[1:], strict=False)]
        # A stage keeps its output, and twice its width before and after a rectifier; other moments wait.
        peaks += [before + 5 * after + 2 * sizes[SPATIAL_STAGES] for before, after in pairs[:SPATIAL_STAGES]]
        # The same for three moments.
        peaks += [3 * before + 15 * after for before, after in pairs[SPATIAL_STAGES:]]
        peaks[-1] += 3 * sizes[-3]
        return embeddings + max(peaks)

    def multiplication_count(self, config: SNeRVTConfig, video: VideoInfo) -> int:
        stages = sum(layer.weight_count * config.computed_at(layer) for layer in config.stages)
        return stages + spectral.band_multiplications(config.width, config.grid, config.blocks)

    def representation(self, config: SNeRVTConfig, video: VideoInfo, seed: int) -> Representation:
        from inrcodec.models.snerv.temporal_blocks import SNeRVTRepresentation

        return SNeRVTRepresentation(config, video, seed)

    def decoder(self, config: SNeRVTConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.layers.blocks import frames_at
        from inrcodec.models.layers.per_frame import PerFrameDecoder
        from inrcodec.models.snerv.temporal_blocks import render

        names = ("embedding", "temporal", "range")
        return PerFrameDecoder(
            video.frame_count,
            lambda positions: {name: frames_at(tensors[name], positions) for name in names},
            lambda values: render(config, video, {**tensors, **values}),
        )


def _divides(strides: tuple[int, ...], grid: Grid) -> bool:
    """Whether `strides` lead from a whole number of temporal cells to the second stage's features."""
    scale, reduction = math.prod(grid.strides[:SPATIAL_STAGES]), math.prod(strides)
    return grid.rows * scale % reduction == 0 and grid.columns * scale % reduction == 0


def _temporal_embedding(grid: Grid, video: VideoInfo, values: float) -> tuple[int, tuple[int, ...]]:
    """Channels and strides of the finest temporal embedding within `TEMPORAL_SHARE` of `values`.

    The budget as a whole pays for `values` embedding values. If no embedding is within the share, the
    coarsest one has a single channel.
    """
    scale = math.prod(grid.strides[:SPATIAL_STAGES])
    cells = grid.rows * grid.columns * scale**2
    fitting = [plan for plan in TEMPORAL_STRIDES if plan and _divides(plan, grid)] or [()]
    for strides in sorted(fitting, key=math.prod):
        needed = 2 * TEMPORAL_CHANNELS * video.frame_count * cells // math.prod(strides) ** 2
        if needed <= TEMPORAL_SHARE * values:
            return TEMPORAL_CHANNELS, strides
    return 1, max(fitting, key=math.prod)
