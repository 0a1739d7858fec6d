"""Global unstructured pruning with fine-tuning: the smallest weights become zero and stay zero.

Late in a fit, a given share of all weights, those with the smallest magnitudes across all layers, is set to
zero. Training of the others continues (HNeRV, section 3.2 and appendix A.2; NeRV, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inrcodec.models.family import ParameterGroup, Representation, TensorSpec, prunable_weights
from inrcodec.models.source import SourceFrames


class PrunedRepresentation:
    """A representation that transmits its smallest weights as zeros once `prune` was called.

    Only the weights that `prunable_weights` names are counted and pruned. The gradient of a pruned weight is
    zero; an optimiser may still change the parameter, but that has no effect.
    """

    def __init__(self, representation: Representation, specs: Sequence[TensorSpec], share: float) -> None:
        """`share` of the weights of `specs`, rounded to whole weights, will be pruned."""
        self._names = prunable_weights(specs)
        self._representation, self._share = representation, share if self._names else 0.0
        self._kept: dict[str, Tensor] | None = None

    @property
    def is_pruned(self) -> bool:
        """Whether `prune` has chosen the weights; always true for a share of 0."""
        return self._kept is not None or not self._share

    @property
    def module(self) -> nn.Module:
        return self._representation.module

    def groups(self) -> tuple[ParameterGroup, ...]:
        return self._representation.groups()

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        values = self._representation.transmitted(frames, indices)
        for name, kept in (self._kept or {}).items():
            values[name] = values[name] * kept
        return values

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return self._representation.render(tensors, indices)

    def prune(self, values: Mapping[str, Tensor]) -> None:
        """Choose the weights to prune by their current `values`."""
        self._kept = masks({name: values[name].detach() for name in self._names}, self._share)

    def state_dict(self) -> dict[str, Any]:
        """The masks of pruned weights only; the weights are in the state of `module`."""
        return {"kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept = state["kept"]


def masks(weights: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """For each tensor, 1 where a weight is kept and 0 where it is among the smallest `share` of all weights.

    Exactly `share` times the number of weights, rounded, are 0; among equal magnitudes the first are.
    """
    if not weights:
        return {}
    magnitudes = torch.cat([value.abs().flatten() for value in weights.values()])
    kept = torch.ones_like(magnitudes)
    kept[magnitudes.argsort(stable=True)[: round(share * len(magnitudes))]] = 0
    parts = torch.split(kept, [value.numel() for value in weights.values()])
    return {name: part.view(weights[name].shape) for name, part in zip(weights, parts, strict=True)}
