"""The torch side of `supermask`: levels from scores, weights from levels, straight-through gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inrcodec.models.family import ParameterGroup, VideoInfo
from inrcodec.models.layers.blocks import frames_at, initial_weight, position_encoding, upsample
from inrcodec.models.layers.layout import NERV_BASE
from inrcodec.models.layers.per_frame import PerFrameDecoder
from inrcodec.models.layers.trainable import MANY_STEPS, FrameEncoder, Trainable, capped_groups
from inrcodec.models.source import SourceFrames
from inrcodec.models.supermask.config import SupermaskConfig, random_layer
from inrcodec.models.supermask.random_weights import CHUNK_WORDS

SCORE_DEVIATION = 0.1
"""Standard deviation of initial scores; with `SCORE_RATE` it sets how soon a weight can change level."""
SCORE_RATE = 2.0
"""Learning rate of scores relative to that of biases, of the encoder and of trained weights. With NeRV's
decoder and small layers trained, Muon was ahead of Adam by 0.6 dB (Bunny) and 0.8 dB (Carphone) in 12 epochs;
with random weights alone, by 0.02 dB. Boosts for few steps do not help scores as they help weights."""


class _Levels(torch.autograd.Function):
    """Scores -> number of masks with each weight; the gradient passes straight through to the scores."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, thresholds: Tensor) -> Tensor:
        levels = torch.zeros_like(scores)
        for threshold in thresholds:
            levels += scores >= threshold
        return levels

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _MaskedWeight(torch.autograd.Function):
    """random x sums[level]; each mask passes its gradient straight through to the level."""

    @staticmethod
    def forward(ctx: Any, levels: Tensor, sums: Tensor, random: Tensor) -> Tensor:
        whole = levels.to(torch.int64)
        ctx.save_for_backward(whole, sums, random)
        return random * sums[whole]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        whole, sums, random = ctx.saved_tensors
        towards_random = gradients[0] * random
        # Sums over a level, unlike index_add, are deterministic.
        to_sums = torch.stack([(towards_random * (whole == level)).sum() for level in range(len(sums))])
        return towards_random * (sums[-1] - sums[0]), to_sums, None


def score_thresholds(scores: Tensor, kept: tuple[int, ...]) -> Tensor:
    """For each mask, the lowest of the `kept` highest scores (kept > 0); equal scores are kept together."""
    flat = scores.detach().flatten()
    ranks = [len(flat) - count for count in kept]
    if flat.device.type == "cpu":
        # Selection takes a tenth of the time of a sort, and only NumPy selects several ranks at once.
        return torch.from_numpy(np.partition(flat.numpy(), ranks)[ranks])
    ordered = flat.sort().values
    return torch.stack([ordered[rank] for rank in ranks])


def masked_decoder(
    config: SupermaskConfig, video: VideoInfo, tensors: Mapping[str, Tensor]
) -> PerFrameDecoder:
    """A decoder whose weights are rebuilt once, from the seed, the levels and the scales."""
    levels = {f"{layer.name}.levels" for layer in config.convolutions}
    others = {name: value for name, value in tensors.items() if name not in levels}
    weights = {**others, **_decoded_weights(config, tensors)}
    return PerFrameDecoder(
        video.frame_count,
        lambda positions: {"embedding": _embeddings(config, video, others, positions)},
        lambda values: upsample(config.convolutions, weights, values["embedding"], config.grid, video),
    )


