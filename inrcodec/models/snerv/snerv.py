"""SNeRV: an embedding of the low-pass band, decoded to all Haar bands (Kim et al., SNeRV, section 3.2).

    encode side   frame -> Haar LL, stretched to [0, 1] -> ConvNeXt encoder -> embedding
    both sides    embedding -> stem -> stages -> MFU -> LL; HFR -> LH, HL, HH -> inverse Haar -> frame

Transmitted: one embedding and the range of LL per frame, and the weights and biases of the decoder. Where the
paper's Table 9 and the authors' code differ, the code is followed:

- The first four rows of each model have the columns "total size" and "decoder size" exchanged.
- Sizes omit the ranges, two values per frame.
- For C = 41 and 81 the code has 4 % and 5 % more parameters than the table.

The authors store a range as 6-bit codes; here it is a stepped tensor like the embeddings.
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
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
)
from inrcodec.models.layers.layout import (
    MAXIMUM_EMBEDDING_CHANNELS,
    Convolution,
    Grid,
    convolution_tensors,
    embedding_channels_for,
    hnerv_convolutions,
    read_grid,
    write_grid,
)
from inrcodec.models.snerv import spectral

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation
    from inrcodec.models.source import SourceFrames


@dataclass(frozen=True)
class SNeRVConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    """Embedding grid, with strides up to the low-pass band."""
    embedding_channels: int
    width: int
    """Channels of the stem's output, `C` in the paper's Table 6."""
    blocks: int
    """Residual blocks per fusion."""

    @property
    def stages(self) -> tuple[Convolution, ...]:
        """Stem and up-sampling stages: HNeRV's, without its head."""
        return hnerv_convolutions(self.embedding_channels, self.width, self.grid.strides)[:-1]

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        widths, strides = spectral.stage_widths(self.width, self.grid.strides), self.grid.strides
        return (*self.stages, *spectral.band_convolutions(widths, strides, self.blocks))


class SNeRV(Network):
    """The `snerv` family; see the module's docstring."""

    wire_id = 4
    name = "snerv"
    summary = "SNeRV: an embedding of the low frequencies, wavelet bands restored by the decoder"

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> SNeRVConfig:
        """See `Family.plan`. Options: `width`, overriding the budget, and residual `blocks` per fusion."""
        known_options(self.name, options, ("width", "blocks"))
        grid = spectral.spectral_grid(video)
        channels = embedding_channels_for(grid, video, budget_bits, symbol_bits.embedding)

        def cost_bits(width: int, blocks: int) -> float:
            config = SNeRVConfig(grid, channels, width, blocks)
            return symbol_bits.total(self.tensors(config, video))

        width, blocks = spectral.planned_size(options, cost_bits, budget_bits)
        return SNeRVConfig(grid, channels, width, blocks)

    def pack(self, config: SNeRVConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        for value in (config.embedding_channels, config.width, config.blocks):
            writer.varint(value)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> SNeRVConfig:
        reader = Reader(raw, block="snerv config")
        grid = read_grid(reader, spectral.low_band(video), spectral.LEAST_STAGES)
        channels, width, blocks = reader.varint(), reader.varint(), reader.varint()
        reader.expect_end()
        if not 1 <= channels <= MAXIMUM_EMBEDDING_CHANNELS:
            raise reader.fault(Corrupt, f"{channels} embedding channels are out of range")
        spectral.check_size(reader, width, blocks)
        return SNeRVConfig(grid, channels, width, blocks)

    def coded_size(self, config: SNeRVConfig, video: VideoInfo) -> tuple[int, int]:
        return spectral.coded_size(config.grid)

    def tensors(self, config: SNeRVConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        shape = (video.frame_count, config.embedding_channels, config.grid.rows, config.grid.columns)
        embedding = TensorSpec("embedding", Role.EMBEDDING, shape, per_frame=True)
        return (embedding, spectral.range_tensor(video), *convolution_tensors(config.convolutions))

    def activation_count(self, config: SNeRVConfig, video: VideoInfo) -> int:
        grid, sizes = config.grid, spectral.stage_sizes(config.width, config.grid)
        embedding = config.embedding_channels * grid.rows * grid.columns
        # A stage keeps its input, and its output before and after the pixel shuffle.
        stages = (before + 2 * after for before, after in zip((0, *sizes), sizes, strict=False))
        return embedding + max(spectral.band_activations(config.width, grid), *stages)

    def multiplication_count(self, config: SNeRVConfig, video: VideoInfo) -> int:
        # A stage's convolution is computed before its pixel shuffle.
        at = (config.grid.rows * config.grid.columns, *spectral.stage_pixels(config.grid))
        stages = sum(layer.weight_count * pixels for layer, pixels in zip(config.stages, at, strict=False))
        return stages + spectral.band_multiplications(config.width, config.grid, config.blocks)

    def representation(self, config: SNeRVConfig, video: VideoInfo, seed: int) -> Representation:
        return SNeRVRepresentation(config, video, seed)

    def decoder(self, config: SNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.layers.blocks import frames_at
        from inrcodec.models.layers.per_frame import PerFrameDecoder

        return PerFrameDecoder(
            video.frame_count,
            lambda positions: {name: frames_at(tensors[name], positions) for name in ("embedding", "range")},
            lambda values: _render(config, video, {**tensors, **values}),
        )


class SNeRVRepresentation:
    """Trains the decoder's tensors, and the encoder that makes the embeddings."""

    def __init__(self, config: SNeRVConfig, video: VideoInfo, seed: int) -> None:
        import torch

        from inrcodec.models.layers.trainable import FrameEncoder, Trainable
        from inrcodec.models.snerv.spectral_blocks import initial_spectral_parameters

        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        encoder = FrameEncoder(config.grid, config.embedding_channels, generator)
        self.module = Trainable(initial_spectral_parameters(config.convolutions, generator), encoder)

    def groups(self) -> tuple[ParameterGroup, ...]:
        from inrcodec.models.layers.trainable import MANY_SPECTRAL_STEPS, capped_groups

        return capped_groups(self.module, self._config.width, MANY_SPECTRAL_STEPS)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        from inrcodec.models.layers.trainable import required
        from inrcodec.models.snerv.spectral_blocks import normalised_low_bands

        (band,), band_range = normalised_low_bands([required(frames).current])
        return {"embedding": self.module.encode(band), "range": band_range, **self.module.tensors()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return _render(self._config, self._video, tensors)


def _render(config: SNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> Tensor:
    """Render frames (B, 3, height, width) from embeddings (B, d, rows, columns) and ranges (B, 2)."""
    import torch.nn.functional as F

    from inrcodec.models.layers.blocks import ConvolutionNetwork
    from inrcodec.models.snerv.spectral_blocks import render_bands

    network, features, outputs = ConvolutionNetwork(config.convolutions, tensors), tensors["embedding"], []
    stages = config.stages
    for number, stage in enumerate(stages):
        features = F.gelu(network(stage.name, features))
        if number >= len(stages) - spectral.LEAST_STAGES:
            outputs.append(features)
    return render_bands(network, outputs, config.blocks, tensors["range"], video)
