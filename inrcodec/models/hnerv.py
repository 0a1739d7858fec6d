"""HNeRV: one embedding per frame, decoded by convolutions and pixel shuffles (Chen et al., section 3.1).

    encode side   frame -> ConvNeXt encoder -> embedding          (the encoder is not transmitted)
    both sides    embedding -> stem -> stages -> head -> frame    (see `layers.layout`)

Transmitted: one embedding per frame, and the weights and biases of the decoder. Including the embeddings of
Bunny, the widths in the paper's Table 15 for 0.35, 0.75, 1.5 and 3 million parameters give 0.33, 0.74, 1.51
and 3.03 million, here and in the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.errors import UsageError
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    FrameDecoder,
    Network,
    ParameterGroup,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    choice,
    known_options,
    whole_number,
)
from inrcodec.models.layers.layout import (
    GRID_CELLS,
    MAXIMUM_EMBEDDING_CHANNELS,
    Convolution,
    Grid,
    activation_count,
    choose_grid,
    convolution_tensors,
    embedding_channels_for,
    hnerv_convolutions,
    multiplication_count,
    read_grid,
    widest_affordable,
    write_grid,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation
    from inrcodec.models.source import SourceFrames


MAXIMUM_WIDTH = 1024
DEFAULT_KERNELS, DEFAULT_REDUCTION = (1, 5), 120
_KERNEL_PAIRS = tuple((least, most) for least in (1, 3, 5, 7) for most in (1, 3, 5, 7) if least <= most)
MOST_CELLS = 4096
LEAST_REDUCTION, MOST_REDUCTION = 100, 400


@dataclass(frozen=True)
class HNeRVConfig:
    """Everything that fixes the shapes of one network."""

    grid: Grid
    embedding_channels: int
    """Channels of an embedding, `d` in the paper."""
    width: int
    """Channels of the stem's output, `c` in the paper."""
    kernels: tuple[int, int] = DEFAULT_KERNELS
    """K_min and K_max: kernels grow by two per stage from the first to at most the second."""
    reduction: int = DEFAULT_REDUCTION
    """`r` in hundredths: the width is divided by it at each stage."""

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        return hnerv_convolutions(
            self.embedding_channels, self.width, self.grid.strides, self.kernels, self.reduction / 100
        )

    @property
    def is_variant(self) -> bool:
        """Whether kernels or reduction differ from the paper's choice."""
        return (self.kernels, self.reduction) != (DEFAULT_KERNELS, DEFAULT_REDUCTION)


