"""Tensors of the authors' networks and their conversion to ours: names, shapes, channel orders.

Values follow a pattern from integer arithmetic. So the results of the authors' code can be recorded once
(`benchmarks.parity`) and tested without that code (`test_models_parity`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.layers.layout import Convolution

Array = NDArray[np.float32]
ENCODER_CHANNELS = 64


def uniform(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Pseudo-random odd multiples of 2^-17 in (-1, 1), which depend only on the name and the position."""
    mixed = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 24)
    # The finaliser of SplitMix64.
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    integers = (mixed >> np.uint64(47)).astype(np.int64)
    return ((2 * integers + 1 - 2**17) / 2**17).reshape(shape)


@dataclass(frozen=True)
class Pair:
    """One tensor of the authors' network and its conversion to ours."""

    authors: str
    shape: tuple[int, ...]
    """Shape of the authors' tensor."""
    ours: str
    convert: Callable[[Array], Array]
    scale: float
    centre: float = 0.0

    @property
    def values(self) -> Array:
        """The authors' tensor."""
        return (self.centre + self.scale * uniform(self.authors, self.shape)).astype(np.float32)


def decoder_pairs(family: str, config: Any) -> Iterator[Pair]:
    """Every weight and bias of the decoder, in our order."""
    names = _authors_names(family, config)
    for layer in config.convolutions:
        prefix = names[layer.name]
        weight_shape, convert = _weight_of(layer, over_time="conv3d" in prefix)
        fan_in = math.prod(layer.weight_shape[1:])
        gain = GAINS.get(layer.name.rpartition(".")[2], GAIN)
        weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
        yield Pair(f"{prefix}.weight", weight_shape, weight, convert, gain / math.sqrt(fan_in))
        shuffled = layer.stride > 1 and not layer.shares_bias
        to_bias = _row_column_channel(layer.stride) if shuffled else _as_it_is
        yield Pair(f"{prefix}.bias", (layer.bias_count,), bias, to_bias, 0.1)


GAIN = 2.5
"""Largest weight times the root of the fan-in; values keep their scale through such a layer and a GELU."""
GAINS = {
    "up": 1.7,
    "now": 1.7,
    "before": 1.7,
    "after": 1.7,
    "merge": 1.7,
    "narrow": 1.0,
    "b": 0.8,
    "out": 0.8,
}
"""Gains for layers without an activation or beside a residual connection, by the last part of our name."""

TRANSPOSED = {"now": "Tconv1", "before": "Tconv2", "after": "Tconv3"}


def _as_it_is(values: Array) -> Array:
    return values


def _row_column_channel(stride: int) -> Callable[[Array], Array]:
    """Reorders output channels of a pixel shuffle from (channel, row, column) to (row, column, channel)."""

    def convert(values: Array) -> Array:
        split = values.reshape(-1, stride**2, *values.shape[1:])
        return np.swapaxes(split, 0, 1).reshape(values.shape)

    return convert


