"""Fits the refining network to the frames as they are decoded, against the bits of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.coding.sections import Steps
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
"""Of the patches of one step, about."""
LONGEST_SIDE = 512
"""Of a patch, pixels; an even number."""
FIRST_BITS = 7.0
ROUNDED_FROM = 0.6
CHECKS = 4
"""Batches on which it is decided whether there is a network at all."""
COLOURS_OF_A_QUAD = 12


class RefiningFit:
    """The network's weights, and the learned steps they are rounded to."""

    def __init__(
        self, segment: SegmentPlanes, seed: int, start: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        """`start` are values to begin with, else random ones."""
        self._segment = segment
        self._specs = network_specs(segment.config.width)
        self._generator = torch.Generator().manual_seed(seed)
        self.weights: dict[str, nn.Parameter] = {}
        for spec in self._specs:
            value = torch.zeros(spec.shape)
            if spec.name == "refine.first.weight":
                value.normal_(std=math.sqrt(2 / (QUAD_CHANNELS * 9)), generator=self._generator)
            # Weights that are all zero would stay so.
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
        """Minimise squared error plus `price` times bits until the clock ends; returns the steps made.

        `frames` are the decoded planes of each frame. `report` gets the fraction, the mean squared
        error, the network's bits and the steps made.
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
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * cosine_with_warmup(fraction)
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
        """Few steps may leave a network that is not worth its bits: then all weights are zero."""
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
        """Mean squared error of planes, of each of a pixel's three colours; see `_patches`."""
        with autocast(self._segment.device, dtype):
            refined = refine(decoded, weights)
        return (refined - source).square().sum() / (COLOURS_OF_A_QUAD * source[:, 0].numel())

    @torch.no_grad()
    def quantised(self) -> dict[str, Tensor]:
        """The weights as a file of them would have them."""
        # With a generator of its own: the fit goes on as if nobody had asked.
        own = torch.Generator(device=self._segment.device).manual_seed(0)
        return self.quantiser(self.weights, Rounding.STRAIGHT_THROUGH, own).tensors  # type: ignore[no-any-return]

    def values(self) -> dict[str, NDArray[np.float32]]:
        return {name: value.detach().cpu().numpy() for name, value in self.weights.items()}

    def steps(self) -> dict[str, Steps]:
        return self.quantiser.steps()

    def _patches(self, frames: Mapping[int, Planes]) -> tuple[Tensor, Tensor]:
        """Quads of the same places of source and decoded frames."""
        segment = self._segment
        height, width = min(segment.height, LONGEST_SIDE), min(segment.width, LONGEST_SIDE)
        count = min(segment.frame_count, max(1, round(BATCH_PIXELS / (height * width))))
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
        """Where a patch begins, an even number of pixels."""
        return int(torch.randint(spare // 2 + 1, (), generator=self._generator)) * 2


def _patch(planes: Planes, top: int, left: int, height: int, width: int) -> Planes:
    """A part of a frame's planes, in even numbers of pixels."""
    luma = planes.luma[:, top : top + height, left : left + width]
    top, left, height, width = top // 2, left // 2, height // 2, width // 2
    return Planes(luma, planes.chroma[:, top : top + height, left : left + width]).map(Tensor.float)
