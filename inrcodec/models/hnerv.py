"""HNeRV: an embedding a frame, decoded by convolutions and pixel shuffles (Chen et al., HNeRV, section 3.1).

    encode side   frame -> ConvNeXt encoder -> embedding          (the encoder is not transmitted)
    both sides    embedding -> stem -> stages -> head -> frame    (see `layout.hnerv_convolutions`)

Transmitted: one embedding a frame, and the weights and biases of the decoder.
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
    ParameterGroup,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
    whole_number,
)
from inrcodec.models.layout import (
    MAXIMUM_EMBEDDING_CHANNELS,
    Convolution,
    Grid,
    activation_count,
    choose_grid,
    convolution_tensors,
    embedding_channels_for,
    hnerv_convolutions,
    read_grid,
    widest_affordable,
    write_grid,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation
    from inrcodec.models.source import SourceFrames

MAXIMUM_WIDTH = 1024
STABLE_RATE = 0.22
"""Highest learning rate of Adam times width: 8e-3 was best at width 27 and never left 15 dB at 67."""


@dataclass(frozen=True)
class HNeRVConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    embedding_channels: int
    """Channels of an embedding, `d` of the paper."""
    width: int
    """Channels of the stem's output, `c` of the paper."""

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        return hnerv_convolutions(self.embedding_channels, self.width, self.grid.strides)


class HNeRV:
    """The `hnerv` family; see the module's docstring."""

    wire_id = 1
    name = "hnerv"
    summary = "HNeRV: a tiny embedding per frame and a trained convolutional decoder"

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> HNeRVConfig:
        """See `Family.plan`. Options: `width`, to set c whatever the budget."""
        known_options(self.name, options, ("width",))
        grid = choose_grid(video)
        channels = embedding_channels_for(grid, video, budget_bits, symbol_bits.embedding)

        def cost_bits(width: int) -> float:
            config = HNeRVConfig(grid, channels, width)
            return symbol_bits.total(self.tensors(config, video))

        if "width" in options:
            return HNeRVConfig(grid, channels, whole_number(options["width"], 1, MAXIMUM_WIDTH))
        return HNeRVConfig(grid, channels, widest_affordable(cost_bits, budget_bits, MAXIMUM_WIDTH))

    def pack(self, config: HNeRVConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        writer.varint(config.embedding_channels)
        writer.varint(config.width)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> HNeRVConfig:
        reader = Reader(raw, block="hnerv config")
        grid = read_grid(reader, video)
        channels, width = reader.varint(), reader.varint()
        reader.expect_end()
        if not 1 <= channels <= MAXIMUM_EMBEDDING_CHANNELS or not 1 <= width <= MAXIMUM_WIDTH:
            raise reader.fault(Corrupt, f"{channels} embedding channels and width {width} are out of range")
        return HNeRVConfig(grid, channels, width)

    def coded_size(self, config: HNeRVConfig, video: VideoInfo) -> tuple[int, int]:
        return config.grid.coded_width, config.grid.coded_height

    def tensors(self, config: HNeRVConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        grid = config.grid
        embedding_shape = (video.frame_count, config.embedding_channels, grid.rows, grid.columns)
        embedding = TensorSpec("embedding", Role.EMBEDDING, embedding_shape, per_frame=True)
        return (embedding, *convolution_tensors(config.convolutions))

    def activation_count(self, config: HNeRVConfig) -> int:
        return activation_count(config.convolutions, config.grid)

    def representation(self, config: HNeRVConfig, video: VideoInfo, seed: int) -> Representation:
        return HNeRVRepresentation(config, video, seed)

    def decoder(self, config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        def decode(indices: Tensor) -> Tensor:
            return _render(config, video, {**tensors, "embedding": tensors["embedding"][indices]})

        return decode


class HNeRVRepresentation:
    """Trains the decoder's tensors, and the encoder that makes the embeddings."""

    def __init__(self, config: HNeRVConfig, video: VideoInfo, seed: int) -> None:
        import torch

        from inrcodec.models.blocks import initial_parameters
        from inrcodec.models.trainable import FrameEncoder, Trainable

        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        encoder = FrameEncoder(config.grid, config.embedding_channels, generator)
        self.module = Trainable(initial_parameters(config.convolutions, generator), encoder)

    def groups(self) -> tuple[ParameterGroup, ...]:
        highest_rate = STABLE_RATE / self._config.width
        return (ParameterGroup(tuple(self.module.parameters()), highest_rate=highest_rate),)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        return {"embedding": self.module.embed(frames), **self.module.tensors()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return _render(self._config, self._video, tensors)


def _render(config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> Tensor:
    """Frames (B, 3, height, width) of the embeddings (B, d, rows, columns)."""
    from inrcodec.models.blocks import upsample

    return upsample(config.convolutions, tensors, tensors["embedding"], config.grid, video)
