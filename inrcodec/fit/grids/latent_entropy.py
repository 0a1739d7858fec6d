"""The entropy model of latents and their coded-block flags in PyTorch; see `fit.grids.entropy`.

Its contexts are those of `models.inrc.latent_contexts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitstream.coders.conditional import QUARTERS, class_count
from inrcodec.fit.grids.entropy import ZERO_KNOT, EntropyModel, listed, logarithms, sections_of, shapes_of
from inrcodec.fit.grids.latent_network import NEIGHBOURS, Cells, NetworkTerms, cross_sum
from inrcodec.fit.grids.rated_blocks import set_cells
from inrcodec.models.inrc.contexts import LARGEST_MAGNITUDE
from inrcodec.models.inrc.frequencies import (
    CHANNELS,
    GROUPS,
    ORDER,
    component_neighbours,
    component_of,
    frequency_neighbours,
)
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.latent_contexts import PARTS, part_channels
from inrcodec.models.inrc.shapes import KNOTS, FlagFeature, LatentFeature

LAST_CLASS = class_count(KNOTS) - 1


class LatentEntropy(EntropyModel):
    """The entropy model of latents and their flags."""

    sections = sections_of("latent", ("bias", "level", "weight", "knots")) | {
        f"flag_{name}": f"context.flag.{name}" for name in ("bias", "level", "weight")
    }
    bias: nn.Parameter
    level: nn.Parameter
    weight: nn.Parameter
    knots: nn.Parameter
    flag_bias: nn.Parameter
    flag_level: nn.Parameter
    flag_weight: nn.Parameter
    lower: Tensor
    earlier: Tensor
    other: Tensor
    groups: Tensor

    def __init__(self, tree: Hierarchy, version: int) -> None:
        super().__init__(tree.level_count, version)
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
        self.register_buffer("groups", torch.tensor(GROUPS))
        self.network = NetworkTerms() if version >= 1 else None

    def places(self, symbols: Tensor, references: Tensor, levels: Tensor, part: int, cells: Cells) -> Tensor:
        """Positions of a part's latents on the scale of classes, (n, channels); the class is the floor.

        Contexts are computed from `symbols` (B, 96, h, w) and `references` (B, 96, h, w), the frames'
        `reference_magnitudes`. `levels` (B,) are the frames' hierarchy levels, `cells` the n blocks.
        """
        return self._places(self._known(symbols, references, levels, part, cells))

    @torch.no_grad()
    def _known(self, symbols: Tensor, references: Tensor, levels: Tensor, part: int, cells: Cells) -> _Known:
        """Compute what does not depend on the parameters; see `places` for the arguments."""
        logs = self.logarithms(symbols, references, part, cells)
        terms = None
        if self.network is not None:
            terms = self.network(logs, symbols, references, levels, part, cells)
        return _Known(part_channels(part), levels, cells[0], logs, terms)

    def _places(self, known: _Known) -> Tensor:
        """`places` from what is known of the blocks."""
        channels, levels = known.channels, known.levels
        weights = self.weight[self.groups[channels]]
        biases = (self.bias[levels.clamp(max=2)] + self.level[levels][:, None])[:, channels]
        sums = listed(biases, known.frames) + sum(
            logs * weights[:, feature] for feature, logs in known.logs.items()
        )
        if known.terms is not None:
            sums = sums + known.terms
        return (QUARTERS * (sums + ZERO_KNOT)).clamp(0, LAST_CLASS + 0.999)

    def logarithms(
        self, symbols: Tensor, references: Tensor, part: int, cells: Cells
    ) -> dict[LatentFeature, Tensor]:
        """The logarithms of the counts of the weighted sum, (n, channels) or (n, 1) each.

        See `places` for the arguments.
        """
        channels, (frames, rows, columns) = part_channels(part), cells
        cut = symbols.abs().clamp(max=LARGEST_MAGNITUDE)
        own = cut[frames, :, rows, columns].float()
        bordered = F.pad(cut[:, channels], (1, 1, 1, 1))
        around = sum(bordered[frames, :, rows + down, columns + across] for down, across in NEIGHBOURS)
        here, beside = own[:, channels], around.float()  # type: ignore[union-attr]
        lower, earlier = self.lower[channels, channels].T, self.earlier[channels, channels].T
        counts = {
            LatentFeature.LOWER: here @ lower,
            LatentFeature.EARLIER: here @ earlier,
            LatentFeature.LOWER_AROUND: beside @ lower,
            LatentFeature.EARLIER_AROUND: beside @ earlier,
            LatentFeature.REFERENCES: reference_counts(references)[cells][:, None],
        }
        if part:
            counts[LatentFeature.COMPONENTS] = own @ self.other[channels].T
        return {feature: logarithms(count) for feature, count in counts.items()}

    def flag_bits(self, symbols: Tensor, references: Tensor, levels: Tensor) -> list[Tensor]:
        """Bits of the values 0 and 1 of each flag, (B, h, w, 2) for each part, differentiable.

        See `places` for the arguments.
        """
        return self._flag_bits(self._known_flags(symbols, references), levels)

    @torch.no_grad()
    def _known_flags(self, symbols: Tensor, references: Tensor) -> list[dict[FlagFeature, Tensor]]:
        """Logarithms of the counts of flags, (B, h, w), for each part."""
        half = _checkerboard(symbols)
        luma, reference = _totals(symbols[:, part_channels(0)]), reference_counts(references)
        found = []
        for part in range(len(PARTS)):
            beside = 4 * cross_sum(flags_of(symbols, part).float()) * half
            counts = {FlagFeature.REFERENCES: reference, FlagFeature.FLAGS_AROUND: beside}
            if part:
                counts |= {FlagFeature.LUMA: luma, FlagFeature.LUMA_AROUND: cross_sum(luma)}
            found.append({feature: logarithms(count) for feature, count in counts.items()})
        return found

    def _flag_bits(self, known: Sequence[Mapping[FlagFeature, Tensor]], levels: Tensor) -> list[Tensor]:
        """`flag_bits` from the logarithms of counts."""
        half, shapes, found = _checkerboard(known[0][FlagFeature.REFERENCES]), shapes_of(self.knots), []
        kinds = self.flag_bias[levels.clamp(max=2)] + self.flag_level[levels][:, None]
        for part, all_logs in enumerate(known):
            weights = self.flag_weight[2 * part + half]
            sums = kinds[:, 2 * part + half] + sum(
                logs * weights[..., feature] for feature, logs in all_logs.items()
            )
            places = QUARTERS * (sums + ZERO_KNOT) - 0.5
            found.append(shapes.flags_between(places.clamp(0, LAST_CLASS)))
        return found

    def bits(self, symbols: Tensor, references: Tensor, levels: Tensor) -> Tensor:
        """Bits of all latents `symbols` (B, 96, h, w) and their flags, differentiable by the parameters."""
        return self.prepared_bits(symbols, references, levels)()

    def prepared_bits(
        self,
        symbols: Tensor,
        references: Tensor,
        levels: Tensor,
        weights: Tensor | None = None,
        counts: Sequence[int] | None = None,
    ) -> Callable[[], Tensor]:
        """A function that computes `bits` by the parameters at the time; their contexts are computed once.

        `weights` (B,) are factors on the bits of each frame. `counts` are the set flags of each part,
        for which a host waits if they are not known.
        """
        parts, known_flags = [], self._known_flags(symbols, references)
        for part in range(len(PARTS)):
            flags = flags_of(symbols, part)
            frames, rows, columns = cells = set_cells(flags, counts[part] if counts else None)
            known = self._known(symbols, references, levels, part, cells)
            magnitudes = symbols[:, part_channels(part)][frames, :, rows, columns].abs().float()
            parts.append((flags, known, magnitudes))

        def bits() -> Tensor:
            total, shapes = torch.zeros((), device=symbols.device), shapes_of(self.knots)
            of_parts = zip(parts, self._flag_bits(known_flags, levels), strict=True)
            for (flags, known, magnitudes), flag_bits in of_parts:
                places = self._places(known) - 0.5
                of_flags = torch.where(flags, flag_bits[..., 1], flag_bits[..., 0])
                of_latents = shapes.between(magnitudes, places.clamp(0, LAST_CLASS))
                if weights is not None:
                    of_flags = of_flags.sum((1, 2)) * weights
                    of_latents = of_latents.sum(1) * weights[known.frames]
                total = total + of_flags.sum() + of_latents.sum()
            return total

        return bits


@dataclass(frozen=True)
class _Known:
    """All that the places of a part's latents at n blocks depend on is here, except the parameters."""

    channels: slice
    levels: Tensor
    """(B,): levels of the frames."""
    frames: Tensor
    """(n,): the frame of each block, of the B."""
    logs: Mapping[LatentFeature, Tensor]
    """Logarithms of counts, (n, channels) or (n, 1)."""
    terms: Tensor | None
    """The network's terms (n, channels)."""


