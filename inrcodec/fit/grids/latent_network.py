"""The network of `models.inrc.latent_network` in PyTorch, for all channels of many blocks at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec.fit.grids.entropy import logarithms
from inrcodec.models.inrc.contexts import LARGEST_MAGNITUDE
from inrcodec.models.inrc.frequencies import CHANNELS, FIRST_CHANNELS, KERNEL_SIDES, ORDER, component_of
from inrcodec.models.inrc.latent_contexts import part_channels
from inrcodec.models.inrc.latent_network import (
    COUNTS,
    LARGEST_HIDDEN,
    OUTPUT_SHIFT,
    RECENT,
    SHIFT,
    NetworkCount,
    higher_weights,
    latent_networks,
    near_weights,
    same_weights,
)
from inrcodec.models.inrc.shapes import LatentFeature

NEIGHBOURS = ((0, 1), (2, 1), (1, 0), (1, 2))
"""Row and column offsets of a block's four neighbours in a plane with a border of one block."""
BLOCKS_AT_ONCE, GPU_BLOCKS_AT_ONCE = 1 << 11, 1 << 16
"""Blocks whose counts are in memory together, about 0.5 MB for each count in luma, and on a GPU 16 MB."""
EVERYTHING = slice(None)

Cells = tuple[Tensor, ...]
"""Frames, rows and columns of blocks, each (n,)."""


