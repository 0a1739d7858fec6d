"""Fits the refining network to the decoded frames, with the bits of its weights in the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bitstream import Section
from inrcodec.coding.sections import Steps, encode_section
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.quantiser import Quantiser, Rounding
from inrcodec.fit.training.adam import Adam
from inrcodec.fit.training.clock import Clock, cosine_with_warmup
from inrcodec.models.inrc.planes import Planes, stacked
from inrcodec.models.inrc.quads import refine, to_quads
from inrcodec.models.inrc.shapes import QUAD_CHANNELS, network_specs
from inrcodec.system.device import autocast

RATE, STEP_RATE = 4e-3, 2e-2
BATCH_PIXELS = 1 << 18
"""Approximate pixels of the patches of one step."""
LONGEST_SIDE = 512
"""Maximum side of a patch, pixels; even."""
FIRST_BITS = 7.0
"""Bits per weight for which the first quantisation steps are chosen."""
ROUNDED_FROM = 0.6
"""Fraction of the fit after which weights are rounded instead of having noise added."""
CHECKS = 4
"""Batches that decide whether the network is kept."""
COLOURS_OF_A_QUAD = 12


class RefiningFit:
    """The network's weights and their learned quantisation steps."""

    def __init__(
        self, segment: SegmentPlanes, seed: int, start: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        """`start` are the initial weights; None for random ones."""
        self._segment = segment
        self._specs = network_specs(segment.config.width)
        self._generator = torch.Generator().manual_seed(seed)
        self.weights: dict[str, nn.Parameter] = {}
        for spec in self._specs:
            value = torch.zeros(spec.shape)
            if spec.name == "refine.first.weight":
                value.normal_(std=math.sqrt(2 / (QUAD_CHANNELS * 9)), generator=self._generator)
            # All-zero weights, those of a network that was not kept, would have no gradients.
            if start is not None and start["refine.first.weight"].any():
                value = torch.from_numpy(start[spec.name])
            self.weights[spec.name] = nn.Parameter(value.to(segment.device))
        self.quantiser = Quantiser(self._specs, self.weights, FIRST_BITS).to(segment.device)

    def run(
        self,
        frames: Mapping[int, Planes],
        price: float,
        clock: Clock,
        dtype: torch.dtype,
        report: Callable[[float, float, float, int], None],
    ) -> int:
        """Minimise squared error plus `price` times bits until `clock` ends; returns the number of steps.

        `frames` are the decoded planes of each frame. `report` gets the fraction of the fit done, the mean
        squared error, the network's bits and the number of steps.
        """
        if not self._specs:
            return 0
        segment = self._segment
        total = segment.frame_count * 3 * segment.height * segment.width
        parameters = [*self.weights.values()]
        optimizer = Adam(
            [{"params": parameters, "lr": RATE}, {"params": self.quantiser.parameters(), "lr": STEP_RATE}]
        )
        rates = [group["lr"] for group in optimizer.param_groups]
        noise = torch.Generator(device=segment.device).manual_seed(0)
        step = 0
        while (fraction := clock.fraction(step)) < 1:
            factor = cosine_with_warmup(fraction)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            rounding = Rounding.STRAIGHT_THROUGH if fraction >= ROUNDED_FROM else Rounding.NOISE
            quantised = self.quantiser(self.weights, rounding, noise)
            error = self._error(*self._patches(frames), quantised.tensors, dtype)
            optimizer.zero_grad()
            (error + price / total * quantised.bits).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            report(clock.fraction(step), float(error.detach()), float(quantised.bits.detach()), step)
        self._forget_if_worse(frames, price / total, dtype)
        return step

    @torch.no_grad()
    def _forget_if_worse(self, frames: Mapping[int, Planes], price: float, dtype: torch.dtype) -> None:
        """Set all weights to zero if the network is not worth its bits, as after too few steps."""
        quantised = self.quantiser(self.weights, Rounding.STRAIGHT_THROUGH)
        saved = 0.0
        for _ in range(CHECKS):
            patches = self._patches(frames)
            saved += float(self._error(*patches, {}, dtype) - self._error(*patches, quantised.tensors, dtype))
        if saved / CHECKS <= price * float(quantised.bits):
            for weight in self.weights.values():
                weight.data.zero_()

    def _error(
        self, source: Tensor, decoded: Tensor, weights: Mapping[str, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Squared error of planes per pixel and colour; see `_patches`."""
        with autocast(self._segment.device, dtype):
            refined = refine(decoded, weights)
        return (refined - source).square().sum() / (COLOURS_OF_A_QUAD * source[:, 0].numel())

    @torch.no_grad()
    def quantised(self) -> dict[str, Tensor]:
        """The weights as a decoder would have them."""
        # A separate generator, so that previews do not change the fit.
        own = torch.Generator(device=self._segment.device).manual_seed(0)
        return self.quantiser(self.weights, Rounding.STRAIGHT_THROUGH, own).tensors  # type: ignore[no-any-return]

    def values(self) -> dict[str, NDArray[np.float32]]:
        return {name: value.detach().cpu().numpy() for name, value in self.weights.items()}

    def steps(self) -> dict[str, Steps]:
        return self.quantiser.steps()

    def _patches(self, frames: Mapping[int, Planes]) -> tuple[Tensor, Tensor]:
        """Quads (B, 6, h / 2, w / 2) of source and decoded frames, at the same random positions."""
        segment = self._segment
        count, height, width = _patch_sizes(segment)
        picked = torch.randperm(segment.frame_count, generator=self._generator)[:count].tolist()
        sources: list[Planes] = []
        decoded: list[Planes] = []
        for frame in picked:
            top, left = self._place(segment.height - height), self._place(segment.width - width)
            source = segment.planes([frame]).frames()[0]
            for planes, patches in ((source, sources), (frames[frame], decoded)):
                patches.append(_patch(planes, top, left, height, width))
        return to_quads(stacked(sources)), to_quads(stacked(decoded))

    def _place(self, spare: int) -> int:
        """A random even offset of a patch, 0 to `spare` pixels."""
        return int(torch.randint(spare // 2 + 1, (), generator=self._generator)) * 2


def coded_network(width: int, fit: RefiningFit | None = None) -> tuple[Section, ...]:
    """The sections of the network with `width` channels; without a `fit`, its weights are zero."""
    specs = network_specs(width)
    if fit is None:
        return tuple(encode_section(spec, np.zeros(spec.shape, np.float32), 1.0) for spec in specs)
    values, steps = fit.values(), fit.steps()
    return tuple(encode_section(spec, values[spec.name], steps[spec.name]) for spec in specs)


def _patch_sizes(segment: SegmentPlanes) -> tuple[int, int, int]:
    """Number, height and width of the patches of one step."""
    height, width = min(segment.height, LONGEST_SIDE), min(segment.width, LONGEST_SIDE)
    return min(segment.frame_count, max(1, round(BATCH_PIXELS / (height * width)))), height, width


def share_of_a_step(segment: SegmentPlanes) -> float:
    """Pixels of one step, as a fraction of all pixels of the segment."""
    count, height, width = _patch_sizes(segment)
    return count * height * width / (segment.frame_count * segment.height * segment.width)


def _patch(planes: Planes, top: int, left: int, height: int, width: int) -> Planes:
    """A part of a frame's planes; all arguments are even numbers of luma pixels."""
    luma = planes.luma[:, top : top + height, left : left + width]
    top, left, height, width = top // 2, left // 2, height // 2, width // 2
    return Planes(luma, planes.chroma[:, top : top + height, left : left + width]).map(Tensor.float)
