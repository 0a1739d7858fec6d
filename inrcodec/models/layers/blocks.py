"""Layers that families share, as functions of their weights: fitting and decoding compute the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.family import VideoInfo
from inrcodec.models.layers.convolution import convolve
from inrcodec.models.layers.layout import Convolution, Grid, Rectangle

AUTHORS_POWERS = {(1.25, 45): 22958.873046875}
"""The one power of 1.25 that PyTorch's vectorised `pow` does not round to the nearest binary32."""


def shuffle_pixels(features: Tensor, stride: int) -> Tensor:
    """Pixel shuffle (B, stride^2 C, H, W) -> (B, C, stride H, stride W) of channels ordered (row, column, C).

    `torch.nn.PixelShuffle` expects (C, row, column), a fixed permutation of these channels. In channels-last
    memory this order copies contiguous runs and takes a quarter of the time.
    """
    if stride == 1:
        return features
    batch, channels, height, width = features.shape
    split = features.permute(0, 2, 3, 1).reshape(batch, height, width, stride, stride, channels // stride**2)
    merged = split.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * stride, width * stride, -1)
    return merged.permute(0, 3, 1, 2)


def upsample(
    layers: Sequence[Convolution],
    tensors: Mapping[str, Tensor],
    embedding: Tensor,
    grid: Grid,
    video: VideoInfo,
) -> Tensor:
    """Run an up-sampling decoder: embedding (B, d, h, w) -> frames (B, 3, height, width) in [0, 1].

    `tensors` contains `NAME.weight` of each of the `layers` (see `layers.layout`), and `NAME.bias` of those
    that have one. An embedding of one vector per frame (NeRV) is spread over the grid after the stem. The
    coded frame is cropped to the display size, and little more than the crop is computed.
    """
    stem, *stages, head = layers
    features = F.gelu(_convolve(embedding, stem, tensors))
    if features.shape[-2:] != (grid.rows, grid.columns):
        features = features.reshape(features.shape[0], -1, grid.rows, grid.columns)
        features = features.contiguous(memory_format=torch.channels_last)
    needed = _needed_rectangles((*stages, head), grid, Rectangle(0, video.height, 0, video.width))
    available = Rectangle(0, grid.rows, 0, grid.columns)
    for layer, wanted in zip(stages, needed, strict=False):
        # One expression: the convolution's output is freed before GELU allocates its own.
        features = F.gelu(
            shuffle_pixels(_convolve_window(features, layer, tensors, available, wanted), layer.stride)
        )
        available = wanted.after_shuffle(layer.stride)
    features = _convolve_window(features, head, tensors, available, needed[-1])
    return torch.tanh(features.float()) * 0.5 + 0.5


