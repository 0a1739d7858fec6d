"""Chooses the latents of frames without references, whose DC is predicted (`models.inrc.dc_prediction`).

The DC of a block is predicted from that of blocks chosen before, so that the residuals are chosen one
antidiagonal after the other. The best latents of all other frequencies do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from inrcodec.fit.grids.entropy import Shapes, rounded, shapes_of
from inrcodec.fit.grids.latent_entropy import LatentEntropy
from inrcodec.models.inrc.dc_prediction import DC, left_shares, scanned, skewed, unskewed
from inrcodec.models.inrc.latent_contexts import part_channels

Choose = Callable[[Tensor, int, slice], tuple[Tensor, Tensor | None]]
"""From the residuals (B, C, n) in steps that are wanted at `[..., diagonal, rows]` of skewed tensors to whole
residuals and to which blocks keep latents at all, (B, 1, n), or None if all do."""


def round_first(wanted: Tensor, steps: Tensor, rounding: float) -> Tensor:
    """Integers (B, 96, h, w) for coefficients `wanted` in `steps` (B, 1, h, w), rounded with a deadzone."""

    chosen, luma, on_host = rounded(wanted, rounding), None, steps.cpu()
    for channels in DC:
        residuals, _, luma = _scan(
            wanted[:, channels], on_host, luma, lambda residual, *_: (rounded(residual, rounding), None)
        )
        chosen[:, channels] = residuals.to(chosen.device, non_blocking=True)
    return chosen


def choose_first(
    entropy: LatentEntropy,
    wanted: Tensor,
    steps: Tensor,
    before: Tensor,
    references: Tensor,
    levels: Tensor,
    price: float,
) -> Tensor:
    """Integers (B, 96, h, w) for coefficients `wanted` in `steps` (B, 1, h, w), by rate and distortion.

    Contexts are those of the latents `before`; see `LatentEntropy.places` for the other arguments.
    """
    chosen, luma, shapes, on_host = torch.zeros_like(wanted), None, shapes_of(entropy.knots), steps.cpu()
    few = shapes.cpu()
    for part, flag_bits in enumerate(entropy.flag_bits(before, references, levels)):
        kinds = _classes(entropy, before, references, levels, part)
        saved = flag_bits[..., 0] - flag_bits[..., 1]
        of_part = _Part(shapes, few, kinds, wanted[:, part_channels(part)], saved, part, price)
        residuals, kept, luma = _scan(wanted[:, DC[part]], on_host, luma, of_part.choose)
        chosen[:, part_channels(part)] = of_part.best * kept.to(chosen.device, non_blocking=True)
        chosen[:, DC[part]] = residuals.to(chosen.device, non_blocking=True)
    return chosen


def _classes(entropy: LatentEntropy, before: Tensor, references: Tensor, levels: Tensor, part: int) -> Tensor:
    """The classes of all latents of a part, (B, channels, h, w)."""
    axes = (torch.arange(size, device=before.device) for size in before[:, 0].shape)
    cells = tuple(axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
    classes = entropy.places(before, references, levels, part, cells).long()
    return classes.view(len(before), *before.shape[2:], -1).permute(0, 3, 1, 2)


class _Part:
    """Chooses the latents of luma, or of both chroma components."""

    def __init__(
        self,
        shapes: Shapes,
        few: Shapes,
        classes: Tensor,
        wanted: Tensor,
        saved: Tensor,
        part: int,
        price: float,
    ) -> None:
        """`wanted` and their `classes` are (B, channels, h, w), the `saved` bits of flags (B, h, w).

        `few` are the `shapes` on the CPU, for the DC.
        """
        dc = slice(0, DC[part].stop - DC[part].start, DC[part].step)
        magnitudes, cost = shapes.best(wanted.abs(), classes, price)
        self.best = magnitudes * wanted.sign()
        """The best latents; those of the DC have no meaning."""
        gain = wanted.square() - cost
        gain[:, dc] = 0
        self._gain = skewed((gain.sum(1, keepdim=True) + price * saved[:, None]).cpu())
        self._classes, self._shapes, self._price = skewed(classes[:, dc].cpu()), few, price

    def choose(self, residuals: Tensor, diagonal: int, rows: slice) -> tuple[Tensor, Tensor]:
        """See `Choose`."""
        at = (..., diagonal, rows)
        magnitudes, cost = self._shapes.best(residuals.abs(), self._classes[at], self._price)
        gain = self._gain[at] + (residuals.square() - cost).sum(1, keepdim=True)
        return magnitudes * residuals.sign() * (gain > 0), gain > 0


def _scan(
    wanted: Tensor, steps: Tensor, luma: Tensor | None, choose: Choose
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose residuals for DC coefficients `wanted` (B, C, h, w), in `steps` (B, 1, h, w), on the CPU.

    `luma` is the luma DC (B, 1, h, w) for chroma, and None for luma. Returns the residuals (B, C, h, w),
    whether each block keeps its latents (B, 1, h, w), and the DC that the residuals give (B, C, h, w).
    """
    wanted = wanted.cpu()
    values, each_step = skewed(wanted * steps), skewed(steps)
    residuals, kept = torch.zeros_like(values), torch.ones_like(values[:, :1], dtype=torch.bool)

    def chosen(diagonal: int, rows: slice, prediction: Tensor) -> Tensor:
        at = (..., diagonal, rows)
        residuals[at], is_kept = choose((values[at] - prediction) / each_step[at], diagonal, rows)
        if is_kept is not None:
            kept[at] = is_kept
        return prediction + residuals[at] * each_step[at]

    shares = None if luma is None else skewed(left_shares(luma, steps))
    found = scanned(wanted.shape, shares, chosen)
    return unskewed(residuals), unskewed(kept), found