def _weight_of(layer: Convolution, over_time: bool) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """The authors' shape of a layer's weight, and its conversion to ours."""
    outputs, inputs, kernel, _ = ours = layer.weight_shape
    if layer.shares_bias:  # transposed: (inputs, channels, row, column)
        transposed = (inputs, layer.output_channels, layer.stride, layer.stride)
        return transposed, lambda values: values.transpose(2, 3, 1, 0).reshape(ours)
    if over_time:  # (outputs, channels, moment, row, column)
        volume = (outputs, inputs // 3, 3, kernel, kernel)
        return volume, lambda values: values.swapaxes(1, 2).reshape(ours)
    return ours, _row_column_channel(layer.stride) if layer.stride > 1 else _as_it_is


def _authors_names(family: str, config: Any) -> dict[str, str]:
    """The authors' module names by our layer names."""
    stages = len(config.grid.strides)
    names = {"stem": "decoder.0.conv.downconv"}
    for number in range(1, stages + 1):
        name, module = f"stage{number}", f"decoder.{number}"
        if family != "snerv-t":
            names[name] = f"{module}.conv.upconv.0"
            continue
        convolution = "conv2d" if number <= 2 else "conv3d"
        names |= {f"{name}.{moment}": f"{module}.{theirs}" for moment, theirs in TRANSPOSED.items()}
        names |= {f"{name}.widen": f"{module}.{convolution}", f"{name}.narrow": f"{module}.{convolution}_2"}
    if family in ("hnerv", "nerv"):
        return names | {"head": "head_layer"}
    after = stages + 1
    if family == "snerv-t":
        names["temporal.stem"] = f"decoder.{after}.0.conv.downconv"
        for index in range(len(config.temporal_strides)):
            names[f"temporal.up{index + 1}"] = f"decoder.{after}.1.{index}"
        after += 1
    for index, band in enumerate(("lh", "hl", "hh")):
        names |= {f"{band}.{part}": f"decoder.{after + index}.{conv}" for part, conv in BAND_PARTS}
    for index, fusion in enumerate(("fuse1", "fuse2")):
        up, blocks = after + 3 + 2 * index, after + 4 + 2 * index
        names |= {f"{fusion}.up": f"decoder.{up}", f"{fusion}.merge": f"decoder.{blocks}.main.0"}
        for block in range(config.blocks):
            for half, conv in (("a", "conv1"), ("b", "conv2")):
                names[f"{fusion}.block{block + 1}.{half}"] = f"decoder.{blocks}.main.1.{block}.{conv}"
    return names | {"low": "head_layer"}


BAND_PARTS = (("mix", "conv1"), ("out", "conv2"))


def encoder_pairs(prefix: str, strides: tuple[int, ...], embedding_channels: int) -> Iterator[Pair]:
    """Every parameter of a ConvNeXt encoder; `prefix` is the authors' module name."""
    incoming = 3
    for stage, stride in enumerate(strides):
        channels = embedding_channels if stage == len(strides) - 1 else ENCODER_CHANNELS
        down, norm = (0, 1) if stage == 0 else (1, 0)
        theirs = f"{prefix}.downsample_layers.{stage}"
        yield from _affine(f"{theirs}.{down}", f"stages.{stage}.{down}", (channels, incoming, stride, stride))
        yield from _norm(f"{theirs}.{norm}", f"stages.{stage}.{norm}", channels if stage == 0 else incoming)
        theirs, ours = f"{prefix}.stages.{stage}.0", f"stages.{stage}.2"
        yield from _affine(f"{theirs}.dwconv", f"{ours}.depthwise", (channels, 1, 7, 7))
        yield from _norm(f"{theirs}.norm", f"{ours}.norm", channels)
        yield from _affine(f"{theirs}.pwconv1", f"{ours}.expand", (4 * channels, channels))
        yield from _affine(f"{theirs}.pwconv2", f"{ours}.project", (channels, 4 * channels))
        yield Pair(f"{theirs}.gamma", (channels,), f"{ours}.gamma", _as_it_is, 0.2, 0.5)
        incoming = channels


def _affine(theirs: str, ours: str, shape: tuple[int, ...]) -> Iterator[Pair]:
    """Weight and bias; the authors' linear layers are 1x1 convolutions here."""
    scale = 1.7 / math.sqrt(math.prod(shape[1:]))
    four_axes = (*shape, *[1] * (4 - len(shape)))
    yield Pair(f"{theirs}.weight", shape, f"{ours}.weight", lambda values: values.reshape(four_axes), scale)
    yield Pair(f"{theirs}.bias", shape[:1], f"{ours}.bias", _as_it_is, 0.1)


def _norm(theirs: str, ours: str, channels: int) -> Iterator[Pair]:
    yield Pair(f"{theirs}.weight", (channels,), f"{ours}.weight", _as_it_is, 0.3, 1.0)
    yield Pair(f"{theirs}.bias", (channels,), f"{ours}.bias", _as_it_is, 0.2)


def encoders(family: str, config: Any) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Encoders of a network: the authors' name, our name, strides, embedding channels."""
    if family == "nerv":
        return []
    main = (config.grid.strides, config.embedding_channels)
    if family == "hnerv":
        return [("encoder", "encoder", *main)]
    found = [("encoder.0", "encoder", *main)]
    if family == "snerv-t":
        temporal = (config.temporal_grid.strides, config.temporal_channels)
        found += [(f"encoder.{number}", f"temporal_encoders.{number - 1}", *temporal) for number in (1, 2)]
    return found
