"""The entropy models of `inrc` as torch sees them: bits of symbols, differentiable, and their fit.

The classes and shapes are those of `models.contexts` and `bitstream.coders.conditional`; parameters are
floats here and are rounded to the integers of the file by `parameters`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.models.context_prior import context_prior
from inrcodec.models.contexts import GROUPS, LOG_TABLE, ORDER
from inrcodec.models.frequencies import component_neighbours, component_of, frequency_neighbours
from inrcodec.models.hierarchy import Hierarchy
from inrcodec.models.inrc import CHANNELS, KNOTS, MOTION_CHANNELS
from inrcodec.models.prediction import doubled

SCALES = {"bias": 16, "level": 16, "weight": 64, "knots": 16}
"""Of the parameters as integers; see `compression.contextual`."""
BITS_OF_A_DOUBLING = 0.75
"""Of the square of what a parameter differs by from the usual."""
OFFSET = 8.0
"""Knot of a sum of zero."""
QUARTERS = 4
LARGEST_COUNTED = 15
LISTED = 16
"""Magnitudes whose bits are looked up; from 3 on they grow by the same amount each."""


@dataclass(frozen=True)
class Shapes:
    """Bits of magnitudes, by class."""

    table: Tensor
    """(classes, 16): bits of the magnitudes 0 to 15, signs included."""
    slope: Tensor
    """(classes,): bits of each further one."""

    def bits(self, magnitudes: Tensor, classes: Tensor) -> Tensor:
        """Bits of whole magnitudes, of the shape of `classes` (int64)."""
        listed = magnitudes.clamp(max=LISTED - 1).long()
        bits = self.table.reshape(-1)[classes * LISTED + listed]
        if magnitudes.numel() and magnitudes.max() >= LISTED:
            bits = bits + (magnitudes - (LISTED - 1)).clamp(min=0) * self.slope[classes]
        return bits

    def between(self, magnitudes: Tensor, places: Tensor) -> Tensor:
        """Bits at `places` between classes, 0 to classes - 1 as floats, which have gradients."""
        last = len(self.slope) - 1
        lower = places.detach().floor().clamp(0, last - 1).long()
        return torch.lerp(self.bits(magnitudes, lower), self.bits(magnitudes, lower + 1), places - lower)


def shapes_of(knots: Tensor) -> Shapes:
    """`knots` (K, 4) are log-odds in nats; see `bitstream.coders.conditional`."""
    fractions = torch.arange(QUARTERS * (len(knots) - 1) + 1, device=knots.device) / QUARTERS
    lower = fractions.floor().clamp(max=len(knots) - 2).long()
    odds = torch.lerp(knots[lower], knots[lower + 1], (fractions - lower)[:, None])
    ends, goes_on = -F.logsigmoid(odds) / math.log(2), -F.logsigmoid(-odds) / math.log(2)
    before = torch.cat([torch.zeros_like(goes_on[:, :1]), goes_on[:, :3].cumsum(1)], 1)
    sign = torch.tensor([0.0, 1, 1, 1], device=knots.device)
    first = before + ends + sign
    further = torch.arange(1, LISTED - 3, device=knots.device) * goes_on[:, 3:]
    return Shapes(torch.cat([first, first[:, 3:] + further], 1), goes_on[:, 3])


class EntropyModel(nn.Module):
    """Parameters that begin at those of `context_prior`, and count what they differ from them."""

    kind: str

    def __init__(self, level_count: int) -> None:
        super().__init__()
        prior = context_prior(level_count)
        for name in SCALES:
            integers = prior.get(f"context.{self.kind}.{name}")
            if integers is not None:
                value = torch.from_numpy(integers).float() / SCALES[name]
                self.register_parameter(name, nn.Parameter(value))
                self.register_buffer(f"usual_{name}", value.clone())

    def description_bits(self) -> Tensor:
        """About what the parameters take in the file: nothing where they are as usual, else by their size."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for name, value in self.named_parameters():
            steps = (value - self.get_buffer(f"usual_{name}")) * SCALES[name]
            total = total + BITS_OF_A_DOUBLING * torch.log2(1 + steps.square()).sum()
        return total


