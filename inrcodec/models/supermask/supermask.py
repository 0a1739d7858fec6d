"""Supermask: a random network that is masked instead of trained (Choi et al., ICML 2023, "Architecture").

    seed -> random weights r (frozen)             scores s (trained, not transmitted)
    per layer: the top k_1 > k_2 > ... > k_N of the scores make N nested masks m_1 .. m_N
    weight = r x (alpha_0 + alpha_1 m_1 + ... + alpha_N m_N), alpha learned per mask and layer, or fixed

The paper has no alpha_0. It makes weights of either sign out of each r. Layers with few weights are trained,
not random, because they cost few bits.

A weight's level is the number of masks that contain it, 0..N. Transmitted: levels, alphas (float16), weights
of trained layers, biases unless they are switched off, and one embedding per frame with HNeRV's decoder. With
NeRV's decoder the input is a positional encoding of the frame's time and nothing is stored per frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.errors import UsageError
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    BudgetTooSmall,
    FrameDecoder,
    Network,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    choice,
    known_options,
    whole_number,
)
from inrcodec.models.layers.layout import (
    NERV_FREQUENCIES,
    activation_count,
    choose_grid,
    embedding_channels_for,
    multiplication_count,
    read_grid,
    widest,
    write_grid,
)
from inrcodec.models.supermask.config import (
    DECODERS,
    DENSITY_UNIT,
    MAXIMUM_LEVELS,
    NERV_CELLS,
    SCALES,
    WEIGHTS,
    SupermaskConfig,
)

if TYPE_CHECKING:
    from torch import Tensor

    from inrcodec.models.family import Representation

MAXIMUM_WIDTH = 1024
MAXIMUM_CHANNELS = 1024
MAXIMUM_POSITION_CHANNELS = 512
"""Two per frequency; far below the count at which 1.25^i overflows float32."""
DENSITIES = (0.6, 0.3, 0.1)
"""Shares of the weights in masks 1..N: 1.85 bits per weight."""
OFFSET_DENSITIES = (0.85, 0.15)
"""The same with an offset: 1.18 bits. At first seven tenths of the weights are zero. PSNR after 12 epochs at
0.10 bpp with these densities and with 0.75 and 0.25, over NeRV's decoder: Carphone 26.8 and 26.0 dB, Bunny at
a quarter 25.7 and 25.9. With five levels in place of three Carphone lost 0.6."""
TRAINED = ("small", "none")
SMALL_SHARE = 0.125
"""A layer with at most this share of a network's weights is small. With 0.05 Carphone lost 1.1 dB over NeRV's
decoder; with 0.22 it was equal over HNeRV's."""
LEAST_THOUSANDTHS = 250
"""Lowest share that densities are reduced to; there, masks of twice the width cost no more."""
SCALE_BITS = 16