def _needed_rectangles(layers: Sequence[Convolution], grid: Grid, rectangle: Rectangle) -> list[Rectangle]:
    """For each layer, the part of its convolution's output that the pixels of `rectangle` depend on."""
    rows, columns = grid.coded_height, grid.coded_width
    needed: list[Rectangle] = []
    for layer in reversed(layers):
        rectangle = rectangle.before_shuffle(layer.stride)
        rows, columns = rows // layer.stride, columns // layer.stride
        needed.insert(0, rectangle)
        rectangle = rectangle.grown(layer.kernel // 2, rows, columns)
    return needed


def _convolve_window(
    features: Tensor,
    layer: Convolution,
    tensors: Mapping[str, Tensor],
    available: Rectangle,
    wanted: Rectangle,
) -> Tensor:
    """The part `wanted` of a convolution whose input is the part `available` of the features.

    Zero padding is right where the input ends with the frame; elsewhere a margin is computed and cut off.
    """
    margin = layer.kernel // 2
    given = Rectangle(
        max(available.top, wanted.top - margin),
        min(available.bottom, wanted.bottom + margin),
        max(available.left, wanted.left - margin),
        min(available.right, wanted.right + margin),
    )
    convolved = _convolve(_cropped(features, available, given), layer, tensors)
    return _cropped(convolved, given, wanted)


def _cropped(features: Tensor, available: Rectangle, wanted: Rectangle) -> Tensor:
    if wanted == available:
        return features
    rows = slice(wanted.top - available.top, wanted.bottom - available.top)
    columns = slice(wanted.left - available.left, wanted.right - available.left)
    return features[:, :, rows, columns]


class ConvolutionNetwork:
    """Applies convolutions by name: `network("stage1", features)`."""

    def __init__(self, layers: Sequence[Convolution], tensors: Mapping[str, Tensor]) -> None:
        self._layers, self._tensors = {layer.name: layer for layer in layers}, tensors

    def __call__(self, name: str, features: Tensor) -> Tensor:
        """Convolve and pixel-shuffle (B, C, H, W); see `Convolution.shares_bias` for the bias."""
        layer = self._layers[name]
        if not layer.shares_bias:
            return shuffle_pixels(_convolve(features, layer, self._tensors), layer.stride)
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return shuffle_pixels(F.conv2d(features, weight, bias.repeat(layer.stride**2)), layer.stride)


def _convolve(features: Tensor, layer: Convolution, tensors: Mapping[str, Tensor]) -> Tensor:
    weight, bias = tensors[f"{layer.name}.weight"], tensors.get(f"{layer.name}.bias")
    return convolve(features, weight, bias)


def initial_weight(layer: Convolution, generator: torch.Generator) -> Tensor:
    """A weight with PyTorch's default initialisation of convolutions, drawn from `generator`."""
    bound = _initial_bound(layer)
    return torch.empty(layer.weight_shape).uniform_(-bound, bound, generator=generator)


def _initial_bound(layer: Convolution) -> float:
    # PyTorch computes the fan-in of a transposed convolution from its outputs.
    fan_in = layer.weight_shape[0] if layer.shares_bias else math.prod(layer.weight_shape[1:])
    bound: float = fan_in**-0.5
    return bound


def initial_parameters(layers: Iterable[Convolution], generator: torch.Generator) -> dict[str, Tensor]:
    """Weights and biases with PyTorch's default initialisation of convolutions, drawn from `generator`."""
    parameters: dict[str, Tensor] = {}
    for layer in layers:
        bound = _initial_bound(layer)
        parameters[f"{layer.name}.weight"] = initial_weight(layer, generator)
        parameters[f"{layer.name}.bias"] = torch.empty(layer.bias_count).uniform_(
            -bound, bound, generator=generator
        )
    return parameters


@cache
def angular_frequencies(base: float, count: int) -> tuple[float, ...]:
    """base^i pi for i in 0..count-1, as in the authors' code: power, pi and product rounded to binary32.

    With exact frequencies, weights fitted with those would render other frames: phases differ by up to 3.5
    radians within a clip. Powers are computed as exact fractions, so the results are the same everywhere.
    """
    powers = [AUTHORS_POWERS.get((base, i), float(Fraction(base) ** i)) for i in range(count)]
    products = np.array(powers, dtype=np.float32) * np.float32(math.pi)
    return tuple(products.tolist())


@cache
def _frequencies_on(device: torch.device, base: float, count: int) -> Tensor:
    """`angular_frequencies` as float64 on `device`, cached because each step of a fit needs them."""
    # The first call may be in inference mode, whose tensors a fit could not save for its backward pass.
    with torch.inference_mode(False):
        return torch.tensor(angular_frequencies(base, count), dtype=torch.float64, device=device)


def frames_at(values: Tensor, positions: Tensor) -> Tensor:
    """Per-frame values (T, ...) at `positions` (B,), counted in frames from 0 to T - 1, as (B, ...).

    Integers select the values of frames. Floats interpolate linearly between both neighbours, as HNeRV
    interpolates a video (section 4.2, internal generalization). A whole float gives the same as its integer.
    """
    if not positions.is_floating_point():
        return values[positions]
    before = positions.long()
    # A whole position has the same frame twice: 0 times a difference that overflows would not be 0.
    after = positions.ceil().long().clamp(max=len(values) - 1)
    share = (positions - before).to(values.dtype).reshape(-1, *[1] * (values.dim() - 1))
    return torch.lerp(values[before], values[after], share)


def position_encoding(positions: Tensor, frame_count: int, base: float, frequencies: int) -> Tensor:
    """NeRV's input: sin and cos of base^i pi t for i in 0..frequencies-1 (NeRV, section 3.1).

    Positions (B,), in frames and not necessarily whole, have times t = position / `frame_count` in [0, 1).
    The result is (B, 2 x frequencies, 1, 1), all sines first.
    Phases reach 10^8, so they are computed in float64: in float32 the last bits of a division, which devices
    round differently, would decide the highest frequencies. See `angular_frequencies` for what is rounded.
    """
    exact = positions if positions.device.type != "mps" else positions.cpu()
    phases = exact.double()[:, None] / frame_count * _frequencies_on(exact.device, base, frequencies)
    encoded = torch.cat([torch.sin(phases), torch.cos(phases)], dim=1).float().to(positions.device)
    return encoded[:, :, None, None]