_LOGARITHMS = torch.from_numpy(LOG_TABLE).float() / 16


def logarithms(counts: Tensor) -> Tensor:
    """log2(count + 1), rounded down to 1/16, of whole counts."""
    return _LOGARITHMS.to(counts.device)[counts.clamp(max=len(_LOGARITHMS) - 1).long()]


class LatentEntropy(EntropyModel):
    """The entropy model of latents."""

    kind = "latent"
    bias: nn.Parameter
    level: nn.Parameter
    weight: nn.Parameter
    knots: nn.Parameter
    lower: Tensor
    earlier: Tensor
    other: Tensor
    cross: Tensor
    groups: Tensor

    def __init__(self, tree: Hierarchy) -> None:
        super().__init__(tree.level_count)
        lower, earlier, other = (torch.zeros(CHANNELS, CHANNELS) for _ in range(3))
        rank = {channel: place for place, channel in enumerate(ORDER)}
        for channel in range(CHANNELS):
            for neighbour, weight in frequency_neighbours(channel):
                lower[channel, neighbour] = weight
            for neighbour, weight in component_neighbours(channel):
                other[channel, neighbour] = weight
            for one in range(CHANNELS):
                same = component_of(one) == component_of(channel)
                earlier[channel, one] = float(same and rank[one] < rank[channel])
        self.register_buffer("lower", lower)
        self.register_buffer("earlier", earlier)
        self.register_buffer("other", other)
        self.register_buffer("cross", torch.tensor([[[[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]]]))
        self.register_buffer("groups", torch.from_numpy(np.asarray(GROUPS)).long())

    def features(self, symbols: Tensor, reference: Tensor) -> list[Tensor]:
        """Logarithms of the six counts of symbols (B, 96, h, w), each (B, h, w, 96), the last (B, h, w, 1).

        `reference` (B, h, w) is the count that comes from the frames' references; see `reference_counts`.
        """
        cut = symbols.abs().clamp(max=LARGEST_COUNTED).float()
        height, width = cut.shape[2:]
        last = cut.permute(0, 2, 3, 1).contiguous()
        around = F.conv2d(cut.reshape(-1, 1, height, width), self.cross, padding=1)
        around = around.reshape(cut.shape).permute(0, 2, 3, 1).contiguous()
        return [
            logarithms(last @ self.lower.T),
            logarithms(last @ self.earlier.T),
            logarithms(last @ self.other.T),
            logarithms(around @ self.lower.T),
            logarithms(around @ self.earlier.T),
            logarithms(reference[..., None]),
        ]

    def places(self, features: Sequence[Tensor], levels: Tensor) -> Tensor:
        """Where between the classes the symbols lie, (B, h, w, 96) from 0 on; whole parts are classes."""
        bias = self.bias[levels.clamp(max=2)] + self.level[levels][:, None]
        weights = self.weight[self.groups]
        sums = bias[:, None, None] + sum(
            feature * weights[:, number] for number, feature in enumerate(features)
        )
        last = QUARTERS * (KNOTS - 1)
        return (QUARTERS * (sums + OFFSET)).clamp(0, last + 0.999)

    def bits(self, symbols: Tensor, features: Sequence[Tensor], levels: Tensor) -> Tensor:
        """Bits of each symbol (B, h, w, 96), with gradients for the parameters."""
        places = (self.places(features, levels) - 0.5).clamp(min=0, max=QUARTERS * (KNOTS - 1))
        return shapes_of(self.knots).between(symbols.abs().permute(0, 2, 3, 1).float(), places)


def energies(symbols: Tensor) -> Tensor:
    """9 times the cut magnitudes of a block plus twice those of the 3 x 3 around, (B, h, w), whole."""
    total = symbols.abs().clamp(max=LARGEST_COUNTED).sum(1, keepdim=True).float()
    square = F.avg_pool2d(total, 3, 1, 1, divisor_override=1)
    return (9 * total + 2 * square)[:, 0].round()


def reference_counts(energy: Tensor, references: Tensor) -> Tensor:
    """The sixth count (B, h, w) of frames with these references (B, 2); `energy` (T, h, w)."""
    both = energy[references.clamp(min=0)].sum(1) * (references[:, :1] >= 0)[..., None]
    return (both / 18).floor()


class MotionEntropy(EntropyModel):
    """The entropy model of motion grids."""

    kind = "motion"
    bias: nn.Parameter
    weight: nn.Parameter
    knots: nn.Parameter
    levels: Tensor
    active: Tensor

    def __init__(self, tree: Hierarchy) -> None:
        super().__init__(tree.level_count)
        self.register_buffer("levels", torch.from_numpy(tree.levels))
        active = torch.ones(len(tree.levels), MOTION_CHANNELS)
        active[:, 2:] = torch.from_numpy(tree.has_two)[:, None]
        active[torch.from_numpy(tree.levels) == 0] = 0
        self.register_buffer("active", active[..., None, None])

    def bits(self, grids: Sequence[Tensor]) -> Tensor:
        """Bits of four grids (T, 5, h, w), which need not be whole: linear between magnitudes."""
        return torch.stack([one.sum() for one in self.bits_of_nodes(grids)]).sum()

    def bits_of_nodes(self, grids: Sequence[Tensor]) -> list[Tensor]:
        """The same for each value of each grid: four of (T, 5, h, w)."""
        shapes, found = shapes_of(self.knots), []
        parent: Tensor | None = None
        for k, grid in enumerate(grids):
            cut = grid.detach().round().abs().clamp(max=LARGEST_COUNTED)
            above = torch.zeros_like(cut) if parent is None else doubled(parent, *cut.shape[2:])
            before = torch.cat([torch.zeros_like(cut[:, :1]), cut[:, :-1]], 1)
            around = (4 * F.avg_pool2d(above, 3, 1, 1, count_include_pad=False) + 1e-3).floor()
            counts = (above, before, around, above.sum(1, keepdim=True).expand_as(cut))
            sums = self.bias.view(-1, 4, MOTION_CHANNELS)[self.levels, k][..., None, None] + sum(
                self.weight[k, number] * logarithms(count) for number, count in enumerate(counts)
            )
            places = (QUARTERS * (sums + OFFSET) - 0.5).clamp(0, QUARTERS * (KNOTS - 1))
            magnitude = grid.abs()
            lower = magnitude.detach().floor()
            bits = torch.lerp(
                shapes.between(lower, places), shapes.between(lower + 1, places), magnitude - lower
            )
            found.append(bits * self.active)
            parent = cut
        return found


def optimizer(model: LatentEntropy | MotionEntropy, rate: float = 1.0) -> torch.optim.Optimizer:
    """Adam at rates that suit biases, weights and knots."""
    biases = [model.bias, model.level] if isinstance(model, LatentEntropy) else [model.bias]
    return torch.optim.Adam(
        [
            {"params": biases, "lr": 0.1 * rate},
            {"params": [model.weight], "lr": 0.03 * rate},
            {"params": [model.knots], "lr": 0.05 * rate},
        ]
    )


def parameters(latent: LatentEntropy, motion: MotionEntropy) -> dict[str, NDArray[np.int64]]:
    """The integers that symbols are coded by, by the names of their sections."""
    found = {}
    for model in (latent, motion):
        for name, value in model.named_parameters():
            limit = 255 if name == "knots" else 32767
            whole = (value.detach().double() * SCALES[name]).round().clamp(-limit, limit).long().cpu().numpy()
            found[f"context.{model.kind}.{name}"] = np.asarray(whole, dtype=np.int64)
    return found


@torch.no_grad()
def set_parameters(
    latent: LatentEntropy, motion: MotionEntropy, integers: Mapping[str, NDArray[np.int64]]
) -> None:
    """The inverse of `parameters`."""
    for model in (latent, motion):
        for name, value in model.named_parameters():
            whole = torch.from_numpy(integers[f"context.{model.kind}.{name}"])
            value.copy_((whole / SCALES[name]).reshape(value.shape))