class Supermask(Network):
    """The `supermask` family; see the module's docstring."""

    wire_id = 2
    name = "supermask"
    summary = "nested masks over a random network that is regenerated from its seed"

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> SupermaskConfig:
        """See `Family.plan`. Options: decoder, weights, scales, trained, biases, densities, width.

        Unless given, the width is the smallest that overfills the budget at the nominal densities. These are
        then lowered together until the file fits.
        """
        names = ("decoder", "weights", "scales", "trained", "biases", "densities", "width")
        known_options(self.name, options, names)
        decoder = choice(options.get("decoder", "hnerv"), DECODERS)
        hybrid = decoder == "hnerv"
        grid = choose_grid(video) if hybrid else choose_grid(video, NERV_CELLS)
        scales = choice(options.get("scales", "offset"), SCALES)
        trains = choice(options.get("trained", "small"), TRAINED) == "small"
        config = SupermaskConfig(
            decoder=decoder,
            weights=choice(options.get("weights", "signed"), WEIGHTS),
            scales=scales,
            biases=choice(options.get("biases", "yes"), ("yes", "no")) == "yes",
            grid=grid,
            embedding_channels=embedding_channels_for(grid, video, budget_bits, symbol_bits.embedding)
            if hybrid
            else 2 * NERV_FREQUENCIES,
            width=1,
            densities=_densities(options.get("densities"), scales),
            seed=seed,
        )
        if "width" in options:
            return _of_width(config, whole_number(options["width"], 1, MAXIMUM_WIDTH), trains)
        return self._fill(config, trains, video, budget_bits, symbol_bits)

    def _fill(
        self,
        config: SupermaskConfig,
        trains: bool,
        video: VideoInfo,
        budget_bits: float,
        symbol_bits: SymbolBits,
    ) -> SupermaskConfig:
        def at(width: int, thousandths: int) -> SupermaskConfig:
            return replace(_of_width(config, width, trains), densities=_lowered(config, thousandths))

        def fits(candidate: SupermaskConfig) -> bool:
            return self.cost_bits(candidate, video, symbol_bits) <= budget_bits

        below = widest(lambda width: fits(at(width, 1000)), MAXIMUM_WIDTH)
        # One more channel at lower densities uses the bits that a whole channel cannot.
        wider = min(below + 1, MAXIMUM_WIDTH)
        thousandths = widest(lambda share: fits(at(wider, share)), 1000)
        if thousandths >= LEAST_THOUSANDTHS:
            return at(wider, thousandths)
        if below == 0:
            raise BudgetTooSmall(self.cost_bits(at(1, LEAST_THOUSANDTHS), video, symbol_bits))
        return at(below, 1000)

    def cost_bits(
        self, config: SupermaskConfig, video: VideoInfo, symbol_bits: SymbolBits = TRAINED_FOR_RATE
    ) -> float:
        """Expected bits of all transmitted tensors after entropy coding."""
        per_symbol = {
            Role.LEVELS: config.level_bits,
            Role.SCALE: SCALE_BITS,
            Role.WEIGHT: symbol_bits.weight,
            Role.BIAS: symbol_bits.bias,
            Role.EMBEDDING: symbol_bits.embedding,
        }
        return sum(spec.count * per_symbol[spec.role] for spec in self.tensors(config, video))

    def pack(self, config: SupermaskConfig) -> bytes:
        writer = Writer()
        for value, choices in (
            (config.decoder, DECODERS),
            (config.weights, WEIGHTS),
            (config.scales, SCALES),
            (config.biases, (False, True)),
        ):
            writer.u8(choices.index(value))
        write_grid(writer, config.grid)
        writer.varint(config.embedding_channels)
        writer.varint(config.width)
        writer.varint(len(config.densities))
        for density in config.densities:
            writer.u16(density)
        if config.trained:
            # A file of random layers alone ends here, as it did before layers could be trained.
            writer.varint(sum(1 << index for index in config.trained))
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> SupermaskConfig:
        reader = Reader(raw, block="supermask config")
        flags = [_pick(reader, len(choices)) for choices in (DECODERS, WEIGHTS, SCALES, (False, True))]
        grid = read_grid(reader, video)
        channels, width, level_count = reader.varint(), reader.varint(), reader.varint()
        is_position = DECODERS[flags[0]] == "nerv"
        most_channels = MAXIMUM_POSITION_CHANNELS if is_position else MAXIMUM_CHANNELS
        is_odd = is_position and channels % 2
        if not 1 <= channels <= most_channels or not 1 <= width <= MAXIMUM_WIDTH or is_odd:
            raise reader.fault(Corrupt, f"{channels} embedding channels and width {width} are out of range")
        if not 1 <= level_count <= MAXIMUM_LEVELS:
            raise reader.fault(Corrupt, f"expected 1 to {MAXIMUM_LEVELS} masks, found {level_count}")
        densities = tuple(reader.u16() for _ in range(level_count))
        if 0 in densities or any(a < b for a, b in zip(densities, densities[1:], strict=False)):
            raise reader.fault(Corrupt, f"expected decreasing densities above 0, found {densities}")
        layer_count = len(grid.strides) + 2
        bits = reader.varint() if reader.remaining else None
        if bits is not None and not 1 <= bits < (1 << layer_count) - 1:
            raise reader.fault(Corrupt, f"expected trained layers, not all {layer_count}, found bits {bits}")
        reader.expect_end()
        trained = tuple(index for index in range(layer_count) if (bits or 0) >> index & 1)
        decoder, weights, scales = DECODERS[flags[0]], WEIGHTS[flags[1]], SCALES[flags[2]]
        return SupermaskConfig(
            decoder, weights, scales, bool(flags[3]), grid, channels, width, densities, seed, trained
        )

    def coded_size(self, config: SupermaskConfig, video: VideoInfo) -> tuple[int, int]:
        return config.grid.coded_width, config.grid.coded_height

    def tensors(self, config: SupermaskConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        specs, grid, level_count = [], config.grid, len(config.densities)
        if config.decoder == "hnerv":
            shape = (video.frame_count, config.embedding_channels, grid.rows, grid.columns)
            specs.append(TensorSpec("embedding", Role.EMBEDDING, shape, per_frame=True))
        for index, layer in enumerate(config.convolutions):
            name, shape = layer.name, layer.weight_shape
            if index in config.trained:
                specs.append(TensorSpec(f"{name}.weight", Role.WEIGHT, shape))
            else:
                specs.append(TensorSpec(f"{name}.levels", Role.LEVELS, shape, level_count=level_count))
            if config.biases:
                specs.append(TensorSpec(f"{layer.name}.bias", Role.BIAS, (layer.bias_count,)))
        if config.scales != "fixed":
            specs.append(TensorSpec("scales", Role.SCALE, config.scale_shape))
        return tuple(specs)

    def activation_count(self, config: SupermaskConfig, video: VideoInfo) -> int:
        return activation_count(config.convolutions, config.grid)

    def multiplication_count(self, config: SupermaskConfig, video: VideoInfo) -> int:
        return multiplication_count(config.convolutions, config.grid)

    def representation(self, config: SupermaskConfig, video: VideoInfo, seed: int) -> Representation:
        from inrcodec.models.supermask.masks import SupermaskRepresentation

        return SupermaskRepresentation(config, video, seed)

    def decoder(
        self, config: SupermaskConfig, video: VideoInfo, tensors: Mapping[str, Tensor]
    ) -> FrameDecoder:
        from inrcodec.models.supermask.masks import masked_decoder

        return masked_decoder(config, video, tensors)


def _pick(reader: Reader, count: int) -> int:
    value = reader.u8()
    if value >= count:
        raise reader.fault(Corrupt, f"expected a setting below {count}, found {value}")
    return value


def _of_width(config: SupermaskConfig, width: int, trains: bool) -> SupermaskConfig:
    """The config with this width, and with its small layers trained if `trains`."""
    wide = replace(config, width=width)
    if not trains:
        return wide
    total = sum(layer.weight_count for layer in wide.convolutions)
    counts = enumerate(layer.weight_count for layer in wide.convolutions)
    return replace(wide, trained=tuple(index for index, count in counts if count <= SMALL_SHARE * total))


def _lowered(config: SupermaskConfig, thousandths: int) -> tuple[int, ...]:
    """The densities at which less is stored: fewer weights have the highest levels.

    With an offset the middle level, whose weights are near zero, takes the place of level 0.
    """
    count = len(config.densities)
    middle = (count + 1) / 2 if config.has_offset else 0
    lowered = []
    for number, density in enumerate(config.densities, 1):
        if number > middle:
            density = max(1, density * thousandths // 1000)
        elif number < middle:
            density = DENSITY_UNIT - max(1, (DENSITY_UNIT - density) * thousandths // 1000)
        lowered.append(density)
    return tuple(lowered)


def _densities(text: str | None, scales: str) -> tuple[int, ...]:
    """Parse `0.6,0.3,0.1`; None gives the usual densities with these `scales`. Raises `UsageError`."""
    usual = OFFSET_DENSITIES if scales == "offset" else DENSITIES
    try:
        shares = usual if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    decreasing = all(a >= b for a, b in zip(shares, shares[1:], strict=False))
    if not 1 <= len(shares) <= MAXIMUM_LEVELS or not decreasing or not all(0 < share < 1 for share in shares):
        raise UsageError(
            f"densities: expected 1 to {MAXIMUM_LEVELS} decreasing shares between 0 and 1, found {text!r}"
        )
    return tuple(min(max(1, round(share * DENSITY_UNIT)), DENSITY_UNIT - 1) for share in shares)