class NetworkTerms(nn.Module):
    """The terms that the network adds to class sums, in knots."""

    before: Tensor
    recent: Tensor
    same: Tensor
    higher: Tensor
    near: Tensor

    def __init__(self) -> None:
        super().__init__()
        before, recent, same, higher, near = (torch.zeros(CHANNELS, CHANNELS) for _ in range(5))
        for component, (first, side) in enumerate(zip(FIRST_CHANNELS, KERNEL_SIDES, strict=True)):
            own = slice(first, first + side * side)
            same[own, own] = torch.from_numpy(same_weights(side))
            higher[own, own] = torch.from_numpy(higher_weights(side))
            before[own, own] = 1 - higher[own, own]
            if component:
                near[own] = torch.from_numpy(near_weights(component))
        for place, channel in enumerate(ORDER):
            for one in ORDER[max(0, place - RECENT) : place]:
                recent[channel, one] = float(component_of(one) == component_of(channel))
        names = ("before", "recent", "same", "higher", "near")
        for name, matrix in zip(names, (before, recent, same, higher, near), strict=True):
            self.register_buffer(name, matrix)
        for part, network in enumerate(latent_networks()):
            for name in ("counts", "channels", "kinds", "outputs"):
                self.register_buffer(f"{name}_{part}", torch.from_numpy(getattr(network, name)))

    @torch.no_grad()
    def forward(
        self,
        known: Mapping[LatentFeature, Tensor],
        symbols: Tensor,
        references: Tensor,
        levels: Tensor,
        part: int,
        cells: Cells,
    ) -> Tensor:
        """Terms (n, channels) of a part's latents at the n blocks `cells`.

        See `LatentEntropy.places` and, for `known`, `logarithms`.
        """
        kinds, channels = levels.clamp(max=2)[cells[0]], part_channels(part)
        found = torch.zeros(len(kinds), channels.stop - channels.start, device=kinds.device)
        most = BLOCKS_AT_ONCE if kinds.is_cpu else GPU_BLOCKS_AT_ONCE
        for start in range(0, len(kinds), most):
            some = slice(start, start + most)
            mine = tuple(axis[some] for axis in cells)
            logs = self.logarithms(known, symbols, references, part, mine, some)
            found[some] = self._terms(logs, kinds[some], part)
        return found

    def logarithms(
        self,
        known: Mapping[LatentFeature, Tensor],
        symbols: Tensor,
        references: Tensor,
        part: int,
        cells: Cells,
        some: slice = EVERYTHING,
    ) -> Tensor:
        """The logarithms of a part's counts at the n blocks `cells`: (counts, n, channels), in 1/16.

        `known` are those of `LatentEntropy.logarithms`, (m, channels) or (m, 1) each, in units of 1.
        The slice `some` of them belongs to `cells`. `symbols` and `references` are as for
        `LatentEntropy.places`.
        """
        frames, rows, columns = cells
        channels = part_channels(part)
        own = symbols[frames, :, rows, columns].abs().clamp(max=LARGEST_MAGNITUDE).float()
        bordered = F.pad(references[:, channels], (1, 1, 1, 1))
        told = bordered[frames, :, rows + 1, columns + 1].float()
        around = sum(bordered[frames, :, rows + down, columns + across] for down, across in NEIGHBOURS)
        told_around = around.float()  # type: ignore[union-attr]
        same, higher = self.same[channels, channels].T, self.higher[channels, channels].T
        flags = symbols[:, channels].ne(0).any(1).float()
        near_flags = F.avg_pool2d(flags[:, None], 5, 1, 2, divisor_override=1)[:, 0]
        counts = {
            NetworkCount.NONZERO: (own[:, channels] > 0).float() @ self.before[channels, channels].T,
            NetworkCount.RECENT: own[:, channels] @ self.recent[channels, channels].T,
            NetworkCount.REFERENCE_SAME: told @ same,
            NetworkCount.REFERENCE_HIGHER: told @ higher,
            NetworkCount.REFERENCE_SAME_AROUND: told_around @ same,
            NetworkCount.REFERENCE_HIGHER_AROUND: told_around @ higher,
            NetworkCount.FLAGS_AROUND: cross_sum(flags)[cells][:, None],
            NetworkCount.FLAGS_NEAR: near_flags.round()[cells][:, None],
        }
        if part:
            is_second = torch.arange(CHANNELS, device=own.device)[channels] >= FIRST_CHANNELS[2]
            first = own[:, FIRST_CHANNELS[1] : FIRST_CHANNELS[2]].sum(1, keepdim=True)
            counts |= {
                NetworkCount.LUMA: own[:, part_channels(0)].sum(1, keepdim=True),
                NetworkCount.COMPONENTS_NEAR: own @ self.near[channels].T,
                NetworkCount.FIRST_CHROMA: first * is_second,
            }
        shape = len(frames), channels.stop - channels.start
        found = torch.empty(COUNTS[part], *shape, device=own.device)
        for feature, log in known.items():
            found[NetworkCount[feature.name]] = 16 * log[some]
        for count, values in counts.items():
            found[count] = 16 * logarithms(values)
        return found

    def _terms(self, logs: Tensor, kinds: Tensor, part: int) -> Tensor:
        """Terms (n, channels) from the `logarithms` (counts, n, channels)."""
        weights, outputs = self.get_buffer(f"counts_{part}"), self.get_buffer(f"outputs_{part}")
        # Hidden units come first: products of matrices and sums are then over whole rows.
        hidden = (weights.T @ logs.flatten(1)).view(-1, *logs.shape[1:])
        hidden += self.get_buffer(f"channels_{part}")[part_channels(part)].T[:, None]
        hidden += self.get_buffer(f"kinds_{part}")[kinds].T[:, :, None]
        hidden.mul_(1 / (1 << SHIFT)).floor_().clamp_(0, LARGEST_HIDDEN)
        output = (outputs @ hidden.flatten(1)).view(logs.shape[1:])
        return output.mul_(1 / (1 << OUTPUT_SHIFT)).floor_().mul_(1 / 1024)


def cross_sum(planes: Tensor) -> Tensor:
    """The sum of the four neighbours of each block, (B, h, w)."""
    bordered = F.pad(planes, (1, 1, 1, 1))
    height, width = planes.shape[1:]
    parts = [bordered[:, down : down + height, across : across + width] for down, across in NEIGHBOURS]
    return torch.stack(parts).sum(0)
