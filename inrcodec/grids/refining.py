"""Fits the refining network to the frames as they are decoded, against the bits of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.compression.quantiser import Quantiser, Rounding
from inrcodec.compression.sections import Steps
from inrcodec.device import autocast
from inrcodec.grids.material import Material
from inrcodec.models.cells import to_cells
from inrcodec.models.inrc import CELL_CHANNELS, network_specs
from inrcodec.models.planes import SIDE, Planes, stacked
from inrcodec.models.reconstruction import refine
from inrcodec.training.schedule import Clock, cosine_with_warmup

RATE, STEP_RATE = 4e-3, 2e-2
BATCH_PIXELS = 1 << 18
"""Of the patches of one step, about."""
LONGEST_SIDE = 512
"""Of a patch, pixels; an even number."""
FIRST_BITS = 7.0
ROUNDED_FROM = 0.6
CHECKS = 4
"""Batches on which it is decided whether there is a network at all."""
COLOURS_OF_A_CELL = 12


class RefiningFit:
    """The network's weights, and the learned steps they are rounded to."""

    def __init__(
        self, material: Material, seed: int, start: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        """`start` are values to begin with, else random ones."""
        self._material = material
        self._specs = network_specs(material.config.width)
        self._generator = torch.Generator().manual_seed(seed)
        self.weights: dict[str, nn.Parameter] = {}
        for spec in self._specs:
            value = torch.zeros(spec.shape)
            if spec.name == "refine.first.weight":
                value.normal_(std=math.sqrt(2 / (CELL_CHANNELS * 9)), generator=self._generator)
            if start is not None:
                value = torch.from_numpy(start[spec.name])
            self.weights[spec.name] = nn.Parameter(value.to(material.device))
        self.quantiser = Quantiser(self._specs, self.weights, FIRST_BITS).to(material.device)

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
        material = self._material
        total = material.frame_count * 3 * material.height * material.width
        parameters = [*self.weights.values()]
        optimizer = torch.optim.Adam(
            [{"params": parameters, "lr": RATE}, {"params": self.quantiser.parameters(), "lr": STEP_RATE}]
        )
        rates = [group["lr"] for group in optimizer.param_groups]
        noise = torch.Generator(device=material.device).manual_seed(0)
        step = 0
        while (fraction := clock.fraction(step)) < 1:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * cosine_with_warmup(fraction)
            rounding = Rounding.STRAIGHT_THROUGH if fraction >= ROUNDED_FROM else Rounding.NOISE
            quantised = self.quantiser(self.weights, rounding, noise)
            error, _ = self._errors(frames, quantised.tensors, dtype)
            optimizer.zero_grad()
            (error + price / total * quantised.bits).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            report(clock.fraction(step), float(error.detach()), float(quantised.bits.detach()), step)
        self._forget_if_worse(frames, dtype)
        return step

    @torch.no_grad()
    def _forget_if_worse(self, frames: Mapping[int, Planes], dtype: torch.dtype) -> None:
        """Few steps may leave a network that is worse than none: then it says nothing."""
        rounded = self.quantiser(self.weights, Rounding.STRAIGHT_THROUGH).tensors
        pairs = [self._errors(frames, rounded, dtype) for _ in range(CHECKS)]
        if sum(float(refined) for refined, _ in pairs) >= sum(float(before) for _, before in pairs):
            for name in ("refine.last.weight", "refine.last.bias"):
                self.weights[name].data.zero_()

    def _errors(
        self, frames: Mapping[int, Planes], weights: Mapping[str, Tensor], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Mean squared error of a pixel's colours with the network and without, on new patches."""
        source, decoded = self._patches(frames)
        with autocast(self._material.device, dtype):
            refined = refine(decoded, weights)
        count = COLOURS_OF_A_CELL * source[:, 0].numel()
        return (refined - source).square().sum() / count, (decoded - source).square().sum() / count

    def values(self) -> dict[str, NDArray[np.float32]]:
        return {name: value.detach().cpu().numpy() for name, value in self.weights.items()}

    def steps(self) -> dict[str, Steps]:
        return self.quantiser.steps()

    def _patches(self, frames: Mapping[int, Planes]) -> tuple[Tensor, Tensor]:
        """Cells of the same places of source and decoded frames."""
        material = self._material
        height, width = min(material.height, LONGEST_SIDE), min(material.width, LONGEST_SIDE)
        count = min(material.frame_count, max(1, round(BATCH_PIXELS / (height * width))))
        picked = torch.randperm(material.frame_count, generator=self._generator)[:count].tolist()
        sources: list[Planes] = []
        decoded: list[Planes] = []
        for frame in picked:
            top, left = self._place(material.height - height), self._place(material.width - width)
            source = material.planes([frame]).frames()[0]
            for planes, patches in ((source, sources), (frames[frame], decoded)):
                patches.append(_patch(planes, top, left, height, width))
        return to_cells(stacked(sources)), to_cells(stacked(decoded))

    def _place(self, spare: int) -> int:
        """Where a patch begins, an even number of pixels."""
        return int(torch.randint(spare // SIDE + 1, (), generator=self._generator)) * SIDE


def _patch(planes: Planes, top: int, left: int, height: int, width: int) -> Planes:
    """A part of a frame's planes, in pixels of luma."""
    luma = planes.luma[:, top : top + height, left : left + width]
    top, left, height, width = (length // SIDE for length in (top, left, height, width))
    return Planes(luma, planes.chroma[:, top : top + height, left : left + width]).map(Tensor.float)