def _decoded_weights(config: SupermaskConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same as `masked_weights`, in little more memory than the result: there may be 2^27 weights."""
    weights = {}
    device = tensors[f"{config.convolutions[config.masked[0]].name}.levels"].device
    for index, sums in zip(config.masked, _sums(config, tensors, device), strict=True):
        layer = config.convolutions[index]
        levels = tensors[f"{layer.name}.levels"]
        weight = torch.from_numpy(random_layer(config, index)).to(device)
        pieces = [torch.split(one.reshape(-1), CHUNK_WORDS) for one in (weight, levels)]
        for part, level in zip(*pieces, strict=True):
            part *= sums[level.to(torch.int64)]
        weights[f"{layer.name}.weight"] = weight
    return weights


def _sums(config: SupermaskConfig, tensors: Mapping[str, Tensor], device: torch.device) -> tuple[Tensor, ...]:
    """For each random layer, the factors of its weights of each level 0..N, (N + 1,).

    Alphas are added in this order so that every device gets the same bits.
    """
    if config.scales == "fixed":
        shape = len(config.masked), len(config.densities)
        scales = torch.full(shape, config.initial_scale, device=device)
    else:
        scales = tensors["scales"].float()
    alphas = scales.unbind(1)
    sums = [alphas[0] if config.has_offset else torch.zeros_like(alphas[0])]
    for alpha in alphas[1 if config.has_offset else 0 :]:
        sums.append(sums[-1] + alpha)
    return torch.stack(sums, 1).unbind(0)


def _embeddings(
    config: SupermaskConfig, video: VideoInfo, tensors: Mapping[str, Tensor], positions: Tensor
) -> Tensor:
    """Inputs of the network for the frames at `positions` (B,): (B, channels, h, w)."""
    if config.decoder == "hnerv":
        return frames_at(tensors["embedding"], positions)
    return position_encoding(positions, video.frame_count, NERV_BASE, config.embedding_channels // 2)


class MaskedTrainable(Trainable):
    """Parameters whose scores are transmitted as levels, which follow from the ranks of the scores."""

    def __init__(
        self, parameters: Mapping[str, Tensor], encoder: FrameEncoder | None, config: SupermaskConfig
    ) -> None:
        super().__init__(parameters, encoder)
        self._config = config

    def shared(self) -> dict[str, Tensor]:
        """See `Trainable.shared`."""
        values: dict[str, Tensor] = {}
        named = self.tensors()
        for index in self._config.masked:
            layer = self._config.convolutions[index]
            scores = named.pop(f"{layer.name}.scores")
            thresholds = score_thresholds(scores, self._config.kept(layer))
            values[f"{layer.name}.levels"] = _Levels.apply(scores, thresholds)  # type: ignore[no-untyped-call]
        return values | named

    def start(self, values: Mapping[str, Tensor]) -> None:
        """See `Trainable.start`; the initial scores are reordered so that they give these levels."""
        for name, value in self.tensors().items():
            if not name.endswith(".scores"):
                value.data.copy_(values[name])
                continue
            levels, scores = values[name.replace(".scores", ".levels")].flatten(), value.data.flatten()
            by_score = scores.argsort()
            order = by_score[levels[by_score].argsort(stable=True)]
            scores[order] = scores.sort().values
            value.data.copy_(scores.view_as(value))


class SupermaskRepresentation:
    """Trains scores, scales, biases, weights of small layers, and the encoder that makes embeddings."""

    def __init__(self, config: SupermaskConfig, video: VideoInfo, seed: int) -> None:
        self._config, self._video = config, video
        self._frozen = frozen_weights(config, torch.device("cpu"))
        generator = torch.Generator().manual_seed(seed)
        parameters: dict[str, Tensor] = {}
        for index, layer in enumerate(config.convolutions):
            if index in config.trained:
                parameters[f"{layer.name}.weight"] = initial_weight(layer, generator)
            else:
                scores = torch.empty(layer.weight_shape).normal_(0, SCORE_DEVIATION, generator=generator)
                parameters[f"{layer.name}.scores"] = scores
            if config.biases:
                parameters[f"{layer.name}.bias"] = torch.zeros(layer.bias_count)
        if config.scales != "fixed":
            parameters["scales"] = torch.tensor([config.initial_scales] * len(config.masked))
        hybrid = config.decoder == "hnerv"
        encoder = FrameEncoder(config.grid, config.embedding_channels, generator) if hybrid else None
        self.module = MaskedTrainable(parameters, encoder, config)

    def groups(self) -> tuple[ParameterGroup, ...]:
        scores = {id(value) for name, value in self.module.tensors().items() if name.endswith(".scores")}
        matrices, others = capped_groups(self.module, self._config.width, MANY_STEPS)
        chosen = tuple(one for one in others.parameters if id(one) in scores)
        rest = tuple(one for one in others.parameters if id(one) not in scores)
        return (
            ParameterGroup(chosen, SCORE_RATE, SCORE_RATE * others.highest_rate, are_matrices=True),
            matrices,
            replace(others, parameters=rest),
        )

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        if self.module.encoder is not None:
            values["embedding"] = self.module.embed(frames)
        return values | self.module.shared()

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        self._frozen = {name: value.to(indices.device) for name, value in self._frozen.items()}
        weights = masked_weights(self._config, tensors, self._frozen)
        if self._config.decoder == "hnerv":
            # Already those of the frames at `indices`.
            embedding = tensors["embedding"]
        else:
            embedding = _embeddings(self._config, self._video, tensors, indices)
        layers, grid = self._config.convolutions, self._config.grid
        return upsample(layers, {**tensors, **weights}, embedding, grid, self._video)


def frozen_weights(config: SupermaskConfig, device: torch.device) -> dict[str, Tensor]:
    """The random weights by layer name, on `device`."""
    return {
        config.convolutions[index].name: torch.from_numpy(random_layer(config, index)).to(device)
        for index in config.masked
    }


def masked_weights(
    config: SupermaskConfig, tensors: Mapping[str, Tensor], frozen: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """`LAYER.weight` of every random convolution, from levels, scales and random weights."""
    weights = {}
    device = next(iter(frozen.values())).device
    for index, sums in zip(config.masked, _sums(config, tensors, device), strict=True):
        name = config.convolutions[index].name
        levels = tensors[f"{name}.levels"]
        weights[f"{name}.weight"] = _MaskedWeight.apply(levels, sums, frozen[name])  # type: ignore[no-untyped-call]
    return weights
