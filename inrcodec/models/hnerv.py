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
    BudgetTooSmall,
    FrameDecoder,
    ParameterGroup,
    Role,
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
    embedding_channels_for,
    hnerv_convolutions,
    read_grid,
    widest,
    write_grid,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation

MAXIMUM_WIDTH = 1024
STABLE_RATE = 0.22
"""Highest learning rate of Adam times width: 8e-3 was best at width 27 and never left 15 dB at 67."""
WEIGHT_BITS, EMBEDDING_BITS = 4.5, 5.0
"""Bits a symbol takes after training for rate; what a width is planned by."""


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
        self, video: VideoInfo, budget_bits: float, options: Mapping[str, str], seed: int
    ) -> HNeRVConfig:
        """See `Family.plan`. Options: `width`, to set c whatever the budget."""
        known_options(self.name, options, ("width",))
        grid = choose_grid(video)
        channels = embedding_channels_for(grid, video, budget_bits, EMBEDDING_BITS)

        def cost_bits(width: int) -> float:
            config = HNeRVConfig(grid, channels, width)
            return sum(
                spec.count * (EMBEDDING_BITS if spec.role is Role.EMBEDDING else WEIGHT_BITS)
                for spec in self.tensors(config, video)
            )

        if "width" in options:
            return HNeRVConfig(grid, channels, whole_number(options["width"], 1, MAXIMUM_WIDTH))
        width = widest(lambda candidate: cost_bits(candidate) <= budget_bits, MAXIMUM_WIDTH)
        if width == 0:
            raise BudgetTooSmall(cost_bits(1))
        return HNeRVConfig(grid, channels, width)

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
        specs = [TensorSpec("embedding", Role.EMBEDDING, embedding_shape, per_frame=True)]
        for layer in config.convolutions:
            specs.append(TensorSpec(f"{layer.name}.weight", Role.WEIGHT, layer.weight_shape))
            specs.append(TensorSpec(f"{layer.name}.bias", Role.BIAS, (layer.bias_count,)))
        return tuple(specs)

    def activation_count(self, config: HNeRVConfig) -> int:
        return activation_count(config.convolutions, config.grid)

    def representation(self, config: HNeRVConfig, video: VideoInfo, seed: int) -> Representation:
        return HNeRVRepresentation(config, video, seed)

    def decoder(self, config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.blocks import frames_at

        def decode(positions: Tensor) -> Tensor:
            embedding = frames_at(tensors["embedding"], positions)
            return _render(config, video, {**tensors, "embedding": embedding})

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

    def transmitted(self, frames: Tensor | None, indices: Tensor) -> dict[str, Tensor]:
        return {"embedding": self.module.embed(frames), **self.module.tensors()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return _render(self._config, self._video, tensors)


def _render(config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> Tensor:
    """Frames (B, 3, height, width) of the embeddings (B, d, rows, columns)."""
    from inrcodec.models.blocks import upsample

    return upsample(config.convolutions, tensors, tensors["embedding"], config.grid, video)