class HNeRV(Network):
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
        """See `Family.plan`.

        Options: `width` (c), which overrides the budget; `channels` and approximate number of `cells` of an
        embedding; for the paper's ablations `kernels` (`1-5`: K_min and K_max) and `reduction` (`1.2`: r).
        """
        known_options(self.name, options, ("width", "channels", "cells", "kernels", "reduction"))
        cells = whole_number(options.get("cells", str(GRID_CELLS)), 1, MOST_CELLS)
        grid = choose_grid(video, cells)
        channels = embedding_channels_for(grid, video, budget_bits, symbol_bits.embedding)
        if "channels" in options:
            channels = whole_number(options["channels"], 1, MAXIMUM_EMBEDDING_CHANNELS)
        kernels = _kernels(options.get("kernels", "1-5"))
        reduction = _reduction(options.get("reduction", "1.2"))

        def cost_bits(width: int) -> float:
            config = HNeRVConfig(grid, channels, width, kernels, reduction)
            return symbol_bits.total(self.tensors(config, video))

        if "width" in options:
            width = whole_number(options["width"], 1, MAXIMUM_WIDTH)
        else:
            width = widest_affordable(cost_bits, budget_bits, MAXIMUM_WIDTH)
        return HNeRVConfig(grid, channels, width, kernels, reduction)

    def pack(self, config: HNeRVConfig) -> bytes:
        writer = Writer()
        write_grid(writer, config.grid)
        writer.varint(config.embedding_channels)
        writer.varint(config.width)
        if config.is_variant:
            for value in (*config.kernels, config.reduction):
                writer.varint(value)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> HNeRVConfig:
        reader = Reader(raw, block="hnerv config")
        grid = read_grid(reader, video)
        channels, width = reader.varint(), reader.varint()
        kernels, reduction = DEFAULT_KERNELS, DEFAULT_REDUCTION
        if is_variant := reader.remaining > 0:
            kernels, reduction = (reader.varint(), reader.varint()), reader.varint()
        reader.expect_end()
        if not 1 <= channels <= MAXIMUM_EMBEDDING_CHANNELS or not 1 <= width <= MAXIMUM_WIDTH:
            raise reader.fault(Corrupt, f"{channels} embedding channels and width {width} are out of range")
        config = HNeRVConfig(grid, channels, width, kernels, reduction)
        is_known = kernels in _KERNEL_PAIRS and LEAST_REDUCTION <= reduction <= MOST_REDUCTION
        if not is_known or config.is_variant != is_variant:
            raise reader.fault(Corrupt, f"kernels {kernels} or reduction {reduction} are out of range")
        return config

    def coded_size(self, config: HNeRVConfig, video: VideoInfo) -> tuple[int, int]:
        return config.grid.coded_width, config.grid.coded_height

    def tensors(self, config: HNeRVConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        grid = config.grid
        embedding_shape = (video.frame_count, config.embedding_channels, grid.rows, grid.columns)
        embedding = TensorSpec("embedding", Role.EMBEDDING, embedding_shape, per_frame=True)
        return (embedding, *convolution_tensors(config.convolutions))

    def activation_count(self, config: HNeRVConfig, video: VideoInfo) -> int:
        return activation_count(config.convolutions, config.grid)

    def multiplication_count(self, config: HNeRVConfig, video: VideoInfo) -> int:
        return multiplication_count(config.convolutions, config.grid)

    def representation(self, config: HNeRVConfig, video: VideoInfo, seed: int) -> Representation:
        return HNeRVRepresentation(config, video, seed)

    def decoder(self, config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.layers.blocks import frames_at
        from inrcodec.models.layers.per_frame import PerFrameDecoder

        return PerFrameDecoder(
            video.frame_count,
            lambda positions: {"embedding": frames_at(tensors["embedding"], positions)},
            lambda values: _render(config, video, {**tensors, **values}),
        )


def _kernels(text: str) -> tuple[int, int]:
    """K_min and K_max from `1-5`; raises `UsageError`."""
    pairs = {f"{least}-{most}": (least, most) for least, most in _KERNEL_PAIRS}
    return pairs[choice(text, tuple(pairs))]


def _reduction(text: str) -> int:
    """Hundredths from `1.2`; raises `UsageError`."""
    try:
        hundredths = round(100 * float(text))
    except (ValueError, OverflowError):
        hundredths = 0
    if not LEAST_REDUCTION <= hundredths <= MOST_REDUCTION:
        raise UsageError(f"reduction: expected 1 to 4, found {text!r}")
    return hundredths


class HNeRVRepresentation:
    """Trains the decoder's tensors, and the encoder that makes the embeddings."""

    def __init__(self, config: HNeRVConfig, video: VideoInfo, seed: int) -> None:
        import torch

        from inrcodec.models.layers.blocks import initial_parameters
        from inrcodec.models.layers.trainable import FrameEncoder, Trainable

        generator = torch.Generator().manual_seed(seed)
        self._config, self._video = config, video
        encoder = FrameEncoder(config.grid, config.embedding_channels, generator)
        self.module = Trainable(initial_parameters(config.convolutions, generator), encoder)

    def groups(self) -> tuple[ParameterGroup, ...]:
        from inrcodec.models.layers.trainable import MANY_STEPS, capped_groups

        return capped_groups(self.module, self._config.width, MANY_STEPS)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        return {"embedding": self.module.embed(frames), **self.module.tensors()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return _render(self._config, self._video, tensors)


def _render(config: HNeRVConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> Tensor:
    """Frames (B, 3, height, width) of the embeddings (B, d, rows, columns)."""
    from inrcodec.models.layers.blocks import upsample

    return upsample(config.convolutions, tensors, tensors["embedding"], config.grid, video)