def _checkerboard(planes: Tensor) -> Tensor:
    """The pass, 0 or 1, that codes the flag of each block, (h, w); `planes` are (..., h, w)."""
    row, column = (torch.arange(size, device=planes.device) for size in planes.shape[-2:])
    return (row[:, None] + column) % 2


def flags_of(symbols: Tensor, part: int) -> Tensor:
    """Whether each block has non-zero latents of a part: (B, 96, h, w) -> (B, h, w)."""
    return symbols[:, part_channels(part)].ne(0).any(1)


def reference_magnitudes(latents: Tensor, references: Tensor) -> Tensor:
    """The clipped magnitudes of both reference frames together: (B, 96, h, w), int16.

    `latents` (T, 96, h, w) are those of all frames, `references` (B, 2) as in `Hierarchy`.
    """
    first, second = (
        latents[reference.clamp(min=0)].abs().clamp(max=LARGEST_MAGNITUDE) for reference in references.T
    )
    return ((first + second) * (references[:, :1] >= 0)[..., None, None]).to(torch.int16)


def reference_counts(references: Tensor) -> Tensor:
    """The sixth count, whole numbers (B, h, w), from the `reference_magnitudes` (B, 96, h, w)."""
    total = references.sum(1).float()
    square = F.avg_pool2d(total[:, None], 3, 1, 1, divisor_override=1)[:, 0]
    return ((9 * total + 2 * square).round() / 18).floor()


def _totals(symbols: Tensor) -> Tensor:
    """Sums of clipped magnitudes over channels: (B, C, h, w) -> (B, h, w)."""
    return symbols.abs().clamp(max=LARGEST_MAGNITUDE).sum(1).float()
